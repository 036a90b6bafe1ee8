"""Outcomes: recorded exactly once, in the order of submission, together with what follows from them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest
from replicate_server.domain.ids import AccountId, FileId, InstanceId, PredictionId, VersionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Claim, Event, Prediction, StoredFile, WebhookMessage, WebhookSubscription
from replicate_server.ports.store import ClaimRef, Consequences, Outcome, Store

pytestmark = pytest.mark.anyio

At = Callable[[float], datetime]
NewPrediction = Callable[..., Prediction]
NewEvent = Callable[..., Event]
Claimed = Callable[..., Awaitable[Prediction]]


def ref(prediction: Prediction) -> ClaimRef:
    assert prediction.claim is not None
    return ClaimRef(prediction.id, prediction.claim.token)


async def test_every_field_of_a_prediction_survives_storage(store: Store, at: At, new_prediction: NewPrediction) -> None:
    prediction = new_prediction(
        input={"text": "héllo \u2028 \N{SNOWMAN}", "n": 1.5, "deep": [{"a": None}], "big": 2**60},
        source="web",
        deployment="ada/prod",
        deadline_at=at(99.123456),
        webhook=WebhookSubscription("https://example.com/hook?a=b", frozenset({"start", "completed"})),
        stream_token="stream",
        is_file_stream=True,
        metrics={"k": 1},
    )
    await store.create_prediction(prediction)
    assert await store.prediction(prediction.id) == prediction


async def test_a_large_prediction_survives_storage(store: Store, at: At, new_prediction: NewPrediction) -> None:
    prediction = new_prediction(input={"text": "ä" * 300_000})
    await store.create_prediction(prediction)
    assert await store.prediction(prediction.id) == prediction
    await store.finish_unclaimed(prediction.id, Outcome(Status.FAILED, at(9), error="e", logs="l" * 300_000))
    ended = await store.prediction(prediction.id)
    assert ended is not None
    assert (len(ended.logs), ended.error) == (300_000, "e")


async def test_an_outcome_is_stored_whole_and_ends_the_claim(store: Store, at: At, claimed: Claimed) -> None:
    prediction = await claimed()
    outcome = Outcome(
        Status.SUCCEEDED, at(9), started_at=at(8), output={"a": [1, None]}, logs="l\n", metrics={"predict_time": 0.5}
    )
    assert await store.finish_prediction(ref(prediction), outcome)
    ended = await store.prediction(prediction.id)
    assert ended is not None
    assert (ended.status, ended.completed_at, ended.started_at, ended.claim) == (Status.SUCCEEDED, at(9), at(8), None)
    assert (ended.output, ended.error, ended.logs, ended.metrics) == ({"a": [1, None]}, None, "l\n", {"predict_time": 0.5})


async def test_a_second_outcome_is_refused_and_changes_nothing(store: Store, at: At, claimed: Claimed) -> None:
    prediction = await claimed()
    await store.finish_prediction(ref(prediction), Outcome(Status.CANCELED, at(9)))
    assert not await store.finish_prediction(ref(prediction), Outcome(Status.FAILED, at(10), error="no"))
    assert not await store.finish_unclaimed(prediction.id, Outcome(Status.FAILED, at(10), error="no"))
    ended = await store.prediction(prediction.id)
    assert ended is not None
    assert (ended.status, ended.error) == (Status.CANCELED, None)


async def test_of_many_concurrent_outcomes_exactly_one_is_recorded(store: Store, at: At, claimed: Claimed) -> None:
    prediction = await claimed()
    outcomes = [Outcome(Status.FAILED, at(9), error=str(number)) for number in range(10)]
    answers = await asyncio.gather(*(store.finish_prediction(ref(prediction), outcome) for outcome in outcomes))
    assert answers.count(True) == 1
    ended = await store.prediction(prediction.id)
    assert ended is not None
    assert ended.error == str(answers.index(True))


async def test_an_outcome_submitted_before_the_creation_returned_is_applied_after_it(
    store: Store, at: At, new_prediction: NewPrediction
) -> None:
    born = new_prediction(attempt=1, claim=Claim("h", InstanceId("i"), 1, at(50)))  # type: ignore[arg-type]
    creation = asyncio.ensure_future(store.create_prediction(born))
    finish = asyncio.ensure_future(
        store.finish_prediction(ref(born), Outcome(Status.SUCCEEDED, at(9), started_at=at(8), output="x"))
    )
    assert await finish
    await creation


async def test_a_write_whose_awaiter_was_cancelled_is_made_all_the_same(
    store: Store, at: At, new_prediction: NewPrediction
) -> None:
    prediction = new_prediction()
    creation = asyncio.ensure_future(store.create_prediction(prediction))
    await asyncio.sleep(0)
    creation.cancel()
    await asyncio.gather(creation, return_exceptions=True)
    await store.request_cancel(PredictionId("flush"), at=at(1))
    assert await store.prediction(prediction.id) == prediction


async def test_a_failed_write_does_not_fail_its_neighbours(store: Store, new_prediction: NewPrediction) -> None:
    twin = new_prediction()
    predictions = [new_prediction(), twin, new_prediction(), twin, new_prediction()]
    answers = await asyncio.gather(*(store.create_prediction(one) for one in predictions), return_exceptions=True)
    assert [answer is None for answer in answers] == [True, True, True, False, True]
    assert [await store.prediction(one.id) for one in predictions] == predictions


async def test_consequences_are_written_with_the_outcome_and_not_without_it(
    store: Store, at: At, claimed: Claimed, new_event: NewEvent
) -> None:
    prediction = await claimed()
    file = StoredFile(
        FileId("f"), AccountId("acct_a"), "o.png", "image/png", 3, "s", "m", "k", at(1), None, {}, prediction.id, "delivery"
    )
    message = WebhookMessage("msg_1", AccountId("acct_a"), prediction.id, "completed", "https://e.com", b"{}", at(1), at(2))
    consequences = Consequences([new_event(prediction, 1, "done", {})], [file], [message])
    stale = ClaimRef(prediction.id, 99)
    assert not await store.finish_prediction(stale, Outcome(Status.CANCELED, at(9)), consequences)
    assert await store.due_messages(at(99), limit=9) == []
    assert await store.finish_prediction(ref(prediction), Outcome(Status.CANCELED, at(9)), consequences)
    assert await store.events_after(prediction.id, 0, limit=9) == [new_event(prediction, 1, "done", {})]
    assert await store.file_by_delivery("delivery") == file
    assert await store.due_messages(at(99), limit=9) == [message]


async def test_an_unclaimed_prediction_can_be_ended_and_a_claimed_one_cannot_without_its_claim(
    store: Store, at: At, new_prediction: NewPrediction, claimed: Claimed
) -> None:
    running = await claimed()
    queued = new_prediction(version_id=VersionId("v2"))
    await store.create_prediction(queued)
    assert not await store.finish_unclaimed(running.id, Outcome(Status.ABORTED, at(9)))
    assert await store.finish_unclaimed(queued.id, Outcome(Status.ABORTED, at(9)))
    assert not await store.finish_unclaimed(PredictionId("unknown"), Outcome(Status.ABORTED, at(9)))
    assert await store.queues() == []


async def test_the_first_request_to_cancel_is_remembered(store: Store, at: At, claimed: Claimed) -> None:
    prediction = await claimed()
    assert await store.request_cancel(prediction.id, at=at(3))
    assert await store.request_cancel(prediction.id, at=at(4))
    asked = await store.prediction(prediction.id)
    assert asked is not None
    assert asked.cancel_requested_at == at(3)
    await store.finish_prediction(ref(prediction), Outcome(Status.CANCELED, at(5)))
    assert not await store.request_cancel(prediction.id, at=at(6))


async def test_everything_is_there_after_reopening(
    open_again: Callable[[], Store], at: At, new_prediction: NewPrediction
) -> None:
    prediction = new_prediction(stream_token="s")
    store = open_again()
    await store.create_prediction(prediction)
    await store.close()
    reopened = open_again()
    assert await reopened.prediction_by_stream("s") == prediction
    await reopened.close()
