"""Log capture: order, native output, attribution, size and character limits."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from cog.worker.log_lines import CUT_MARK, LogLines
from cog.worker.protocol import Done, Log
from hypothesis import given
from hypothesis import strategies as st

MODEL = """
    import ctypes, os, subprocess, sys, threading
    def write(kind: str) -> str:
        if kind == "mixed":
            print("one"); os.write(1, b"two\\n"); subprocess.run(["echo", "three"]); print("four", end="")
        if kind == "stderr": sys.stderr.write("oops\\n"); subprocess.run("echo also >&2", shell=True)
        if kind == "c": ctypes.CDLL(None).puts(b"from C"); ctypes.CDLL(None).fflush(None)
        if kind == "rune":
            for byte in "🎉é\\n".encode(): os.write(1, bytes([byte]))
        if kind == "broken": os.write(1, b"a\\xff\\n")
        if kind == "thread":
            thread = threading.Thread(target=print, args=("from a thread",)); thread.start(); thread.join()
        if kind == "progress": sys.stderr.write("\\r10%\\r20%\\n")
        if kind == "closed": sys.stdout.close()
        return kind
"""


@pytest.mark.parametrize(
    ("kind", "source", "text"),
    [
        ("mixed", "stdout", "one\ntwo\nthree\nfour"),
        ("stderr", "stderr", "oops\nalso\n"),
        ("c", "stdout", "from C\n"),
        ("rune", "stdout", "🎉é\n"),
        ("broken", "stdout", "a\ufffd\n"),
        ("thread", "stdout", "from a thread\n"),
        ("progress", "stderr", "\r10%\r20%\n"),
        ("quiet", "stdout", ""),
        ("closed", "stdout", ""),
    ],
)
def test_what_is_written_becomes_the_log_before_the_end(
    start_worker: Callable[..., Any], kind: str, source: str, text: str
) -> None:
    worker = start_worker(MODEL, runner="predict.py:write")
    ending = worker.predict(kind=kind)
    assert ending.text(source) == text
    assert ending.done.status == "succeeded"
    assert worker.predict("next", kind="quiet").text() == ""


def test_lines_are_sent_while_the_code_runs(start_worker: Callable[..., Any], tmp_path: Any) -> None:
    worker = start_worker(
        """
        def wait(gate: str) -> str:
            print("waiting")
            open(gate).close()
            return "on"
        """,
        runner="predict.py:wait",
    )
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    worker.start(gate=str(gate))
    assert worker.receive() == Log(text="waiting\n", id="p")
    gate.open("w").close()
    assert worker.finish().done.output == "on"


def test_every_line_of_a_burst_arrives_in_order_before_done(start_worker: Callable[..., Any]) -> None:
    worker = start_worker("def burst() -> str:\n    for n in range(20000): print(n)\n    return ''", runner="predict.py:burst")
    assert worker.predict().text() == "".join(f"{number}\n" for number in range(20000))


def test_output_between_predictions_belongs_to_none(start_worker: Callable[..., Any], tmp_path: Any) -> None:
    worker = start_worker(
        """
        import subprocess
        def leave(gate: str) -> str:
            subprocess.Popen(["sh", "-c", f"read line < {gate}; echo late"])
            return ""
        """,
        runner="predict.py:leave",
    )
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    assert isinstance(worker.predict(gate=str(gate)).messages[-1], Done)
    gate.write_text("go\n")
    assert worker.receive() == Log(text="late\n", id=None)


def test_a_value_that_is_yielded_comes_after_what_was_printed_before_it(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(
        "from typing import Iterator\ndef tell() -> Iterator[str]:\n    for n in 'abc':\n        print(n)\n        yield n",
        runner="predict.py:tell",
    )
    kinds = [message.type for message in worker.predict().messages]
    assert kinds == ["log", "output", "log", "output", "log", "output", "done"]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=20))
def test_log_lines_lose_nothing_however_the_bytes_are_cut(content: bytes, cuts: list[int]) -> None:
    lines = LogLines()
    places = [0, *sorted(cuts), len(content)]
    texts = [text for start, end in zip(places, places[1:], strict=False) for text in lines.feed(content[start:end])]
    texts += lines.flush()
    assert "".join(texts) == content.decode("utf-8", "replace")
    assert all(text and not text[:-1].count("\n") for text in texts)


@given(st.text(alphabet="aé🎉\n", max_size=60), st.integers(1, 7))
def test_whole_characters_survive_cutting_byte_by_byte(text: str, limit: int) -> None:
    lines = LogLines(line_size_bytes_max=limit)
    texts = [line for byte in text.encode() for line in lines.feed(bytes([byte]))]
    texts += lines.flush()
    assert "\ufffd" not in "".join(texts)
    expected = [line if len(line.encode()) <= limit else None for line in text.splitlines(keepends=True)]
    assert [None if found.endswith(CUT_MARK) else found for found in texts] == expected


def test_a_line_longer_than_the_limit_is_cut_once_and_the_next_is_whole() -> None:
    lines = LogLines(line_size_bytes_max=4)
    assert lines.feed(b"12345678") == ["1234" + CUT_MARK]
    assert lines.feed(b"9\nok\n") == ["ok\n"]
