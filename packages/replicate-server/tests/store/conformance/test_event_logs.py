"""Event logs: appended under a claim, read from any position, folded into running predictions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Event, Prediction
from replicate_server.ports.store import ClaimRef, Consequences, Outcome, PredictionFilter, Store

pytestmark = pytest.mark.anyio

At = Callable[[float], datetime]
NewEvent = Callable[..., Event]
Claimed = Callable[..., Awaitable[Prediction]]


def ref(prediction: Prediction) -> ClaimRef:
    assert prediction.claim is not None
    return ClaimRef(prediction.id, prediction.claim.token)


async def test_the_first_events_start_the_prediction_and_later_ones_keep_its_start(
    store: Store, at: At, claimed: Claimed, new_event: NewEvent
) -> None:
    prediction = await claimed()
    for sequence in (1, 2):
        consequences = Consequences(events=[new_event(prediction, sequence, "log", "x")])
        assert await store.append_events(ref(prediction), started_at=at(sequence), consequences=consequences)
    started = await store.prediction(prediction.id)
    assert started is not None
    assert (started.status, started.started_at) == (Status.PROCESSING, at(1))


async def test_starting_twice_is_one_start(store: Store, at: At, claimed: Claimed) -> None:
    prediction = await claimed()
    assert await store.start_prediction(ref(prediction), started_at=at(5))
    assert await store.start_prediction(ref(prediction), started_at=at(6))
    started = await store.prediction(prediction.id)
    assert started is not None
    assert (started.status, started.started_at) == (Status.PROCESSING, at(5))


async def test_a_running_prediction_shows_what_it_has_produced_so_far(
    store: Store, at: At, claimed: Claimed, new_event: NewEvent
) -> None:
    prediction = await claimed()
    entries = [
        ("log", "one\n"), ("output", "a"), ("metric", ["tokens", 2, "increment"]), ("output", {"b": 1}), ("log", "two\n"),
        ("metric", ["tokens", 3, "increment"]), ("metric", ["seen", "x", "append"]), ("metric", ["gone", 1, "replace"]),
        ("metric", ["gone", None, "replace"]),
    ]  # fmt: skip
    events = [new_event(prediction, number, kind, data) for number, (kind, data) in enumerate(entries, 1)]
    await store.append_events(ref(prediction), started_at=at(1), consequences=Consequences(events=events))
    running = await store.prediction(prediction.id)
    [listed] = (await store.list_predictions(PredictionFilter(prediction.account_id), cursor=None, limit=5)).results
    assert running is not None
    assert (running.output, running.logs, running.metrics) == (["a", {"b": 1}], "one\ntwo\n", {"tokens": 5, "seen": ["x"]})
    assert (listed.output, listed.logs) == (None, "")


async def test_a_running_prediction_without_output_shows_none(store: Store, at: At, claimed: Claimed) -> None:
    prediction = await claimed()
    await store.start_prediction(ref(prediction), started_at=at(1))
    running = await store.prediction(prediction.id)
    assert running is not None
    assert running.output is None


async def test_an_ended_prediction_shows_its_outcome_and_not_its_events(
    store: Store, at: At, claimed: Claimed, new_event: NewEvent
) -> None:
    prediction = await claimed()
    events = [new_event(prediction, 1, "output", "partial")]
    await store.append_events(ref(prediction), started_at=at(1), consequences=Consequences(events=events))
    await store.finish_prediction(ref(prediction), Outcome(Status.FAILED, at(2), error="broke", logs="kept"))
    ended = await store.prediction(prediction.id)
    assert ended is not None
    assert (ended.output, ended.logs, ended.started_at) == (None, "kept", at(1))


async def test_events_are_read_in_order_after_a_position(store: Store, at: At, claimed: Claimed, new_event: NewEvent) -> None:
    prediction = await claimed()
    events = [new_event(prediction, number, "output", number) for number in range(1, 21)]
    await store.append_events(ref(prediction), started_at=at(1), consequences=Consequences(events=events))
    assert await store.events_after(prediction.id, 0, limit=99) == events
    assert await store.events_after(prediction.id, 7, limit=3) == events[7:10]
    assert await store.events_after(prediction.id, 20, limit=3) == []


async def test_a_page_of_events_ends_with_the_one_that_fills_it(
    store: Store, at: At, claimed: Claimed, new_event: NewEvent
) -> None:
    prediction = await claimed()
    events = [new_event(prediction, number, "output", "x" * 1_000) for number in range(1, 8)]
    await store.append_events(ref(prediction), started_at=at(1), consequences=Consequences(events=events))
    assert await store.events_after(prediction.id, 0, limit=99, size_bytes_max=2_500) == events[:3]
    assert await store.events_after(prediction.id, 3, limit=2, size_bytes_max=2_500) == events[3:5]
    assert await store.events_after(prediction.id, 5, limit=99, size_bytes_max=1) == events[5:6]


async def test_whether_output_was_published_is_known(store: Store, at: At, claimed: Claimed, new_event: NewEvent) -> None:
    prediction = await claimed()
    for sequence, kind in ((1, "log"), (2, "output")):
        assert not await store.has_output_events(prediction.id)
        consequences = Consequences(events=[new_event(prediction, sequence, kind, "x")])
        await store.append_events(ref(prediction), started_at=at(1), consequences=consequences)
    assert await store.has_output_events(prediction.id)
