"""The rate limiter: a token bucket for each account and class of requests, in this process.

Owns the buckets and their memory. It knows no routes and no HTTP; the arithmetic is `domain.rate_limits`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from replicate_server.domain.errors import RateLimited
from replicate_server.domain.ids import AccountId
from replicate_server.domain.rate_limits import Rate, RateClass, Taking, take

SWEEP_AT_LEAST = 1024
"""Buckets of one class that may lie around before idle ones are looked for."""


class RateLimiter:
    """Counts requests. Memory is bounded by the accounts active in the last minute: full buckets are dropped."""

    def __init__(self, per_minute: Mapping[RateClass, int], monotonic: Callable[[], float]) -> None:
        """Begin with full buckets.

        Args:
            per_minute: Requests a minute by class; 0 or absent lifts the limit.
            monotonic: Seconds on a clock that never goes back.
        """
        self._rates = {kind: Rate(count) for kind, count in per_minute.items() if count > 0}
        self._buckets: dict[RateClass, dict[AccountId, float]] = {kind: {} for kind in self._rates}
        self._sweep_at = dict.fromkeys(self._rates, SWEEP_AT_LEAST)
        self._monotonic = monotonic

    def take(self, account_id: AccountId, kind: RateClass) -> Taking | None:
        """Count one request of an account; None where nothing is limited.

        Raises:
            RateLimited: If it is one too many.
        """
        rate = self._rates.get(kind)
        if rate is None:
            return None
        buckets = self._buckets[kind]
        now = self._monotonic()
        taking = take(rate, buckets.get(account_id, now), now)
        if taking.retry_after_seconds:
            raise RateLimited(taking)
        buckets[account_id] = taking.full_at
        if len(buckets) > self._sweep_at[kind]:
            self._sweep(kind, now)
        return taking

    @property
    def bucket_count(self) -> int:
        """Buckets in memory."""
        return sum(map(len, self._buckets.values()))

    def _sweep(self, kind: RateClass, now: float) -> None:
        """Drop full buckets. The next sweep comes at twice what is left, so that one costs little per request."""
        left = {account_id: full_at for account_id, full_at in self._buckets[kind].items() if full_at > now}
        self._buckets[kind] = left
        self._sweep_at[kind] = max(SWEEP_AT_LEAST, 2 * len(left))
