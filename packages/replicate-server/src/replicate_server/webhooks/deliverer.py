"""Delivering webhooks: a background duty that posts what lies in the outbox.

Owns the sending loop. Correctness rests on the outbox alone: a message is marked only after its answer, so a crash at any moment
means at most that it is sent again (promise W1). A wake-up only makes the loop look sooner.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from replicate_server.domain.ids import AccountId, PredictionId
from replicate_server.domain.records import WebhookMessage
from replicate_server.ports.clock import Clock, Randomness, system_randomness
from replicate_server.ports.fetching import Fetcher, FetchFailed, FetchRefused
from replicate_server.ports.store import StorageUnavailable, WebhookOutbox
from replicate_server.webhooks.composer import COMPLETED
from replicate_server.webhooks.lanes import Health, Lane, delivery_order, receiver_of
from replicate_server.webhooks.schedule import Delivered, GiveUp, Retry, Verdict, judge_answer, judge_failure
from replicate_server.webhooks.signing import build_signature_headers

log = logging.getLogger(__name__)

SecretSource = Callable[[AccountId], Awaitable[Sequence[str]]]

HELD_MAX = 512
"""Messages in memory at once, being sent or waiting in a lane."""
PAGE_MAX = 640
"""Messages read at once: more than can be held, so that a page always shows some that are not held yet."""
LOOKAHEAD = timedelta(seconds=60)
"""How far ahead of its due time a message is read, to know when to look again."""
POSTPONE_DELAYS = {
    Health.ANSWERING: timedelta(seconds=0.1),
    Health.UNPROVEN: timedelta(seconds=1),
    Health.FAILING: timedelta(seconds=15),
}
"""How much later a message is due that found no place in its lane: about as long as the lane needs to have room again."""
STORE_FAILURE_PAUSE_SECONDS = 5.0
STOP_GRACE_SECONDS = 2.0
COMPLETED_REMEMBERED_MAX = 4096
LANES_REMEMBERED_MAX = 1024


class WebhookDeliverer:
    """Posts due messages until stopped.

    Args:
        store: The outbox.
        fetcher: Posts to user URLs.
        secrets: Gives the keys that an account's messages are signed with now, the current one first.
        clock: Reads the time.
        randomness: For the jitter of retries.
    """

    def __init__(
        self,
        store: WebhookOutbox,
        fetcher: Fetcher,
        secrets: SecretSource,
        clock: Clock,
        *,
        randomness: Randomness = system_randomness,
    ) -> None:
        self._store = store
        self._fetcher = fetcher
        self._secrets = secrets
        self._clock = clock
        self._randomness = randomness
        self._lanes: OrderedDict[str, Lane] = OrderedDict()
        self._held: set[str] = set()
        # Messages that ended while a page was being read: the page still shows them as due, and they must not be sent again.
        self._ended: set[str] = set()
        self._completed: OrderedDict[PredictionId, None] = OrderedDict()
        self._woken = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._deliveries: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._loop = asyncio.create_task(self._run(), name="webhook deliverer")

    async def stop(self) -> None:
        """End. Requests under way get two seconds; one that is cut off is sent again by the next start."""
        if self._loop is None:
            return
        self._loop.cancel()
        await asyncio.wait([self._loop])
        self._loop = None
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=STOP_GRACE_SECONDS)
        for delivery in self._deliveries:
            delivery.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)

    def wake(self) -> None:
        """Look at the outbox now: something was added."""
        self._woken.set()

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                pause_seconds = await self._fill()
            except Exception:
                log.exception("the webhook outbox cannot be read")
                pause_seconds = STORE_FAILURE_PAUSE_SECONDS
            try:
                async with asyncio.timeout(pause_seconds):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _fill(self) -> float | None:
        """Take due messages into their lanes; returns when to look again, in seconds, None for not before a wake-up."""
        if len(self._held) >= HELD_MAX:
            return None
        now = self._clock.now()
        self._ended.clear()
        page = await self._store.due_messages(now + LOOKAHEAD, limit=PAGE_MAX)
        known = self._held | self._ended
        due = [message for message in page if message.next_attempt_at <= now and message.id not in known]
        refused = [message for message in sorted(due, key=delivery_order) if not self._take(message)]
        for lane in list(self._lanes.values()):
            self._send_ready(lane)
        if len(self._held) >= HELD_MAX:
            return None
        await self._put_back(refused, now=now)
        if refused or (len(page) == PAGE_MAX and page[-1].next_attempt_at <= now):
            return 0.0
        coming = [message.next_attempt_at for message in page if message.next_attempt_at > now]
        next_at = min(coming) if coming else await self._store.next_message_at()
        if next_at is None:
            return None
        # A time in the past belongs to a message that is being sent; its end wakes the loop if need be.
        return (next_at - now).total_seconds() if next_at > now else LOOKAHEAD.total_seconds()

    def _take(self, message: WebhookMessage) -> bool:
        """Hold a message in its receiver's lane; False when there is no room."""
        if len(self._held) >= HELD_MAX or not self._lane(message).admit(message):
            return False
        self._held.add(message.id)
        return True

    def _lane(self, message: WebhookMessage) -> Lane:
        receiver = receiver_of(message.url)
        lane = self._lanes.setdefault(receiver, Lane())
        self._lanes.move_to_end(receiver)
        if len(self._lanes) > LANES_REMEMBERED_MAX:
            # Held messages are fewer than remembered lanes, so one of the others is empty and only its health is forgotten.
            del self._lanes[next(name for name, other in self._lanes.items() if other.is_empty)]
        return lane

    async def _put_back(self, messages: Sequence[WebhookMessage], *, now: datetime) -> None:
        """Make room in the next page: what found no place in its lane is due a little later.

        Intermediate messages to a receiver that does not answer are dropped: they would only delay its ``completed`` ones.
        """
        later: dict[Health, list[str]] = {health: [] for health in Health}
        for message in messages:
            health = self._lane(message).health
            if health is Health.FAILING and message.event != COMPLETED:
                await self._record(message, GiveUp("dropped: the receiver does not answer"))
            else:
                later[health].append(message.id)
        for health, ids in later.items():
            if ids:
                await self._store.postpone_messages(ids, until=now + POSTPONE_DELAYS[health])

    def _send_ready(self, lane: Lane) -> None:
        """Start what the lane allows."""
        while (message := lane.next_ready()) is not None:
            delivery = asyncio.create_task(self._deliver(lane, message), name=f"webhook {message.id}")
            self._deliveries.add(delivery)
            delivery.add_done_callback(self._deliveries.discard)

    async def _deliver(self, lane: Lane, message: WebhookMessage) -> None:
        """Make one attempt and record how it went."""
        was_answered = False
        try:
            verdict, was_answered = await self._judged_attempt(message)
            await self._record(message, verdict)
        except Exception:
            # The message stays due in the outbox: better sent twice than never. Nothing else would make the loop look again.
            log.exception("a webhook attempt was not recorded", extra={"message_id": message.id})
            asyncio.get_running_loop().call_later(STORE_FAILURE_PAUSE_SECONDS, self.wake)
        was_full = len(self._held) >= HELD_MAX
        returned = lane.settle(message, was_answered=was_answered)
        self._ended.add(message.id)
        self._held.difference_update([message.id, *(other.id for other in returned)])
        if self._loop is not None:
            self._send_ready(lane)
        if was_full or returned:
            self.wake()

    async def _judged_attempt(self, message: WebhookMessage) -> tuple[Verdict, bool]:
        """Make an attempt. One that fails on our side counts too, unless the store is away, so that none goes on for ever."""
        try:
            return await self._attempt(message)
        except StorageUnavailable:
            raise
        except Exception as error:
            log.exception("a webhook could not be sent", extra={"message_id": message.id})
            return judge_failure(message, f"could not be sent: {error}", now=self._clock.now(), chance=self._chance()), True

    async def _attempt(self, message: WebhookMessage) -> tuple[Verdict, bool]:
        """Post once; returns the verdict and whether the receiver answered at all."""
        if message.event != COMPLETED and message.prediction_id in self._completed:
            return GiveUp("dropped: the prediction's completed message came first"), True
        keys = await self._secrets(message.account_id)
        now = self._clock.now()
        headers = build_signature_headers(keys, message_id=message.id, timestamp_seconds=int(now.timestamp()), body=message.body)
        try:
            answer = await self._fetcher.post(
                message.url, body=message.body, headers={"Content-Type": "application/json", **headers}
            )
        except FetchRefused as error:
            return judge_failure(message, f"refused: {error}", now=self._clock.now(), chance=self._chance()), True
        except FetchFailed as error:
            return judge_failure(message, str(error), now=self._clock.now(), chance=self._chance()), False
        return judge_answer(message, answer, now=self._clock.now(), chance=self._chance()), True

    async def _record(self, message: WebhookMessage, verdict: Verdict) -> None:
        """Write down how an attempt ended."""
        now = self._clock.now()
        match verdict:
            case Delivered():
                if message.event == COMPLETED:
                    self._remember_completed(message.prediction_id)
                await self._store.message_delivered(message.id, at=now)
            case Retry(at=next_attempt_at, error=error):
                await self._store.message_failed(message.id, at=now, error=error, next_attempt_at=next_attempt_at)
                self.wake()
            case GiveUp(error=error):
                log.info("a webhook was given up", extra={"message_id": message.id, "error": error})
                await self._store.message_failed(message.id, at=now, error=error, next_attempt_at=None)

    def _remember_completed(self, prediction_id: PredictionId) -> None:
        self._completed[prediction_id] = None
        if len(self._completed) > COMPLETED_REMEMBERED_MAX:
            self._completed.popitem(last=False)

    def _chance(self) -> float:
        return int.from_bytes(self._randomness(4), "big") / 2**32
