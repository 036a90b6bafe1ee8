"""The event decoder: the rules of the format, and independence of how bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replicate.core import sse
from replicate.core.sse import Decoder, RawEvent

LINES = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12)


def decode(body: bytes) -> list[RawEvent]:
    return Decoder().feed(body)


def cut(body: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[start:end] for start, end in zip(edges, edges[1:])]


@given(
    texts=st.lists(st.lists(LINES, min_size=1, max_size=4), max_size=5),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    places=st.lists(st.integers(0, 10_000), max_size=20),
)
def test_events_survive_any_cut_and_any_line_end(texts: list[list[str]], newline: str, places: list[int]) -> None:
    body = "".join(
        newline.join(["event: output", f"id: {number}", *(f"data: {line}" for line in lines), "", ""])
        for number, lines in enumerate(texts)
    ).encode()
    decoder = Decoder()
    found = [event for chunk in cut(body, places) for event in decoder.feed(chunk)]
    assert found == [RawEvent("output", "\n".join(lines), str(number)) for number, lines in enumerate(texts)]


@given(body=st.binary(max_size=200), places=st.lists(st.integers(0, 10_000), max_size=20))
def test_any_bytes_decode_the_same_whole_or_in_pieces(body: bytes, places: list[int]) -> None:
    decoder = Decoder()
    assert [event for chunk in cut(body, places) for event in decoder.feed(chunk)] == decode(body)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_only_the_three_line_ends_split_a_line(separator: str) -> None:
    assert decode(f"data: a{separator}b\n\n".encode())[0].data == f"a{separator}b"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b": hi\n\n", []),
        (b"data: a\n: beat\ndata: b\n\n", [RawEvent("", "a\nb")]),
        (b"data:  two\n\n", [RawEvent("", " two")]),
        (b"data\n\n", [RawEvent("", "")]),
        (b"event: done\n\n", [RawEvent("done", "")]),
        (b"id: 7\n\ndata: x\n\n", [RawEvent("", "x", "7")]),
        (b"id: 7\nid: a\0b\ndata: x\n\n", [RawEvent("", "x", "7")]),
        (b"retry: 250\ndata: x\n\n", [RawEvent("", "x", "", 250)]),
        (b"retry: soon\ndata: x\n\n", [RawEvent("", "x")]),
        (b"\xef\xbb\xbfdata: x\n\n", [RawEvent("", "x")]),
        (b"data: cut off\n", []),
    ],
)
def test_fields_follow_the_rules_of_the_format(body: bytes, expected: list[RawEvent]) -> None:
    assert decode(body) == expected


def test_an_event_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "EVENT_CHARACTERS_MAX", 10)
    with pytest.raises(ValueError, match="more than 10"):
        decode(b"data: 0123456789")
