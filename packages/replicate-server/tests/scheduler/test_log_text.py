"""Bounded log text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from replicate_server.scheduler.log_text import MARK, BoundedLog

texts = st.lists(st.text(alphabet="ab\né😀", max_size=60), max_size=40)


def fill(limit: int, parts: list[str]) -> BoundedLog:
    log = BoundedLog(limit)
    for part in parts:
        log.add(part)
    return log


@given(parts=texts)
def test_what_fits_is_kept_whole(parts: list[str]) -> None:
    assert fill(100_000, parts).text == "".join(parts)


@given(parts=texts, limit=st.integers(200, 400))
def test_the_limit_holds_and_characters_stay_whole(parts: list[str], limit: int) -> None:
    text = fill(limit, parts).text
    assert len(text.encode()) <= limit
    assert set(text) <= set("ab\né😀" + MARK)


@given(parts=texts, limit=st.integers(200, 400))
def test_the_head_and_the_tail_are_those_of_the_whole(parts: list[str], limit: int) -> None:
    whole = "".join(parts)
    head, _, tail = fill(limit, parts).text.partition(MARK)
    assert whole.startswith(head)
    assert whole.endswith(tail)


@given(parts=texts, limit=st.integers(200, 400))
def test_what_is_published_at_once_never_changes_later(parts: list[str], limit: int) -> None:
    log = BoundedLog(limit)
    published = "".join(log.add(part) for part in parts)
    assert log.text.startswith(published.removesuffix(MARK))


def test_the_mark_is_published_once() -> None:
    log = BoundedLog(200)
    published = "".join(log.add("0123456789" * 3) for _ in range(20))
    assert published.count(MARK) == 1
    assert published.endswith(MARK)
