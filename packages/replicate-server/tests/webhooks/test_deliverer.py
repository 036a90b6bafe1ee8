"""Delivery over real sockets (promises W1, W3, W6, W7)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from replicate_server.domain.ids import AccountId
from replicate_server.domain.records import WebhookMessage
from replicate_server.fetching import GuardedFetcher
from replicate_server.ports.store import StorageUnavailable
from replicate_server.webhooks.deliverer import WebhookDeliverer
from replicate_server.webhooks.signing import build_signature_headers
from standardwebhooks import Webhook

pytestmark = pytest.mark.anyio

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MakeMessage = Callable[..., WebhookMessage]


def all_delivered(outbox: Any) -> bool:
    return all(message.delivered_at for message in outbox.messages.values())


def all_settled(outbox: Any) -> bool:
    return all(message.delivered_at or message.failed_at for message in outbox.messages.values())


@pytest.fixture
async def build_deliverer(outbox: Any, clock: Any) -> AsyncIterator[Callable[..., WebhookDeliverer]]:
    """Makes deliverers on the outbox, as a restarted server would."""
    fetchers: list[GuardedFetcher] = []
    deliverers: list[WebhookDeliverer] = []

    async def keys(account_id: AccountId) -> list[str]:
        return [SECRET]

    def build(timeout_seconds: float = 15.0) -> WebhookDeliverer:
        fetchers.append(GuardedFetcher(allows_private=True, clock=clock, post_timeout_seconds=timeout_seconds))
        deliverers.append(WebhookDeliverer(outbox, fetchers[-1], keys, clock, randomness=lambda count: b"\x80" + b"\0" * 3))
        return deliverers[-1]

    yield build
    for deliverer in deliverers:
        await deliverer.stop()
    for fetcher in fetchers:
        await fetcher.close()


@pytest.fixture
def deliverer(build_deliverer: Callable[..., WebhookDeliverer]) -> WebhookDeliverer:
    return build_deliverer()


async def test_a_message_is_posted_signed_and_marked(
    deliverer: WebhookDeliverer, outbox: Any, clock: Any, open_receiver: Any, make_message: MakeMessage
) -> None:
    receiver = await open_receiver()
    message = make_message(receiver.url)
    outbox.add(message)
    deliverer.start()
    await outbox.until(all_delivered)
    [request] = receiver.received
    assert (request.path, request.body) == ("/hook?id=7", message.body)
    expected = build_signature_headers(
        [SECRET], message_id=message.id, timestamp_seconds=int(clock.now().timestamp()), body=message.body
    )
    assert {name.lower(): value for name, value in expected.items()}.items() <= request.headers.items()
    assert request.headers["content-type"] == "application/json"


async def test_a_message_added_later_is_sent_after_a_wake_up(
    deliverer: WebhookDeliverer, outbox: Any, open_receiver: Any, make_message: MakeMessage
) -> None:
    receiver = await open_receiver()
    deliverer.start()
    await asyncio.sleep(0)
    outbox.add(make_message(receiver.url))
    deliverer.wake()
    await outbox.until(all_delivered)
    assert len(receiver.received) == 1


async def test_a_retry_sends_the_same_bytes_and_id_with_a_fresh_timestamp_and_signature(
    deliverer: WebhookDeliverer, outbox: Any, clock: Any, open_receiver: Any, make_message: MakeMessage
) -> None:
    receiver = await open_receiver()
    receiver.statuses = ["500 Internal Server Error"]
    message = make_message(receiver.url)
    outbox.add(message)
    deliverer.start()
    await outbox.until(lambda box: box.messages[message.id].attempts == 1)
    assert outbox.messages[message.id].next_attempt_at == clock.now() + timedelta(seconds=5)
    clock.advance(5)
    deliverer.wake()
    await outbox.until(all_delivered)
    first, second = receiver.received
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert int(second.headers["webhook-timestamp"]) == int(first.headers["webhook-timestamp"]) + 5
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


async def test_a_retry_comes_by_its_timer_without_a_wake_up(
    build_deliverer: Callable[..., WebhookDeliverer], outbox: Any, clock: Any, open_receiver: Any, make_message: MakeMessage
) -> None:
    receiver = await open_receiver()
    outbox.add(make_message(receiver.url, next_attempt_at=clock.now() + timedelta(seconds=0.05)))
    deliverer = build_deliverer()
    started = asyncio.get_running_loop().time()
    clock.now = lambda: clock.moment + timedelta(seconds=asyncio.get_running_loop().time() - started)
    deliverer.start()
    await outbox.until(all_delivered)
    assert outbox.reads <= 4


async def test_a_new_deliverer_sends_what_an_old_one_did_not_mark(
    build_deliverer: Callable[..., WebhookDeliverer], outbox: Any, open_receiver: Any, make_message: MakeMessage
) -> None:
    receiver = await open_receiver()
    receiver.hold = asyncio.Event()
    outbox.add(make_message(receiver.url))
    crashed = build_deliverer(timeout_seconds=0.05)
    crashed._record = lambda message, verdict: asyncio.sleep(0)  # type: ignore[method-assign]
    crashed.start()
    await receiver.arrived.wait()
    await crashed.stop()
    receiver.hold.set()
    build_deliverer().start()
    await outbox.until(all_delivered)
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    assert len(receiver.received) == 2


async def test_an_attempt_that_could_not_be_recorded_is_looked_at_again_without_a_wake_up(
    deliverer: WebhookDeliverer, outbox: Any, open_receiver: Any, make_message: MakeMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replicate_server.webhooks.deliverer.STORE_FAILURE_PAUSE_SECONDS", 0.01)
    receiver = await open_receiver()
    outbox.add(make_message(receiver.url))
    mark = outbox.message_delivered

    async def refuse_once(*arguments: Any, **named: Any) -> None:
        outbox.message_delivered = mark
        raise StorageUnavailable("disk full")

    outbox.message_delivered = refuse_once
    deliverer.start()
    await outbox.until(all_delivered)
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1


async def test_an_attempt_that_fails_on_our_side_counts_and_is_not_repeated_for_ever(
    deliverer: WebhookDeliverer, outbox: Any, make_message: MakeMessage
) -> None:
    outbox.add(make_message("http://127.0.0.1:9/hook", event="logs"))

    async def broken(account_id: AccountId) -> list[str]:
        raise ValueError("not a secret")

    deliverer._secrets = broken
    deliverer.start()
    await outbox.until(all_settled)
    [message] = outbox.messages.values()
    assert (message.attempts, message.last_error) == (1, "could not be sent: not a secret")


async def test_intermediate_messages_come_before_completed_and_one_at_a_time(
    deliverer: WebhookDeliverer, outbox: Any, open_receiver: Any, make_message: MakeMessage
) -> None:
    receiver = await open_receiver()
    events = ["start", "output", "logs", "output", "completed"]
    outbox.add(*(make_message(receiver.url, event=event, prediction="p", body=str(n).encode()) for n, event in enumerate(events)))
    deliverer.start()
    await outbox.until(all_delivered)
    assert receiver.bodies == [b"0", b"1", b"2", b"3", b"4"]
    assert receiver.concurrent_max == 1


async def test_nothing_is_sent_after_completed_was_delivered(
    deliverer: WebhookDeliverer, outbox: Any, open_receiver: Any, make_message: MakeMessage
) -> None:
    receiver = await open_receiver()
    outbox.add(make_message(receiver.url, prediction="p"))
    deliverer.start()
    await outbox.until(all_delivered)
    late = make_message(receiver.url, event="output", prediction="p")
    outbox.add(late)
    deliverer.wake()
    await outbox.until(all_settled)
    assert outbox.messages[late.id].failed_at is not None
    assert len(receiver.received) == 1


async def test_a_failed_intermediate_message_is_not_repeated(
    deliverer: WebhookDeliverer, outbox: Any, open_receiver: Any, make_message: MakeMessage
) -> None:
    receiver = await open_receiver()
    receiver.statuses = ["503 Service Unavailable"]
    outbox.add(make_message(receiver.url, event="output"))
    deliverer.start()
    await outbox.until(all_settled)
    assert len(receiver.received) == 1


async def test_a_redirect_is_a_failure_and_410_ends_the_attempts(
    deliverer: WebhookDeliverer, outbox: Any, clock: Any, open_receiver: Any, make_message: MakeMessage
) -> None:
    receiver = await open_receiver()
    receiver.statuses = ["302 Found", "410 Gone"]
    message = make_message(receiver.url)
    outbox.add(message)
    deliverer.start()
    await outbox.until(lambda box: box.messages[message.id].attempts == 1)
    clock.advance(10)
    deliverer.wake()
    await outbox.until(all_settled)
    assert outbox.messages[message.id].last_error == "the receiver answered with status 410"


async def test_one_receiver_gets_a_bounded_number_of_requests_at_once(
    deliverer: WebhookDeliverer, outbox: Any, open_receiver: Any, make_message: MakeMessage
) -> None:
    receiver = await open_receiver()
    outbox.add(*(make_message(receiver.url) for _ in range(60)))
    deliverer.start()
    await asyncio.sleep(0)
    await outbox.until(lambda box: sum(1 for message in box.messages.values() if message.delivered_at) >= 24)
    assert receiver.concurrent_max <= 8


async def test_a_black_hole_harms_nobody_else(
    build_deliverer: Callable[..., WebhookDeliverer], outbox: Any, open_receiver: Any, make_message: MakeMessage
) -> None:
    black_hole, good = await open_receiver(), await open_receiver()
    black_hole.hold = asyncio.Event()
    outbox.add(*(make_message(black_hole.url, id=f"msg_a{n:04}") for n in range(1500)))
    good_ids = [f"msg_z{n}" for n in range(20)]
    outbox.add(*(make_message(good.url, id=name) for name in good_ids))
    build_deliverer().start()
    await outbox.until(lambda box: all(box.messages[name].delivered_at for name in good_ids))
    assert len(black_hole.received) <= 8
    assert all(message.attempts == 0 for message in outbox.messages.values())


async def test_a_receiver_that_does_not_answer_is_probed_one_at_a_time_and_loses_its_intermediate_messages(
    build_deliverer: Callable[..., WebhookDeliverer], outbox: Any, open_receiver: Any, make_message: MakeMessage
) -> None:
    black_hole = await open_receiver()
    black_hole.hold = asyncio.Event()
    outbox.add(make_message(black_hole.url))
    deliverer = build_deliverer(timeout_seconds=0.05)
    deliverer.start()
    await outbox.until(lambda box: box.messages["msg_00001"].attempts == 1)
    outbox.add(*(make_message(black_hole.url, event="output") for _ in range(10)), make_message(black_hole.url))
    deliverer.wake()
    await outbox.until(lambda box: all(message.failed_at for message in box.messages.values() if message.event == "output"))


async def test_the_public_verifier_accepts_a_delivered_message(
    deliverer: WebhookDeliverer, outbox: Any, clock: Any, open_receiver: Any, make_message: MakeMessage
) -> None:
    from replicate_server.ports.clock import SystemClock

    clock.now = SystemClock().now
    receiver = await open_receiver()
    outbox.add(make_message(receiver.url))
    deliverer.start()
    await outbox.until(all_delivered)
    [request] = receiver.received
    assert Webhook(SECRET).verify(request.body, request.headers) == {"n": 1}
