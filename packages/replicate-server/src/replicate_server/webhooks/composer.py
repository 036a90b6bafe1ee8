"""Composing webhooks: which event of a prediction becomes a message, and with which bytes.

Owns the subscription filter and the throttle. Does no I/O: the caller stores the messages in the transaction of
the change they tell of.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from replicate_server.domain.ids import PredictionId, build_record_id
from replicate_server.domain.records import Prediction, WebhookMessage
from replicate_server.ports.clock import Clock, Randomness

PredictionEncoder = Callable[[Prediction], bytes]
"""Writes the body: the same JSON as the answer of GET at that moment."""

COMPLETED = "completed"
THROTTLED_EVENTS = frozenset({"output", "logs"})
# Predictions that never end properly must not pile up here; forgetting one costs at most an early message.
THROTTLE_ENTRIES_MAX = 100_000


class WebhookComposer:
    """Makes outbox rows.

    Args:
        encode: Writes a prediction as a webhook body.
        clock: Reads the time.
        randomness: For message ids.
        attempts_max: Attempts of a ``completed`` message; all others get one.
        interval_seconds: Shortest time between two ``output`` or ``logs`` messages of one prediction.
    """

    def __init__(
        self, encode: PredictionEncoder, clock: Clock, randomness: Randomness, *, attempts_max: int, interval_seconds: float
    ) -> None:
        self._encode = encode
        self._clock = clock
        self._randomness = randomness
        self._attempts_max = attempts_max
        self._interval = timedelta(seconds=interval_seconds)
        self._throttled_at: OrderedDict[PredictionId, datetime] = OrderedDict()

    def compose(self, event: str, prediction: Prediction) -> list[WebhookMessage]:
        """The messages for an event: none when nobody subscribed to it or the throttle swallows it, else one.

        Args:
            event: ``start``, ``output``, ``logs`` or ``completed``.
            prediction: As it is after the event.
        """
        subscription = prediction.webhook
        if subscription is None or event not in subscription.events:
            return []
        now = self._clock.now()
        if event in THROTTLED_EVENTS and not self._admit(prediction.id, now):
            return []
        return [
            WebhookMessage(
                id=build_record_id("msg", self._randomness(16)),
                account_id=prediction.account_id,
                prediction_id=prediction.id,
                event=event,
                url=subscription.url,
                body=self._encode(prediction),
                created_at=now,
                next_attempt_at=now,
                attempts_max=self._attempts_max if event == COMPLETED else 1,
            )
        ]

    def forget(self, prediction_id: PredictionId) -> None:
        """Drop what the throttle remembers of a prediction that has ended."""
        self._throttled_at.pop(prediction_id, None)

    def _admit(self, prediction_id: PredictionId, now: datetime) -> bool:
        last = self._throttled_at.get(prediction_id)
        # A clock that was set back must not silence a prediction, hence the absolute difference.
        if last is not None and abs(now - last) < self._interval:
            return False
        self._throttled_at[prediction_id] = now
        self._throttled_at.move_to_end(prediction_id)
        if len(self._throttled_at) > THROTTLE_ENTRIES_MAX:
            self._throttled_at.popitem(last=False)
        return True
