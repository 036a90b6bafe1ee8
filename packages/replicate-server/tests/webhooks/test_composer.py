"""Which events become messages (promise W7's throttle)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from replicate_server.domain.ids import AccountId, ModelId, PredictionId, VersionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Prediction, WebhookSubscription
from replicate_server.webhooks.composer import WebhookComposer

ALL = frozenset({"start", "output", "logs", "completed"})


def build_prediction(prediction_id: str = "p1", events: frozenset[str] = ALL) -> Prediction:
    return Prediction(
        id=PredictionId(prediction_id),
        account_id=AccountId("acct_1"),
        model_id=ModelId("model_1"),
        model="o/m",
        version_id=VersionId("0" * 64),
        status=Status.PROCESSING,
        input={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        webhook=WebhookSubscription("https://example.com/h", events),
    )


@pytest.fixture
def composer(clock: Any) -> WebhookComposer:
    return WebhookComposer(
        lambda prediction: prediction.id.encode(), clock, lambda count: b"\x07" * count, attempts_max=10, interval_seconds=0.5
    )


def test_a_message_carries_the_encoded_prediction(composer: WebhookComposer, clock: Any) -> None:
    [message] = composer.compose("completed", build_prediction())
    assert (message.body, message.url, message.event) == (b"p1", "https://example.com/h", "completed")
    assert message.id.startswith("msg_")
    assert message.next_attempt_at == clock.now()


@pytest.mark.parametrize(("event", "attempts_max"), [("start", 1), ("output", 1), ("logs", 1), ("completed", 10)])
def test_only_completed_is_retried(composer: WebhookComposer, event: str, attempts_max: int) -> None:
    assert composer.compose(event, build_prediction())[0].attempts_max == attempts_max


def test_a_prediction_without_a_webhook_has_no_messages(composer: WebhookComposer) -> None:
    assert composer.compose("completed", replace(build_prediction(), webhook=None)) == []


def test_an_event_that_nobody_subscribed_to_has_no_message(composer: WebhookComposer) -> None:
    assert composer.compose("output", build_prediction(events=frozenset({"completed"}))) == []


def test_output_and_logs_share_one_throttle(composer: WebhookComposer, clock: Any) -> None:
    sent = []
    for event, pause in [("output", 0.2), ("logs", 0.2), ("output", 0.1), ("logs", 0.0), ("output", 0.5), ("output", 0.0)]:
        sent.append(len(composer.compose(event, build_prediction())))
        clock.advance(pause)
    assert sent == [1, 0, 0, 1, 0, 1]


def test_start_and_completed_are_never_throttled(composer: WebhookComposer) -> None:
    sent = [len(composer.compose(event, build_prediction())) for event in ("start", "output", "start", "completed")]
    assert sent == [1, 1, 1, 1]


def test_predictions_do_not_throttle_each_other(composer: WebhookComposer) -> None:
    assert [len(composer.compose("output", build_prediction(name))) for name in ("p1", "p2")] == [1, 1]


def test_a_forgotten_prediction_is_not_throttled(composer: WebhookComposer) -> None:
    composer.compose("output", build_prediction())
    composer.forget(PredictionId("p1"))
    assert len(composer.compose("output", build_prediction())) == 1


def test_a_clock_that_was_set_back_does_not_silence_a_prediction(composer: WebhookComposer, clock: Any) -> None:
    composer.compose("output", build_prediction())
    clock.advance(-3600)
    assert len(composer.compose("output", build_prediction())) == 1
