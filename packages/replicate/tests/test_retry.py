"""Retries: which requests, after how long, with which key; no clock and no network."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from replicate.core.retry import KeyEvidence, RetryPolicy, attempts, delay_seconds, parse_retry_after, with_retries
from replicate.core.steps import Call, Repeat, Request, Send, Sleep, call
from replicate.exceptions import (
    ConnectionFailedError,
    RateLimitError,
    ReplicateError,
    ServerError,
    TransportError,
    TransportTimeoutError,
)

POLICY = RetryPolicy(attempts_max=3, backoff_seconds=1.0, draw=lambda: 0.0, new_key=lambda: "key-1", wall_clock=lambda: 1000.0)
GET = Call(Request("GET", "/v1/account"), lambda response: response.json())
CREATE = Call(Request("POST", "/v1/predictions", json={}, repeat=Repeat.KEYED), lambda response: response.json())


def finish(flow: Any, answer: httpx.Response) -> Any:
    with pytest.raises(StopIteration) as finished:
        flow.send(answer)
    return finished.value.value


def answer(flow: Any, failure: Any) -> Any:
    """Answer with a status, or raise an error where the answer was to come."""
    return flow.throw(failure) if isinstance(failure, Exception) else flow.send(httpx.Response(failure))


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_refusal_that_may_pass_is_tried_again_after_a_pause(status: int) -> None:
    flow = attempts(GET, POLICY)
    assert next(flow) == Send(GET.request)
    assert flow.send(httpx.Response(status)) == Sleep(0.5)
    assert flow.send(None) == Send(GET.request)
    assert finish(flow, httpx.Response(200, json={"ok": 1})) == {"ok": 1}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500])
def test_a_refusal_that_stays_is_raised_at_once(status: int) -> None:
    flow = attempts(GET, POLICY)
    next(flow)
    with pytest.raises(ReplicateError):
        flow.send(httpx.Response(status))


def test_a_network_error_is_tried_again_and_raised_when_attempts_are_spent() -> None:
    flow = attempts(GET, POLICY)
    next(flow)
    for pause in (0.5, 1.0):
        assert flow.throw(TransportError("gone")) == Sleep(pause)
        assert flow.send(None) == Send(GET.request)
    with pytest.raises(TransportError, match="gone again"):
        flow.throw(TransportError("gone again"))


def test_a_create_keeps_one_idempotency_key_over_its_attempts() -> None:
    keys = iter(["first", "second"])
    flow = attempts(CREATE, RetryPolicy(draw=lambda: 0.0, new_key=lambda: next(keys)))
    sent = next(flow)
    flow.throw(ConnectionFailedError("refused"))
    assert isinstance(sent, Send)
    assert sent.request.headers == {"Idempotency-Key": "first"}
    assert flow.send(None) == sent


@pytest.mark.parametrize("failure", [TransportError("lost"), 502, 504])
def test_a_create_that_may_have_been_processed_is_sent_once_to_a_server_not_known_to_honour_keys(failure: Any) -> None:
    flow = attempts(CREATE, POLICY)
    next(flow)
    with pytest.raises(ReplicateError):
        answer(flow, failure)


@pytest.mark.parametrize("failure", [TransportError("lost"), 502, 504])
def test_a_create_that_may_have_been_processed_is_repeated_where_keys_are_honoured(failure: Any) -> None:
    evidence = KeyEvidence()
    first = attempts(CREATE, POLICY, evidence=evidence)
    next(first)
    finish(first, httpx.Response(201, json={}, headers={"Idempotency-Key": "key-1"}))
    flow = attempts(CREATE, POLICY, evidence=evidence)
    next(flow)
    assert answer(flow, failure) == Sleep(0.5)


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "another"}])
def test_an_answer_without_the_requests_own_key_proves_nothing(headers: dict[str, str]) -> None:
    evidence = KeyEvidence()
    flow = attempts(CREATE, POLICY, evidence=evidence)
    next(flow)
    finish(flow, httpx.Response(201, json={}, headers=headers))
    assert not evidence.is_honoured


@pytest.mark.parametrize("failure", [ConnectionFailedError("refused"), 429, 503])
def test_a_create_that_was_surely_not_processed_is_repeated(failure: Any) -> None:
    flow = attempts(CREATE, POLICY)
    next(flow)
    assert answer(flow, failure) == Sleep(0.5)


def test_a_create_that_timed_out_is_not_sent_again() -> None:
    flow = attempts(CREATE, POLICY, evidence=KeyEvidence(is_honoured=True))
    next(flow)
    with pytest.raises(TransportTimeoutError):
        flow.throw(TransportTimeoutError("slow"))


def test_a_body_that_cannot_be_rewound_is_sent_once() -> None:
    flow = attempts(Call(Request("POST", "/v1/files", repeat=Repeat.NEVER), lambda response: None), POLICY)
    next(flow)
    with pytest.raises(TransportError):
        flow.throw(TransportError("lost"))


def test_a_wish_beyond_the_limit_is_told_to_the_caller_instead_of_waited_for() -> None:
    flow = attempts(GET, POLICY)
    next(flow)
    with pytest.raises(RateLimitError):
        flow.send(httpx.Response(429, headers={"retry-after": "61"}))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Thu, 01 Jan 1970 00:16:45 GMT"}, 5.0),
        ({"retry-after": "1970-01-01T00:16:42Z"}, 2.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:07 GMT", "date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 7.0),
        ({"retry-after": "soon"}, None),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert parse_retry_after(httpx.Headers(headers), now=1000.0) == seconds


@given(attempt=st.integers(1, 60), draw=st.floats(0, 1, exclude_max=True))
def test_the_backoff_grows_within_its_bounds(attempt: int, draw: float) -> None:
    policy = RetryPolicy(backoff_seconds=0.25, delay_seconds_max=60.0, draw=lambda: draw)
    full = min(0.25 * 2.0 ** (attempt - 1), 60.0)
    assert full / 2 <= delay_seconds(policy, attempt) <= full


@given(wish=st.floats(0, 60), draw=st.floats(0, 1, exclude_max=True))
def test_the_servers_wish_is_never_undercut(wish: float, draw: float) -> None:
    policy = RetryPolicy(draw=lambda: draw)
    assert wish <= delay_seconds(policy, 1, retry_after_seconds=wish) <= wish * 1.1


def test_the_error_of_the_last_attempt_reaches_the_flow_that_called() -> None:
    def flow() -> Any:
        try:
            yield from call(GET)
        except ServerError:
            return "handled"

    driven = with_retries(flow(), RetryPolicy(attempts_max=1))
    next(driven)
    assert finish(driven, httpx.Response(503)) == "handled"
