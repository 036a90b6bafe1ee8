"""Reading and waiting on the hub."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from replicate_server.domain.ids import PredictionId
from replicate_server.domain.lifecycle import Status
from replicate_server.events import LocalEventHub

pytestmark = pytest.mark.anyio
P = PredictionId("p")


async def sequences(hub: Any, after: int = 0) -> list[int]:
    return [event.sequence async for batch in hub.read(P, after=after) for event in batch]


async def test_a_late_reader_gets_everything_from_the_store(shelf: Any) -> None:
    shelf.write("a", "b", done=True)
    assert await sequences(LocalEventHub(shelf)) == [1, 2, 3]


async def test_a_reader_resumes_after_its_position(shelf: Any) -> None:
    shelf.write("a", "b", done=True)
    assert await sequences(LocalEventHub(shelf), after=2) == [3]


async def test_a_reader_of_an_ended_prediction_without_a_done_event_ends(shelf: Any) -> None:
    shelf.status = Status.SUCCEEDED
    shelf.write("a")
    assert await sequences(LocalEventHub(shelf)) == [1]


async def test_readers_that_keep_up_do_not_read_the_store_again(shelf: Any) -> None:
    hub = LocalEventHub(shelf)
    reader = hub.read(P, after=0)
    hub.committed(P, shelf.write("a"))
    assert [event.sequence for event in await anext(reader)] == [1]
    reads = shelf.reads
    for number in range(2, 50):
        hub.committed(P, shelf.write("b"))
        assert [event.sequence for event in await anext(reader)] == [number]
    assert shelf.reads <= reads + 1


async def test_a_stalled_reader_finds_what_the_tail_lost_in_the_store(shelf: Any) -> None:
    hub = LocalEventHub(shelf, tail_events_max=4)
    reader = hub.read(P, after=0)
    hub.committed(P, shelf.write("a"))
    await anext(reader)
    for _ in range(100):
        hub.committed(P, shelf.write("b"))
    hub.committed(P, shelf.write(done=True))
    rest = [event.sequence async for batch in reader for event in batch]
    assert rest == list(range(2, 103))


async def test_silence_gives_a_heartbeat(shelf: Any) -> None:
    reader = LocalEventHub(shelf, heartbeat_seconds=0.01).read(P, after=0)
    assert list(await anext(reader)) == []


async def test_events_that_arrive_while_a_reader_waits_wake_it(shelf: Any) -> None:
    hub = LocalEventHub(shelf, heartbeat_seconds=30)
    reading = asyncio.create_task(sequences(hub))
    for _ in range(5):
        await asyncio.sleep(0)
    hub.committed(P, shelf.write("a"))
    hub.committed(P, shelf.write(done=True))
    assert await reading == [1, 2]


async def test_a_waiter_gets_the_terminal_prediction(shelf: Any) -> None:
    hub = LocalEventHub(shelf)
    waiting = asyncio.create_task(hub.wait_finished(P, timeout_seconds=30))
    await asyncio.sleep(0)
    shelf.status = Status.SUCCEEDED
    hub.finished(shelf.build(P))
    ended = await waiting
    assert ended is not None
    assert ended.status is Status.SUCCEEDED


async def test_waiting_for_one_that_has_ended_answers_at_once(shelf: Any) -> None:
    shelf.status = Status.FAILED
    ended = await LocalEventHub(shelf).wait_finished(P, timeout_seconds=30)
    assert ended is not None


async def test_a_wait_ends_at_its_time_out(shelf: Any) -> None:
    hub = LocalEventHub(shelf)
    assert await hub.wait_finished(P, timeout_seconds=0.01) is None
    assert hub._expected == {}


async def test_an_abandoned_prediction_raises_for_whoever_expects_it(shelf: Any) -> None:
    hub = LocalEventHub(shelf)
    expected = hub.expect_finished(P)
    hub.abandoned(P, OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        await hub.wait_expected(P, expected, timeout_seconds=30)


async def test_nothing_is_kept_of_predictions_that_nobody_reads(shelf: Any) -> None:
    hub = LocalEventHub(shelf)
    for _ in range(1000):
        hub.committed(P, shelf.write("x" * 100))
    assert hub._topics == {}


async def test_five_hundred_stalled_readers_do_not_slow_a_fast_one(shelf: Any) -> None:
    hub = LocalEventHub(shelf, tail_events_max=16)
    stalled = [hub.read(P, after=0) for _ in range(500)]
    hub.committed(P, shelf.write("first"))
    for reader in stalled:
        await anext(reader)
    fast = hub.read(P, after=0)
    for number in range(1, 50):
        assert [event.sequence for event in await anext(fast)] == [number]
        hub.committed(P, shelf.write("x" * 1000))
    for reader in stalled:
        await reader.aclose()
    await fast.aclose()
    assert hub._topics == {}


async def test_closing_ends_waits_and_lets_readers_leave_with_what_is_on_disk(shelf: Any) -> None:
    hub = LocalEventHub(shelf, heartbeat_seconds=30)
    waiting = asyncio.create_task(hub.wait_finished(P, timeout_seconds=30))
    reading = asyncio.create_task(sequences(hub))
    for _ in range(5):
        await asyncio.sleep(0)
    shelf.write("a")
    hub.close()
    assert await waiting is None
    assert await reading == [1]
    assert await hub.wait_finished(P, timeout_seconds=30) is None
    assert await sequences(hub) == [1]


async def test_a_reader_that_leaves_is_forgotten_while_others_stay(shelf: Any) -> None:
    hub = LocalEventHub(shelf, heartbeat_seconds=30)
    staying, leaving = (asyncio.create_task(sequences(hub)) for _ in range(2))
    for _ in range(5):
        await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    assert len(hub._topics[P].wakers) == 1
    hub.committed(P, shelf.write(done=True))
    assert await staying == [1]
