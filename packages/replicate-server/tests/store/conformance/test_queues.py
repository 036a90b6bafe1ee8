"""Queues and deadlines: what waits, and what has waited too long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest
from replicate_server.domain.ids import HolderId, InstanceId, VersionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Prediction
from replicate_server.ports.store import ClaimRef, Outcome, Store, VersionQueue

pytestmark = pytest.mark.anyio

At = Callable[[float], datetime]
NewPrediction = Callable[..., Prediction]
Claimed = Callable[..., Awaitable[Prediction]]


async def test_an_empty_store_has_no_queues(store: Store) -> None:
    assert await store.queues() == []


async def test_queues_count_what_is_unclaimed_longest_waiting_first(store: Store, at: At, new_prediction: NewPrediction) -> None:
    waiting = [new_prediction(version_id=VersionId(version)) for version in ("v2", "v1", "v1", "v3", "v2")]
    for prediction in waiting:
        await store.create_prediction(prediction)
    await store.claim_predictions(
        VersionId("v3"), claims_max=1, holder=HolderId("h"), instance_id=InstanceId("i"), expires_at=at(9)
    )
    assert await store.queues() == [
        VersionQueue(VersionId("v2"), waiting[0].model_id, 2, waiting[0].created_at),
        VersionQueue(VersionId("v1"), waiting[1].model_id, 2, waiting[1].created_at),
    ]


async def test_queued_predictions_of_a_version_come_oldest_first(store: Store, new_prediction: NewPrediction) -> None:
    waiting = [new_prediction() for _ in range(4)]
    for prediction in reversed(waiting):
        await store.create_prediction(prediction)
    assert await store.queued_predictions(VersionId("v1"), limit=3) == waiting[:3]
    assert await store.queued_predictions(VersionId("v9"), limit=3) == []


async def test_overdue_predictions_are_active_ones_whose_deadline_is_not_after_now(
    store: Store, at: At, new_prediction: NewPrediction
) -> None:
    late, later, undated = new_prediction(deadline_at=at(10)), new_prediction(deadline_at=at(20)), new_prediction()
    for prediction in (later, late, undated):
        await store.create_prediction(prediction)
    assert await store.overdue_predictions(at(9), limit=9) == []
    assert await store.overdue_predictions(at(10), limit=9) == [late]
    assert await store.overdue_predictions(at(99), limit=9) == [late, later]
    assert await store.overdue_predictions(at(99), limit=1) == [late]


async def test_the_next_deadline_is_that_of_an_active_prediction(store: Store, at: At, new_prediction: NewPrediction) -> None:
    soon, later = new_prediction(deadline_at=at(10)), new_prediction(deadline_at=at(20))
    assert await store.next_deadline() is None
    await store.create_prediction(soon)
    await store.create_prediction(later)
    assert await store.next_deadline() == at(10)
    await store.finish_unclaimed(soon.id, Outcome(Status.ABORTED, at(10)))
    assert await store.next_deadline() == at(20)


async def test_an_ended_prediction_is_neither_claimed_nor_expired_nor_overdue(store: Store, at: At, claimed: Claimed) -> None:
    prediction = await claimed(deadline_at=at(10))
    assert prediction.claim is not None
    ended = await store.finish_prediction(ClaimRef(prediction.id, prediction.claim.token), Outcome(Status.CANCELED, at(5)))
    assert ended
    assert await store.claimed_by_others(HolderId("x"), limit=9) == []
    assert await store.expired_claims(at(9999), limit=9) == []
    assert await store.overdue_predictions(at(9999), limit=9) == []
