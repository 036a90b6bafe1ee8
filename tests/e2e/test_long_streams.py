"""Streams over real sockets: stalled readers, readers that are cut off, floods of log, characters of four bytes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Published
from tests.live import LiveServer

MEBIBYTE = 1024**2
STALLED = 60
Event = tuple[str, str, str]


@pytest.fixture(scope="module")
def chunks(published: Published) -> str:
    """The version of a model that yields as many chunks of a size as it is asked for."""
    return published.server.publish("chunks", "local/chunks")


def start(server: LiveServer, version: str, **input: Any) -> dict[str, Any]:
    """Create a prediction and return it as it was answered."""
    with server.client() as client:
        prediction: dict[str, Any] = client.post("/v1/predictions", json={"version": version, "input": input}).json()
    return prediction


def follow(url: str, last_event_id: str = "") -> Iterator[Event]:
    """Read events as they come: name, id, data."""
    with httpx.stream("GET", url, headers={"Last-Event-ID": last_event_id}, timeout=60) as answer:
        fields: dict[str, str] = {}
        buffer = b""
        for piece in answer.iter_bytes():
            *frames, buffer = (buffer + piece).split(b"\n\n")
            for frame in frames:
                lines = [line.partition(": ") for line in frame.decode().split("\n") if not line.startswith(":")]
                fields = {name: value for name, _, value in lines}
                data = "\n".join(value for name, _, value in lines if name == "data")
                yield fields["event"], fields["id"], data


def text_of(events: list[Event]) -> str:
    return "".join(data for name, _, data in events if name == "output")


def resident_bytes(server: LiveServer) -> int:
    """The memory that the server's process has in use."""
    assert server.process is not None
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * 4096


def test_stalled_readers_cost_little_and_hold_up_nobody(published: Published, chunks: str) -> None:
    server = published.server
    prediction = start(server, chunks, count=60, size=100_000)
    url = prediction["urls"]["stream"]
    whole = text_of(list(follow(url)))
    before = resident_bytes(server)
    stalled = []
    for _ in range(STALLED):
        reader = socket.socket()
        # Small, so that the system takes little off the server's hands.
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", server.port))
        reader.sendall(f"GET {url.removeprefix(server.base_url)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert reader.recv(12) == b"HTTP/1.1 200"
        stalled.append(reader)
    again = [text_of(list(follow(url))) for _ in range(3)]
    grown = resident_bytes(server) - before
    for reader in stalled:
        reader.close()
    assert again == [whole] * 3
    assert grown < 100 * MEBIBYTE


def test_a_reader_that_is_cut_off_again_and_again_misses_nothing(published: Published, chunks: str) -> None:
    url = start(published.server, chunks, count=300, size=500)["urls"]["stream"]
    events: list[Event] = []
    while not events or events[-1][0] != "done":
        reading = follow(url, events[-1][1] if events else "")
        events += list(islice(reading, 7))
        reading.close()  # type: ignore[attr-defined]
    assert text_of(events) == "".join(f"{number:08d}".ljust(500, "x") for number in range(300))


def test_every_position_is_resumed_at_after_a_restart(tmp_path: Path) -> None:
    server = LiveServer(tmp_path)
    server.start()
    version = server.publish("tokens", "local/tokens")
    url = start(server, version, prompt="one two\nthree \U0001f98a four five six seven eight")["urls"]["stream"]
    events = list(follow(url))
    server.kill()
    server.start()
    resumed = [list(follow(url, event_id)) for _, event_id, _ in events[:-1]]
    server.stop()
    assert resumed == [events[position:] for position in range(1, len(events))]


def test_characters_of_four_bytes_stay_whole(published: Published, chunks: str) -> None:
    url = start(published.server, chunks, count=50, size=3_001, text="\U0001f98a")["urls"]["stream"]
    events = list(follow(url))
    assert text_of(events) == "".join(f"{number:08d}".ljust(3_001, "\U0001f98a") for number in range(50))
    assert events[-1][0] == "done"


def test_a_stream_has_no_carriage_return_and_an_id_in_every_event(published: Published, chunks: str) -> None:
    url = start(published.server, chunks, count=3, size=10, text="\r")["urls"]["stream"]
    with httpx.stream("GET", url, timeout=60) as answer:
        body = answer.read()
    frames = body.split(b"\n\n")[:-1]
    assert (b"\r" in body, answer.headers["cache-control"]) == (False, "no-store")
    assert all(b"\nid: " in frame and b"\ndata: " in frame for frame in frames)


def test_a_flood_of_log_is_cut_in_the_middle_and_the_output_still_comes(published: Published, chunks: str) -> None:
    prediction = start(published.server, chunks, count=2, size=10, log_bytes=12 * 10**6)
    events = list(follow(prediction["urls"]["stream"]))
    with published.server.client() as client:
        logs = client.get(f"/v1/predictions/{prediction['id']}").json()["logs"]
    assert text_of(events) == "00000000xx00000001xx"
    assert "log truncated" in logs
    assert len(logs) < 6 * 10**6
