"""Rate limits: what a class of requests may do a minute, and the arithmetic of a token bucket. Pure: the time comes in.

A bucket is one number: the moment at which it is full again. Taking a token moves that moment by one interval, so nothing has to
be refilled, and a bucket whose moment has passed is as good as none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

WINDOW_SECONDS = 60.0
"""A bucket holds what is allowed in so long, and fills from empty in so long."""
_TOLERANCE = 1e-6
"""Sums of intervals are not exact: neither the last token nor a whole second may be lost to rounding."""


class RateClass(Enum):
    """Which bucket a route draws from (reference http-api §13.3)."""

    PREDICTION_CREATES = "prediction_creates"
    PREDICTION_READS = "prediction_reads"
    OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Rate:
    """How many requests a minute; a burst may use the whole minute's allowance at once."""

    per_minute: int

    @property
    def interval_seconds(self) -> float:
        """After so long one more request is allowed."""
        return WINDOW_SECONDS / self.per_minute


class Taking(NamedTuple):
    """What came of asking a bucket for one token."""

    full_at: float
    """When the bucket is full again; what the next taking starts from. Unchanged by a refusal."""
    remaining: int
    """Whole tokens left."""
    reset_seconds: int
    """Until the bucket is full again, rounded up."""
    retry_after_seconds: int
    """0: granted. Else: refused, and after so long a token is there."""


def take(rate: Rate, full_at: float, now: float) -> Taking:
    """Take one token.

    Args:
        rate: What is allowed.
        full_at: The ``full_at`` of the last taking; any moment not after ``now`` for a full bucket.
        now: Seconds on a clock that never goes back.
    """
    interval = rate.interval_seconds
    after = (full_at if full_at > now else now) + interval
    owed = after - now
    if owed <= WINDOW_SECONDS + _TOLERANCE:
        return Taking(after, int((WINDOW_SECONDS - owed) / interval + _TOLERANCE), math.ceil(owed - _TOLERANCE), 0)
    wait = math.ceil(owed - WINDOW_SECONDS - _TOLERANCE)
    return Taking(full_at, 0, math.ceil(full_at - now - _TOLERANCE), max(1, wait))
