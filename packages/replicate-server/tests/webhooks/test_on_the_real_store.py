"""Delivery from the real outbox, over a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from replicate_server.domain.ids import AccountId, ModelId, PredictionId, VersionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Account, Model, Package, Prediction, Version, WebhookMessage
from replicate_server.fetching import GuardedFetcher
from replicate_server.ports.store import Consequences, Store
from replicate_server.store import open_store
from replicate_server.webhooks.deliverer import WebhookDeliverer

pytestmark = pytest.mark.anyio

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def fill(store: Store, clock: Any, messages: list[WebhookMessage]) -> None:
    """Write messages as the server does: together with a prediction."""
    account = Account(AccountId("acct_1"), "alice", "Alice", "user", clock.now())
    model = Model(ModelId("model_1"), account.id, "alice", "m", "public", clock.now())
    version = Version(
        VersionId("0" * 64), model.id, "alice", "m", clock.now(), "0.1.0", {}, b"{}", Package("p.py:P", (), "3.11", "")
    )
    await store.create_account(account)
    await store.create_model(model)
    await store.create_version(version)
    prediction = Prediction(PredictionId("p" * 26), account.id, model.id, "alice/m", version.id, Status.STARTING, {}, clock.now())
    own = [replace(message, prediction_id=prediction.id) for message in messages]
    await store.create_prediction(prediction, Consequences(messages=own))


async def deliver_until(store: Store, clock: Any, is_done: Callable[[], bool], changed: asyncio.Event) -> None:
    """Run a deliverer until a condition holds."""

    async def keys(account_id: AccountId) -> list[str]:
        return [SECRET]

    fetcher = GuardedFetcher(allows_private=True)
    deliverer = WebhookDeliverer(store, fetcher, keys, clock)
    deliverer.start()
    async with asyncio.timeout(10):
        while not is_done():
            changed.clear()
            await changed.wait()
    await deliverer.stop()
    await fetcher.close()


async def test_a_failed_message_is_retried_by_the_next_server(
    tmp_path: Path, clock: Any, open_receiver: Any, make_message: Callable[..., WebhookMessage]
) -> None:
    receiver = await open_receiver()
    receiver.statuses = ["500 Internal Server Error"]
    store = open_store(tmp_path / "db.sqlite", clock=clock)
    await fill(store, clock, [make_message(receiver.url)])
    await deliver_until(store, clock, lambda: len(receiver.received) == 1, receiver.arrived)
    await store.close()
    store = open_store(tmp_path / "db.sqlite", clock=clock)
    clock.advance(10)
    await deliver_until(store, clock, lambda: len(receiver.received) == 2, receiver.arrived)
    assert await store.due_messages(clock.now() + timedelta(days=9), limit=9) == []
    first, second = receiver.received
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    await store.close()


async def test_a_prediction_s_messages_arrive_in_order(
    tmp_path: Path, clock: Any, open_receiver: Any, make_message: Callable[..., WebhookMessage]
) -> None:
    receiver = await open_receiver()
    events = ["start", "output", "logs", "completed"]
    store = open_store(tmp_path / "db.sqlite", clock=clock)
    await fill(store, clock, [make_message(receiver.url, event=event, body=event.encode()) for event in events])
    await deliver_until(store, clock, lambda: len(receiver.received) == 4, receiver.arrived)
    assert receiver.bodies == [event.encode() for event in events]
    await store.close()
