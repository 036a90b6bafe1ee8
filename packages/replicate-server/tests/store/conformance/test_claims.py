"""Claims: who may run a prediction, and how everybody else is kept from writing about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

import pytest
from replicate_server.domain.ids import HolderId, InstanceId, VersionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Claim, Prediction
from replicate_server.ports.store import ClaimRef, Consequences, Outcome, Store

pytestmark = pytest.mark.anyio

At = Callable[[float], datetime]
NewPrediction = Callable[..., Prediction]
Claimed = Callable[..., Awaitable[Prediction]]

V1 = VersionId("v1")


def ref(prediction: Prediction) -> ClaimRef:
    assert prediction.claim is not None
    return ClaimRef(prediction.id, prediction.claim.token)


async def claim(store: Store, at: At, *, claims_max: int = 1, holder: str = "holder-b", expires: float = 100) -> list[Prediction]:
    return await store.claim_predictions(
        V1, claims_max=claims_max, holder=HolderId(holder), instance_id=InstanceId("i"), expires_at=at(expires)
    )


async def test_claims_come_oldest_first_and_never_more_than_asked(store: Store, at: At, new_prediction: NewPrediction) -> None:
    predictions = [new_prediction() for _ in range(5)]
    for prediction in reversed(predictions):
        await store.create_prediction(prediction)
    first = await claim(store, at, claims_max=2)
    rest = await claim(store, at, claims_max=9)
    assert [prediction.id for prediction in first + rest] == [prediction.id for prediction in predictions]
    assert len(first) == 2


async def test_a_claim_carries_its_holder_lease_token_and_attempt(store: Store, at: At, new_prediction: NewPrediction) -> None:
    prediction = new_prediction()
    await store.create_prediction(prediction)
    [claimed] = await claim(store, at, expires=77)
    assert claimed == replace(prediction, attempt=1, claim=Claim(HolderId("holder-b"), InstanceId("i"), 1, at(77)))
    assert await store.prediction(prediction.id) == claimed


async def test_concurrent_claims_never_take_the_same_prediction(store: Store, at: At, new_prediction: NewPrediction) -> None:
    for _ in range(20):
        await store.create_prediction(new_prediction())
    batches = await asyncio.gather(*(claim(store, at, claims_max=3, holder=f"h{number}") for number in range(10)))
    ids = [prediction.id for batch in batches for prediction in batch]
    assert len(ids) == len(set(ids)) == 20


async def test_only_the_asked_version_is_claimed(store: Store, at: At, new_prediction: NewPrediction) -> None:
    await store.create_prediction(new_prediction(version_id=VersionId("v2")))
    assert await claim(store, at) == []


async def test_a_prediction_born_claimed_is_not_queued(store: Store, at: At, new_prediction: NewPrediction) -> None:
    born = new_prediction(attempt=1, claim=Claim(HolderId("h"), InstanceId("i"), 1, at(50)))
    await store.create_prediction(born)
    assert await claim(store, at) == []
    assert await store.queues() == []
    assert await store.prediction(born.id) == born
    assert await store.finish_prediction(ref(born), Outcome(Status.SUCCEEDED, at(9), started_at=at(8)))


async def test_a_released_prediction_is_claimed_again_with_a_greater_token_and_the_same_attempt(
    store: Store, at: At, claimed: Claimed
) -> None:
    first = await claimed()
    await store.release_claims([ref(first)])
    released = await store.prediction(first.id)
    [second] = await claim(store, at)
    assert released is not None
    assert (released.claim, released.attempt) == (None, 0)
    assert (ref(second).token, second.attempt) == (2, 1)


async def test_releasing_with_a_stale_claim_changes_nothing(store: Store, at: At, claimed: Claimed) -> None:
    first = await claimed()
    await store.release_claims([ref(first)])
    [second] = await claim(store, at)
    await store.release_claims([ref(first)])
    assert await store.prediction(first.id) == second


async def test_a_requeued_prediction_keeps_its_attempt_and_forgets_its_start(store: Store, at: At, claimed: Claimed) -> None:
    first = await claimed()
    await store.start_prediction(ref(first), started_at=at(5))
    assert await store.requeue_prediction(ref(first))
    queued = await store.prediction(first.id)
    [second] = await claim(store, at)
    assert queued is not None
    assert (queued.status, queued.started_at, queued.claim, queued.attempt) == (Status.STARTING, None, None, 1)
    assert (ref(second).token, second.attempt) == (2, 2)


async def test_every_write_with_a_stale_claim_is_refused(store: Store, at: At, claimed: Claimed) -> None:
    first = await claimed()
    await store.requeue_prediction(ref(first))
    [second] = await claim(store, at)
    stale = ref(first)
    assert not await store.start_prediction(stale, started_at=at(5))
    assert not await store.append_events(stale, started_at=at(5), consequences=Consequences())
    assert not await store.finish_prediction(stale, Outcome(Status.FAILED, at(9), started_at=at(5), error="lost"))
    assert not await store.requeue_prediction(stale)
    assert await store.prediction(first.id) == second


async def test_a_released_claim_is_stale_before_anyone_claims_again(store: Store, at: At, claimed: Claimed) -> None:
    first = await claimed()
    await store.release_claims([ref(first)])
    assert not await store.finish_prediction(ref(first), Outcome(Status.FAILED, at(9), error="late"))
    assert not await store.start_prediction(ref(first), started_at=at(5))


async def test_renewing_moves_only_the_leases_of_that_holder(store: Store, at: At, new_prediction: NewPrediction) -> None:
    for _ in range(3):
        await store.create_prediction(new_prediction())
    mine = await claim(store, at, claims_max=2, holder="mine", expires=10)
    [other] = await claim(store, at, holder="other", expires=10)
    assert await store.renew_claims(HolderId("mine"), expires_at=at(90)) == 2
    assert [prediction.id for prediction in await store.expired_claims(at(11), limit=9)] == [other.id]
    assert {prediction.id for prediction in await store.expired_claims(at(91), limit=9)} == {p.id for p in (*mine, other)}


async def test_a_lease_that_ends_now_has_not_expired_yet(store: Store, at: At, new_prediction: NewPrediction) -> None:
    await store.create_prediction(new_prediction())
    await claim(store, at, expires=10)
    assert await store.expired_claims(at(10), limit=9) == []


async def test_claims_of_other_holders_are_found_on_both_sides_of_a_name(
    store: Store, at: At, new_prediction: NewPrediction
) -> None:
    for _ in range(3):
        await store.create_prediction(new_prediction())
    for holder in ("a", "m", "z"):
        await claim(store, at, holder=holder)
    others = await store.claimed_by_others(HolderId("m"), limit=9)
    assert [prediction.claim.holder for prediction in others if prediction.claim] == ["a", "z"]
    assert len(await store.claimed_by_others(HolderId("m"), limit=1)) == 1
