"""The wire: every message survives it, and lines survive any cutting."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cog.worker import protocol
from cog.worker.lines import LineSplitter
from hypothesis import given
from hypothesis import strategies as st

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TEXT = st.text(max_size=20)
FILES = st.lists(st.builds(protocol.OutputFile, pointer=TEXT, path=TEXT, name=TEXT), max_size=2)
MESSAGES = st.one_of(
    st.builds(protocol.Setup, runner=TEXT, source_dir=TEXT, scratch_dir=TEXT, weights=st.none() | TEXT),
    st.builds(
        protocol.Predict, id=TEXT, input=st.dictionaries(TEXT, JSON_VALUES, max_size=3), context=st.dictionaries(TEXT, TEXT)
    ),
    st.builds(protocol.Cancel, id=TEXT),
    st.builds(protocol.Log, text=TEXT, id=st.none() | TEXT),
    st.builds(protocol.Output, id=TEXT, index=st.integers(0), value=JSON_VALUES, files=FILES),
    st.builds(protocol.Metric, id=TEXT, name=TEXT, value=JSON_VALUES),
    st.builds(
        protocol.Done,
        id=TEXT,
        status=st.sampled_from(sorted(protocol.DONE_STATUSES)),
        output=JSON_VALUES,
        files=FILES,
        error=st.none() | TEXT,
    ),
)


@given(MESSAGES)
def test_a_message_is_one_line_and_comes_back_equal(message: Any) -> None:
    line = protocol.encode(message)
    assert line.count(b"\n") == 1
    assert protocol.decode(line) == message
    assert protocol.decode(protocol.encode(message, lambda body: json.dumps(body).encode())) == message


@given(st.binary(max_size=100))
def test_any_other_line_is_refused_with_one_kind_of_error(line: bytes) -> None:
    with pytest.raises(protocol.ProtocolError):
        protocol.decode(line)


@given(
    st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=10),
    st.binary(max_size=5),
    st.lists(st.integers(0, 400)),
)
def test_lines_are_the_same_however_the_stream_is_cut(lines: list[bytes], rest: bytes, cuts: list[int]) -> None:
    rest = rest.replace(b"\n", b"")
    stream = b"".join(line + b"\n" for line in lines) + rest
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    splitter = LineSplitter()
    found = [line for start, end in zip(places, places[1:], strict=False) for line in splitter.feed(stream[start:end])]
    assert found == lines
    assert splitter.feed(b"\n") == [rest]


@pytest.mark.parametrize("chunks", [[b"123456"], [b"123", b"456"], [b"123456\n"], [b"1234", b"56\n"], [b"ok\n123456\n"]])
def test_a_line_beyond_the_limit_is_refused(chunks: list[bytes]) -> None:
    splitter = LineSplitter(line_size_bytes_max=5)
    with pytest.raises(protocol.ProtocolError, match="longer than 5 bytes"):
        [splitter.feed(chunk) for chunk in chunks]


@pytest.mark.parametrize(
    "line",
    [
        '{"type":"done","id":5,"status":"failed"}',
        '{"type":"done","id":"p","status":"finished"}',
        '{"type":"output","id":"p","index":"0"}',
        '{"type":"output","id":"p","index":0,"files":[{"pointer":"","path":1,"name":""}]}',
        '{"type":"output","id":"p","index":0,"files":{"a":1}}',
        '{"type":"log","text":null}',
        '{"type":"log","text":"","id":{}}',
        '{"type":["log"]}',
        '"log"',
        "[" * 100000,
    ],
)
def test_a_field_of_another_type_is_refused(line: str) -> None:
    with pytest.raises(protocol.ProtocolError):
        protocol.decode(line)


def test_unknown_fields_are_ignored_and_missing_ones_refused() -> None:
    assert protocol.decode(b'{"type":"ping","nonce":3,"later":1}') == protocol.Ping(nonce=3)
    with pytest.raises(protocol.ProtocolError):
        protocol.decode(b'{"type":"cancel"}')


def test_a_value_that_json_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        protocol.encode(protocol.Output(id="p", index=0, value=float("nan")))
