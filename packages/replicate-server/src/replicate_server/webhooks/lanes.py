"""Lanes: one per receiver, so that a receiver that hangs holds up nobody but itself.

Owns which held message may be sent next. Pure bookkeeping: no clock, no I/O; the deliverer acts on what `admit` and
`next_ready` say.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlsplit

from replicate_server.domain.ids import PredictionId
from replicate_server.domain.records import WebhookMessage

ACTIVE_MAX = 8

# A tie of times is broken so that `completed` comes last.
EVENT_ORDER = {"start": 0, "output": 1, "logs": 1, "completed": 2}


class Health(Enum):
    """What is known of a receiver; the value is how many messages its lane holds at most, active ones included."""

    FAILING = 1
    """The last attempt got no answer: one probe at a time, until one is answered."""
    UNPROVEN = 24
    """No attempt has ended yet."""
    ANSWERING = 128
    """The last attempt was answered, with whatever status."""


def delivery_order(message: WebhookMessage) -> tuple[object, ...]:
    """Sort key of due messages: the oldest first, and within a moment in the order of a prediction's life."""
    return (message.created_at, EVENT_ORDER.get(message.event, 1))


def receiver_of(url: str) -> str:
    """What a lane is named by: scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


@dataclass(slots=True)
class Lane:
    """The held messages of one receiver. At most one message of a prediction is sent at a time, in order (promise W7)."""

    health: Health = Health.UNPROVEN
    waiting: deque[WebhookMessage] = field(default_factory=deque)
    active: set[PredictionId] = field(default_factory=set)

    @property
    def is_empty(self) -> bool:
        """Whether it holds nothing."""
        return not self.waiting and not self.active

    def admit(self, message: WebhookMessage) -> bool:
        """Take a message in; False when the lane is full and the message must come again later."""
        if len(self.waiting) + len(self.active) >= self.health.value:
            return False
        self.waiting.append(message)
        return True

    def next_ready(self) -> WebhookMessage | None:
        """Take out the first waiting message that may be sent now, and count it as active."""
        if len(self.active) >= min(ACTIVE_MAX, self.health.value):
            return None
        for index, message in enumerate(self.waiting):
            if message.prediction_id not in self.active:
                del self.waiting[index]
                self.active.add(message.prediction_id)
                return message
        return None

    def settle(self, message: WebhookMessage, *, was_answered: bool) -> list[WebhookMessage]:
        """End an active message. Without an answer, what still waits is handed back: it stays in the outbox for later."""
        self.active.discard(message.prediction_id)
        self.health = Health.ANSWERING if was_answered else Health.FAILING
        if was_answered:
            return []
        returned = list(self.waiting)
        self.waiting.clear()
        return returned
