"""Token buckets: exact over time, truthful about when to come back, and small in memory."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replicate_server.domain.errors import RateLimited
from replicate_server.domain.ids import AccountId
from replicate_server.domain.rate_limits import WINDOW_SECONDS, Rate, RateClass, take
from replicate_server.services.rate_limiter import SWEEP_AT_LEAST, RateLimiter

ADA, BOB = AccountId("acct_a"), AccountId("acct_b")
CREATES, OTHERS = RateClass.PREDICTION_CREATES, RateClass.OTHERS


@dataclass
class Monotonic:
    """A clock that tests move."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Monotonic:
    return Monotonic()


def drain(limiter: RateLimiter, account: AccountId, kind: RateClass, count: int) -> None:
    for _ in range(count):
        limiter.take(account, kind)


def test_a_full_bucket_says_what_is_left_after_each_taking() -> None:
    first = take(Rate(600), 0.0, 1000.0)
    second = take(Rate(600), first.full_at, 1000.0)
    assert (first.remaining, first.reset_seconds) == (599, 1)
    assert (second.remaining, second.reset_seconds) == (598, 1)


def test_a_minutes_allowance_may_be_used_at_once_and_no_more(clock: Monotonic) -> None:
    limiter = RateLimiter({CREATES: 600}, clock)
    drain(limiter, ADA, CREATES, 600)
    with pytest.raises(RateLimited, match=r"Your rate limit resets in ~1s\."):
        limiter.take(ADA, CREATES)


def test_a_request_after_the_named_wait_is_granted_and_one_before_the_token_is_not(clock: Monotonic) -> None:
    limiter = RateLimiter({CREATES: 6}, clock)
    drain(limiter, ADA, CREATES, 6)
    clock.seconds += 9.5
    with pytest.raises(RateLimited) as refused:
        limiter.take(ADA, CREATES)
    clock.seconds += int(refused.value.headers["Retry-After"])
    assert refused.value.headers["Retry-After"] == "1"
    assert limiter.take(ADA, CREATES) is not None


def test_an_eager_client_gets_the_allowed_number_over_an_hour_within_five_per_cent(clock: Monotonic) -> None:
    limiter = RateLimiter({CREATES: 600}, clock)
    granted = 0
    for _ in range(20 * 3600):
        clock.seconds += 0.05
        try:
            limiter.take(ADA, CREATES)
        except RateLimited:
            continue
        granted += 1
    assert 600 * 60 <= granted <= 600 * 60 * 1.05


@given(st.integers(1, 100_000), st.lists(st.floats(0, 120), max_size=60))
def test_no_window_ever_grants_more_than_the_bucket_and_its_refill(per_minute: int, pauses: list[float]) -> None:
    rate, full_at, now, granted = Rate(per_minute), 0.0, 0.0, 0
    for pause in pauses:
        now += pause
        taking = take(rate, full_at, now)
        full_at = taking.full_at
        granted += taking.retry_after_seconds == 0
        assert 0 <= taking.remaining < per_minute
        assert 0 <= taking.reset_seconds <= WINDOW_SECONDS + 1
    assert granted <= per_minute + now * per_minute / WINDOW_SECONDS + 1


def test_accounts_and_classes_have_buckets_of_their_own(clock: Monotonic) -> None:
    limiter = RateLimiter({CREATES: 1, OTHERS: 1}, clock)
    drain(limiter, ADA, CREATES, 1)
    assert limiter.take(ADA, OTHERS) is not None
    assert limiter.take(BOB, CREATES) is not None


def test_zero_lifts_a_limit(clock: Monotonic) -> None:
    limiter = RateLimiter({CREATES: 0}, clock)
    assert limiter.take(ADA, CREATES) is None
    assert limiter.bucket_count == 0


def test_buckets_of_idle_accounts_are_dropped(clock: Monotonic) -> None:
    limiter = RateLimiter({CREATES: 600}, clock)
    for number in range(20 * SWEEP_AT_LEAST):
        clock.seconds += 0.01
        limiter.take(AccountId(f"acct_{number}"), CREATES)
    assert limiter.bucket_count <= SWEEP_AT_LEAST + 1
