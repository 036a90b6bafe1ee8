"""When a webhook is tried again: the schedule as a table and one pure decision.

Owns promise W2. Reads no clock and draws no random numbers: both come in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from replicate_server.domain.records import WebhookMessage
from replicate_server.ports.fetching import PostAnswer

MINUTE, HOUR = 60.0, 3600.0

# The schedule that Standard Webhooks recommends: how long after each failed attempt the next one is made. The last delay repeats.
DELAYS_SECONDS = (5.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
JITTER = 0.2
RETRY_AFTER_SECONDS_MAX = 24 * HOUR
GONE = 410


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver took it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again at a time."""

    at: datetime
    error: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Never try again."""

    error: str


Verdict = Delivered | Retry | GiveUp


def retry_delay_seconds(attempts: int, *, chance: float) -> float:
    """The delay after a number of failed attempts, ±20 % by ``chance`` in [0, 1)."""
    delay = DELAYS_SECONDS[min(attempts, len(DELAYS_SECONDS)) - 1]
    return delay * (1 - JITTER + 2 * JITTER * chance)


def judge_answer(message: WebhookMessage, answer: PostAnswer, *, now: datetime, chance: float) -> Verdict:
    """Decide by what the receiver answered. Only 2xx counts: a redirect is a failure, for the body went nowhere."""
    if 200 <= answer.status < 300:
        return Delivered()
    error = f"the receiver answered with status {answer.status}"
    if answer.status == GONE:
        return GiveUp(error)
    return judge_failure(message, error, now=now, chance=chance, retry_after_seconds=answer.retry_after_seconds or 0.0)


def judge_failure(
    message: WebhookMessage, error: str, *, now: datetime, chance: float, retry_after_seconds: float = 0.0
) -> Verdict:
    """Decide after a failed attempt: again by the schedule, no sooner than the receiver asked for, or never."""
    attempts = message.attempts + 1
    if attempts >= message.attempts_max:
        return GiveUp(error)
    delay = max(retry_delay_seconds(attempts, chance=chance), min(retry_after_seconds, RETRY_AFTER_SECONDS_MAX))
    return Retry(now + timedelta(seconds=delay), error)
