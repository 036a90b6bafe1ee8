"""When a webhook is tried again (promise W2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from replicate_server.domain.records import WebhookMessage
from replicate_server.ports.fetching import PostAnswer
from replicate_server.webhooks.schedule import Delivered, GiveUp, Retry, judge_answer, judge_failure, retry_delay_seconds

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MIDDLE = 0.5

MakeMessage = Callable[..., WebhookMessage]


@pytest.fixture
def message(make_message: MakeMessage) -> WebhookMessage:
    return make_message("https://example.com/hook")


def test_the_delays_are_those_that_standard_webhooks_recommends() -> None:
    delays = [retry_delay_seconds(attempts, chance=MIDDLE) for attempts in range(1, 10)]
    assert delays == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 240.0), (MIDDLE, 300.0), (1.0, 360.0)])
def test_the_jitter_is_twenty_percent_either_way(chance: float, seconds: float) -> None:
    assert retry_delay_seconds(2, chance=chance) == pytest.approx(seconds)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_a_2xx_is_a_delivery(message: WebhookMessage, status: int) -> None:
    assert judge_answer(message, PostAnswer(status, None), now=NOW, chance=MIDDLE) == Delivered()


@pytest.mark.parametrize("status", [199, 301, 304, 400, 404, 429, 500, 503])
def test_anything_else_is_tried_again(message: WebhookMessage, status: int) -> None:
    verdict = judge_answer(message, PostAnswer(status, None), now=NOW, chance=MIDDLE)
    assert verdict == Retry(NOW + timedelta(seconds=5), f"the receiver answered with status {status}")


def test_410_gives_up_at_once(message: WebhookMessage) -> None:
    assert isinstance(judge_answer(message, PostAnswer(410, 1.0), now=NOW, chance=MIDDLE), GiveUp)


@pytest.mark.parametrize(("retry_after", "seconds"), [(120.0, 120.0), (1.0, 5.0), (1e9, 86400.0)])
def test_retry_after_moves_the_next_attempt_back_but_never_forward(
    message: WebhookMessage, retry_after: float, seconds: float
) -> None:
    verdict = judge_answer(message, PostAnswer(503, retry_after), now=NOW, chance=MIDDLE)
    assert verdict == Retry(NOW + timedelta(seconds=seconds), "the receiver answered with status 503")


def test_the_last_attempt_gives_up(message: WebhookMessage) -> None:
    assert judge_failure(replace(message, attempts=9), "no answer", now=NOW, chance=MIDDLE) == GiveUp("no answer")


def test_an_intermediate_message_has_one_attempt(make_message: MakeMessage) -> None:
    message = make_message("https://example.com/hook", event="output")
    assert judge_failure(message, "no answer", now=NOW, chance=MIDDLE) == GiveUp("no answer")
