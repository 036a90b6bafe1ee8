"""Idempotency keys: one row a key, written with what it stands for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from replicate_server.domain.ids import AccountId
from replicate_server.domain.records import IdempotencyKey, Prediction
from replicate_server.ports.store import Consequences, NameTaken, Store

pytestmark = pytest.mark.anyio

At = Callable[[float], datetime]
ADA = AccountId("acct_a")


def key(at: At, name: str = "k", **changes: object) -> IdempotencyKey:
    return replace(IdempotencyKey(ADA, name, "digest", at(0), at(100), status=201, body=b"{}"), **changes)  # type: ignore[arg-type]


async def test_a_key_is_found_as_it_was_stored(store: Store, at: At) -> None:
    await store.create_idempotency_key(key(at))
    assert await store.idempotency_key(ADA, "k") == key(at)
    assert await store.idempotency_key(AccountId("acct_b"), "k") is None


async def test_a_key_in_force_is_not_given_again(store: Store, at: At) -> None:
    await store.create_idempotency_key(key(at))
    with pytest.raises(NameTaken):
        await store.create_idempotency_key(key(at, created_at=at(99)))


async def test_a_key_takes_the_place_of_an_expired_one(store: Store, at: At) -> None:
    await store.create_idempotency_key(key(at))
    later = key(at, created_at=at(100), expires_at=at(200), fingerprint="other")
    await store.create_idempotency_key(later)
    assert await store.idempotency_key(ADA, "k") == later


async def test_a_predictions_key_is_stored_with_it_and_only_with_it(
    store: Store, new_prediction: Callable[..., Prediction], at: At
) -> None:
    first, second = new_prediction(), new_prediction()
    named = key(at, prediction_id=first.id, status=None, body=None)
    await store.create_prediction(first, Consequences(key=named))
    with pytest.raises(Exception, match=r"(?i)unique"):
        await store.create_prediction(second, Consequences(key=replace(named, prediction_id=second.id)))
    assert await store.idempotency_key(ADA, "k") == named
    assert await store.prediction(second.id) is None


async def test_expired_keys_are_removed_in_batches(store: Store, at: At) -> None:
    for number in range(5):
        await store.create_idempotency_key(key(at, f"k{number}", expires_at=at(100 + number)))
    assert await store.remove_expired_keys(at(103), limit=2) == 2
    assert await store.remove_expired_keys(at(103), limit=10) == 2
    assert await store.remove_expired_keys(at(103), limit=10) == 0
    assert await store.idempotency_key(ADA, "k4") is not None
