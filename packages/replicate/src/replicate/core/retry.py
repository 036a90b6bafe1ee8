"""When to send a request again, and after how long: pure, with time and randomness passed in.

Reading requests are repeated after network errors and on 429, 502, 503 and 504. Creates are repeated only because each carries an
Idempotency-Key that stays the same over its attempts. Nothing here sleeps: the flow yields a `Sleep`.
"""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Generator, Mapping, Optional, Type, TypeVar, Union

from replicate.core.steps import Call, Flow, Open, Repeat, Request, Send, Sleep, Step
from replicate.core.times import parse_time
from replicate.exceptions import ReplicateError, TransportError, TransportTimeoutError

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
R = TypeVar("R")

RETRIED_STATUSES = frozenset({429, 502, 503, 504})
IDEMPOTENCY_HEADER = "Idempotency-Key"


def _draw() -> float:
    return secrets.SystemRandom().random()


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently requests are repeated.

    Attributes:
        attempts_max: Attempts in total, the first included.
        backoff_seconds: Delay after the first failure; doubles with each further one.
        delay_seconds_max: Longest delay. A server that asks for more gets no retry: the error tells the caller how long to wait.
        draw: Uniform numbers in [0, 1), for jitter.
        new_key: Fresh values for the Idempotency-Key header.
        wall_clock: Unix time, only used for dates in Retry-After when the answer has no Date header.
    """

    attempts_max: int = 6
    backoff_seconds: float = 0.25
    delay_seconds_max: float = 60.0
    draw: Callable[[], float] = _draw
    new_key: Callable[[], str] = partial(secrets.token_hex, 16)
    wall_clock: Callable[[], float] = time.time

    def may_repeat(self, request: Request, attempt: int, failure: ReplicateError) -> bool:
        """Whether a request that failed at this attempt (from 1) may be sent again.

        A create that timed out may not: the server most likely has it, and a second one would wait as long.
        """
        is_slow_create = request.repeat is Repeat.KEYED and isinstance(failure, TransportTimeoutError)
        return attempt < self.attempts_max and request.repeat is not Repeat.NEVER and not is_slow_create


def delay_seconds(policy: RetryPolicy, attempt: int, *, retry_after_seconds: Optional[float] = None) -> float:
    """Return the pause after a failed attempt (from 1).

    With the server's wish: that, and up to a tenth more so that callers do not return in step. Without: half to all of the
    doubled backoff, capped.
    """
    if retry_after_seconds is not None:
        return retry_after_seconds * (1 + policy.draw() / 10)
    backoff = min(policy.backoff_seconds * 2.0 ** (attempt - 1), policy.delay_seconds_max)
    return backoff * (0.5 + policy.draw() / 2)


def parse_retry_after(headers: Mapping[str, str], *, now: float) -> Optional[float]:
    """Read how long a server asks us to wait, in seconds; None when it does not say.

    Understands ``retry-after-ms``, and ``Retry-After`` as a number, an HTTP date or an ISO date, relative to the answer's own
    ``Date`` header when it has one (so that a wrong local clock does no harm), else to ``now`` (Unix seconds).
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", milliseconds):
        return float(milliseconds) / 1000
    wish = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", wish):
        return float(wish)
    target = _parse_date(wish)
    if target is None:
        return None
    sent = _parse_date(headers.get("date", ""))
    return max(0.0, target - (now if sent is None else sent))


def _parse_date(text: str) -> Optional[float]:
    """Unix seconds of an HTTP date or an ISO date; None for anything else."""
    moment: Optional[datetime] = parse_time(text)
    if moment is None:
        try:
            moment = parsedate_to_datetime(text)
        except (TypeError, ValueError, IndexError):
            return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.timestamp()


def pause_after(policy: RetryPolicy, request: Request, attempt: int, failure: ReplicateError) -> Optional[float]:
    """Decide on one failed attempt: seconds to wait before the next, or None to give up.

    Args:
        policy: Limits and randomness.
        request: What was sent.
        attempt: Which attempt failed, from 1.
        failure: The refusal, or the network error when there was no answer at all.
    """
    wish = None
    if failure.response is not None:
        if failure.status not in RETRIED_STATUSES:
            return None
        wish = parse_retry_after(failure.response.headers, now=policy.wall_clock())
    if not policy.may_repeat(request, attempt, failure) or (wish is not None and wish > policy.delay_seconds_max):
        return None
    return delay_seconds(policy, attempt, retry_after_seconds=wish)


def attempts(operation: Call[T], policy: RetryPolicy, via: Union[Type[Send], Type[Open]] = Send) -> Flow[T]:
    """Perform one operation with as many attempts as the policy allows; raises the last attempt's error.

    Args:
        operation: What to send and how to read the answer.
        policy: Limits.
        via: `Send` for whole answers, `Open` for bodies that the flow reads itself.
    """
    request = _with_key(operation.request, policy)
    attempt = 0
    while True:
        attempt += 1
        failure: ReplicateError
        try:
            response: httpx.Response = yield via(request)
        except TransportError as error:
            failure = error
        else:
            if response.is_success:
                return operation.parse(response)
            failure = ReplicateError.from_response(response)
        pause = pause_after(policy, request, attempt, failure)
        if pause is None:
            raise failure
        yield Sleep(pause)


def _with_key(request: Request, policy: RetryPolicy) -> Request:
    """Give a create its Idempotency-Key; one that the caller set stays."""
    if request.repeat is not Repeat.KEYED or any(name.lower() == IDEMPOTENCY_HEADER.lower() for name in request.headers):
        return request
    return replace(request, headers={**request.headers, IDEMPOTENCY_HEADER: policy.new_key()})


def with_retries(flow: Generator[Any, Any, R], policy: RetryPolicy) -> Generator[Any, Any, R]:
    """Replace each `Call` of a flow by its attempts, so that flows can forget that networks fail."""
    resume: Callable[[], Step] = partial(next, flow)
    try:
        while True:
            try:
                step = resume()
            except StopIteration as finished:
                value: R = finished.value
                return value
            try:
                answer = (yield from attempts(step, policy)) if isinstance(step, Call) else (yield step)
            except Exception as error:  # noqa: BLE001  # handed back: the flow decides
                resume = partial(flow.throw, error)
            else:
                resume = partial(flow.send, answer)
    finally:
        flow.close()
