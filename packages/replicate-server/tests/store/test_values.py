"""Column values, cursors and folding: pure conversions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replicate_server.domain.metrics import fold_metric
from replicate_server.ports.store import CursorInvalid
from replicate_server.store.cursors import Position, encode_cursor, parse_cursor
from replicate_server.store.values import json_text, json_value, micros, moment

TIMES = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2500, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(TIMES)
def test_a_time_survives_to_the_microsecond(time: datetime) -> None:
    assert moment(micros(time)) == time


@given(TIMES, TIMES)
def test_stored_times_compare_as_the_times_do(one: datetime, other: datetime) -> None:
    assert (micros(one) < micros(other)) == (one < other)


def test_a_time_of_another_zone_is_stored_as_utc() -> None:
    berlin = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    assert moment(micros(berlin)) == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(TypeError):
        micros(datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


@given(JSON)
def test_json_survives(value: object) -> None:
    assert json_value(json_text(value)) == value


@given(st.booleans(), st.integers(0, 2**62), st.text(max_size=50))
def test_a_cursor_survives(is_forward: bool, key: int, row_id: str) -> None:
    position = Position(is_forward, key, row_id)
    assert parse_cursor("list", encode_cursor("list", position)) == position


@given(st.text(max_size=60))
def test_any_other_text_is_refused_as_a_cursor(text: str) -> None:
    with pytest.raises(CursorInvalid):
        parse_cursor("list", text)


def test_metrics_are_folded_by_their_modes() -> None:
    metrics: dict[str, object] = {}
    measured = [
        ("a", 1, "replace"), ("a", 2, "replace"), ("b", 1, "increment"), ("b", 2.5, "increment"),
        ("c", "x", "append"), ("c", "y", "append"), ("d", 1, "replace"), ("d", None, "replace"),
    ]  # fmt: skip
    for name, value, mode in measured:
        fold_metric(metrics, name, value, mode)
    assert metrics == {"a": 2, "b": 3.5, "c": ["x", "y"]}
