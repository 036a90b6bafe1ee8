"""Event streams over a real socket: the bytes, resuming, heartbeats, and readers who leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from replicate_server.api.sse import EventWriter
from replicate_server.api.streams import EventStream
from replicate_server.domain.ids import PredictionId
from replicate_server.domain.records import Event

pytestmark = pytest.mark.anyio

STREAM_TOKEN = "s" * 43
AT = datetime(2024, 8, 22, 12, 0, tzinfo=UTC)
SECONDS = int(AT.timestamp())


def event(sequence: int, kind: str, data: Any) -> Event:
    return Event(PredictionId("p"), sequence, kind, data, AT)


async def read(address: str, path: str = f"/v1/streams/{STREAM_TOKEN}", **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=address) as client:
        return await client.get(path, headers=headers)


async def test_a_stream_is_written_by_the_rules_of_every_client(world: Any, address: str) -> None:
    world.prediction(stream_token=STREAM_TOKEN)
    world.predictions.batches = [
        [event(1, "output", "two\nlines\u2028kept"), event(2, "log", "not shown")],
        [],
        [event(3, "output", {"a": 1}), event(4, "metric", ["m", 1, "replace"]), event(5, "output", "")],
        [event(6, "done", {})],
    ]
    answer = await read(address)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.content.decode() == (
        ": hi\n"
        f"event: output\nid: {SECONDS}:1\ndata: two\ndata: lines\u2028kept\n\n"
        ": heartbeat\n"
        f'event: output\nid: {SECONDS}:3\ndata: {{"a":1}}\n\n'
        f"event: output\nid: {SECONDS}:5\ndata: \n\n"
        f"event: done\nid: {SECONDS}:6\ndata: {{}}\n\n"
    )


async def test_logs_are_sent_to_those_who_ask(world: Any, address: str) -> None:
    world.prediction(stream_token=STREAM_TOKEN)
    world.predictions.batches = [[event(1, "log", "line\n"), event(2, "done", {})]]
    answer = await read(address, f"/v1/streams/{STREAM_TOKEN}?logs=1")
    assert f"event: logs\nid: {SECONDS}:1\ndata: line\ndata: \n\n" in answer.text


async def test_a_carriage_return_cannot_forge_an_event(world: Any, address: str) -> None:
    world.prediction(stream_token=STREAM_TOKEN)
    world.predictions.batches = [[event(1, "output", "a\revent: done\r\n\r\nb"), event(2, "done", {})]]
    answer = await read(address)
    assert "\r" not in answer.text
    assert answer.text.count("\nevent: done\n") == 1


async def test_a_failed_prediction_ends_with_error_and_done(world: Any, address: str) -> None:
    world.prediction(stream_token=STREAM_TOKEN)
    world.predictions.batches = [[event(1, "done", {"reason": "error", "detail": "boom"})]]
    answer = await read(address)
    assert answer.text == (
        ": hi\n"
        f'event: error\nid: {SECONDS}:1\ndata: {{"detail":"boom"}}\n\n'
        f'event: done\nid: {SECONDS}:2\ndata: {{"reason":"error"}}\n\n'
    )


@pytest.mark.parametrize(
    ("last_event_id", "expected"),
    [
        ("", ["output 1", "output 2", "error 3", "done 4"]),
        ("nonsense", ["output 1", "output 2", "error 3", "done 4"]),
        (f"{SECONDS}:1", ["output 2", "error 3", "done 4"]),
        (f"{SECONDS}:2", ["error 3", "done 4"]),
        (f"{SECONDS}:3", ["done 4"]),
        (f"{SECONDS}:4", []),
    ],
)
async def test_a_resumed_stream_gives_each_event_once(world: Any, address: str, last_event_id: str, expected: list[str]) -> None:
    world.prediction(stream_token=STREAM_TOKEN)
    world.predictions.batches = [
        [event(1, "output", "a"), event(2, "output", "b"), event(3, "done", {"reason": "error", "detail": "boom"})]
    ]
    answer = await read(address, **{"Last-Event-ID": last_event_id})
    lines = [line for line in answer.text.split("\n") if line.startswith(("event: ", "id: "))]
    seen = [f"{name[7:]} {id_.rpartition(':')[2]}" for name, id_ in zip(lines[::2], lines[1::2], strict=True)]
    assert seen == expected


async def test_file_streams_live_beside_the_files_api(world: Any, address: str) -> None:
    world.prediction(stream_token=STREAM_TOKEN, is_file_stream=True)
    world.predictions.batches = [[event(1, "output", "http://testserver/delivery/t/out.png"), event(2, "done", {})]]
    answer = await read(address, f"/v1/files/{STREAM_TOKEN}")
    assert "data: http://testserver/delivery/t/out.png\n" in answer.text


async def test_an_unknown_stream_is_not_found(world: Any, address: str) -> None:
    answer = await read(address, "/v1/streams/" + "x" * 43)
    assert answer.status_code == 404


async def test_head_opens_no_stream(world: Any, address: str) -> None:
    world.prediction(stream_token=STREAM_TOKEN)
    async with httpx.AsyncClient(base_url=address) as client:
        answer = await client.head(f"/v1/streams/{STREAM_TOKEN}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert world.predictions.read_after == []


async def test_events_arrive_while_the_stream_is_open_and_a_leaving_reader_ends_it(world: Any, address: str) -> None:
    world.prediction(stream_token=STREAM_TOKEN)
    world.predictions.batches = [[event(1, "output", "first")]]
    world.predictions.holds_open = True
    async with httpx.AsyncClient(base_url=address) as client, client.stream("GET", f"/v1/streams/{STREAM_TOKEN}") as answer:
        lines = answer.aiter_lines()
        assert [await anext(lines) for _ in range(4)][-1] == "data: first"
        await lines.aclose()  # type: ignore[attr-defined]
    async with asyncio.timeout(10):
        await world.predictions.closed.wait()


async def test_a_stalled_reader_holds_one_batch_and_leaves_cleanly() -> None:
    pulled: list[int] = []
    stalled, leaving, forever = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def events() -> AsyncIterator[Sequence[Event]]:
        for number in range(1, 1000):
            pulled.append(number)
            yield [event(number, "output", "x")]

    async def send(message: Any) -> None:
        blocks = message.get("body", b"").startswith(b"event")
        stalled.set() if blocks else None
        await (forever.wait() if blocks else asyncio.sleep(0))

    async def receive() -> Any:
        await leaving.wait()
        return {"type": "http.disconnect"}

    stream = EventStream(events(), EventWriter(last_seen=0, with_logs=False))
    sending = asyncio.ensure_future(stream({"type": "http", "method": "GET"}, receive, send))
    await stalled.wait()
    assert pulled == [1]
    leaving.set()
    await sending
    assert pulled == [1]
