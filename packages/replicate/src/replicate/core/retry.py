"""When to send a request again, and after how long: pure, with time and randomness passed in.

Reading requests are repeated after network errors and on 429, 502, 503 and 504. Creates are repeated when the server surely has
not processed them, and otherwise only where it has shown that it honours their Idempotency-Key. Nothing here sleeps: the flow
yields a `Sleep`. Source: docs/decisions/0071-retries-and-idempotency-keys.md.
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
from replicate.exceptions import ConnectionFailedError, ReplicateError, TransportError, TransportTimeoutError

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
R = TypeVar("R")

RETRIED_STATUSES = frozenset({429, 502, 503, 504})
REFUSED_STATUSES = frozenset({429, 503})
"""Answers that say that the request was not processed. A gateway's 502 or 504 may come after the server has read it."""
IDEMPOTENCY_HEADER = "Idempotency-Key"


def _draw() -> float:
    return secrets.SystemRandom().random()


@dataclass
class KeyEvidence:
    """What one server has shown of idempotency keys. Each client keeps one; it only ever turns to yes."""

    is_honoured: bool = False

    def look_at(self, request: Request, response: httpx.Response) -> None:
        """Learn from an answer: a server that honours keys sends back the key of the request."""
        key = _key_of(request)
        if key is not None and response.headers.get(IDEMPOTENCY_HEADER) == key:
            self.is_honoured = True


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

    def may_repeat(self, request: Request, attempt: int, failure: ReplicateError, evidence: KeyEvidence) -> bool:
        """Whether a request that failed at this attempt (from 1) may be sent again.

        A create may be when the server surely has not processed it, or is known to honour its key. One that timed out may not:
        the server most likely has it, and a second one would wait as long.
        """
        if attempt >= self.attempts_max or request.repeat is Repeat.NEVER:
            return False
        if request.repeat is Repeat.SAFE or is_unprocessed(failure):
            return True
        return evidence.is_honoured and not isinstance(failure, TransportTimeoutError)


def is_unprocessed(failure: ReplicateError) -> bool:
    """Whether a failure proves that the server did not act on the request: no connection was made, or it refused."""
    return isinstance(failure, ConnectionFailedError) or (failure.response is not None and failure.status in REFUSED_STATUSES)


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


def pause_after(
    policy: RetryPolicy, request: Request, attempt: int, failure: ReplicateError, evidence: KeyEvidence
) -> Optional[float]:
    """Decide on one failed attempt: seconds to wait before the next, or None to give up.

    Args:
        policy: Limits and randomness.
        request: What was sent.
        attempt: Which attempt failed, from 1.
        failure: The refusal, or the network error when there was no answer at all.
        evidence: What is known of the server.
    """
    wish = None
    if failure.response is not None:
        if failure.status not in RETRIED_STATUSES:
            return None
        wish = parse_retry_after(failure.response.headers, now=policy.wall_clock())
    if not policy.may_repeat(request, attempt, failure, evidence) or (wish is not None and wish > policy.delay_seconds_max):
        return None
    return delay_seconds(policy, attempt, retry_after_seconds=wish)


def attempts(
    operation: Call[T],
    policy: RetryPolicy,
    via: Union[Type[Send], Type[Open]] = Send,
    evidence: Optional[KeyEvidence] = None,
) -> Flow[T]:
    """Perform one operation with as many attempts as the policy allows; raises the last attempt's error.

    Args:
        operation: What to send and how to read the answer.
        policy: Limits.
        via: `Send` for whole answers, `Open` for bodies that the flow reads itself.
        evidence: What is known of the server, to be used and added to; nothing when None.
    """
    evidence = KeyEvidence() if evidence is None else evidence
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
            evidence.look_at(request, response)
            if response.is_success:
                return operation.parse(response)
            failure = ReplicateError.from_response(response)
        pause = pause_after(policy, request, attempt, failure, evidence)
        if pause is None:
            raise failure
        yield Sleep(pause)


def _key_of(request: Request) -> Optional[str]:
    """The request's Idempotency-Key, in whatever case the caller wrote the name."""
    return next((value for name, value in request.headers.items() if name.lower() == IDEMPOTENCY_HEADER.lower()), None)


def _with_key(request: Request, policy: RetryPolicy) -> Request:
    """Give a create its Idempotency-Key; one that the caller set stays."""
    if request.repeat is not Repeat.KEYED or _key_of(request) is not None:
        return request
    return replace(request, headers={**request.headers, IDEMPOTENCY_HEADER: policy.new_key()})


def with_retries(
    flow: Generator[Any, Any, R], policy: RetryPolicy, evidence: Optional[KeyEvidence] = None
) -> Generator[Any, Any, R]:
    """Replace each `Call` of a flow by its attempts, so that flows can forget that networks fail."""
    evidence = KeyEvidence() if evidence is None else evidence
    resume: Callable[[], Step] = partial(next, flow)
    try:
        while True:
            try:
                step = resume()
            except StopIteration as finished:
                value: R = finished.value
                return value
            try:
                answer = (yield from attempts(step, policy, evidence=evidence)) if isinstance(step, Call) else (yield step)
            except Exception as error:  # noqa: BLE001  # handed back: the flow decides
                resume = partial(flow.throw, error)
            else:
                resume = partial(flow.send, answer)
    finally:
        flow.close()
