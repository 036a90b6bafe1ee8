"""The outbox: messages are due until they are delivered or given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from replicate_server.domain.ids import AccountId
from replicate_server.domain.records import Prediction, WebhookMessage
from replicate_server.ports.store import Consequences, Store

pytestmark = pytest.mark.anyio

At = Callable[[float], datetime]
NewPrediction = Callable[..., Prediction]


@pytest.fixture
async def messages(store: Store, at: At, new_prediction: NewPrediction) -> list[WebhookMessage]:
    prediction = new_prediction()
    due = [
        WebhookMessage(
            f"msg_{number}", AccountId("acct_a"), prediction.id, "completed", "https://e.com/", b'{"a":1}\xff', at(0), at(number)
        )
        for number in (1, 2, 3)
    ]
    await store.create_prediction(prediction, Consequences(messages=due[::-1]))
    return due


async def test_due_messages_come_longest_due_first(store: Store, at: At, messages: list[WebhookMessage]) -> None:
    assert await store.due_messages(at(0), limit=9) == []
    assert await store.due_messages(at(2), limit=9) == messages[:2]
    assert await store.due_messages(at(9), limit=1) == messages[:1]
    assert await store.next_message_at() == at(1)


async def test_a_delivered_message_is_never_due_again(store: Store, at: At, messages: list[WebhookMessage]) -> None:
    await store.message_delivered("msg_1", at=at(5))
    await store.message_failed("msg_1", at=at(6), error="late", next_attempt_at=at(7))
    assert await store.due_messages(at(9), limit=9) == messages[1:]
    assert await store.next_message_at() == at(2)


async def test_a_failed_message_waits_for_its_next_attempt(store: Store, at: At, messages: list[WebhookMessage]) -> None:
    await store.message_failed("msg_1", at=at(5), error="503", next_attempt_at=at(50))
    assert await store.due_messages(at(49), limit=9) == messages[1:]
    [*_, again] = await store.due_messages(at(50), limit=9)
    assert again == replace(messages[0], attempts=1, last_error="503", next_attempt_at=at(50))


async def test_a_message_that_was_given_up_is_never_due_again(store: Store, at: At, messages: list[WebhookMessage]) -> None:
    for message in messages:
        await store.message_failed(message.id, at=at(5), error="gone", next_attempt_at=None)
    assert await store.due_messages(at(9999), limit=9) == []
    assert await store.next_message_at() is None


async def test_an_outbox_without_messages_has_no_next_one(store: Store) -> None:
    assert await store.next_message_at() is None


async def test_a_postponed_message_is_due_later_with_no_attempt_counted(
    store: Store, at: At, messages: list[WebhookMessage]
) -> None:
    await store.message_delivered("msg_3", at=at(4))
    await store.postpone_messages(["msg_1", "msg_3", "msg_unknown"], until=at(20))
    assert await store.due_messages(at(19), limit=9) == messages[1:2]
    assert await store.due_messages(at(20), limit=9) == [messages[1], replace(messages[0], next_attempt_at=at(20))]
