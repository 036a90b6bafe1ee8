"""Flows by hand: each test plays the driver with plain next and send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from replicate.core import flows
from replicate.core.flows import CreateOptions, Outcome, Patience, Target
from replicate.core.steps import Call, Emit, Now, Sleep
from replicate.exceptions import ModelError, NotFoundError, PredictionTimeoutError
from replicate.prediction import Prediction
from replicate.version import Version

PATIENCE = Patience(interval_seconds=2.0, timeout_seconds=5.0)
VERSIONED = Target(version="abc", source=("o", "n"))


def prediction(status: str = "succeeded", **fields: Any) -> Prediction:
    return Prediction(id="p1", status=status, **fields)


def finish(flow: Any, answer: Any) -> Any:
    with pytest.raises(StopIteration) as finished:
        flow.send(answer)
    return finished.value.value


def wants(step: Any, method: str, path: str) -> bool:
    return isinstance(step, Call) and (step.request.method, step.request.path) == (method, path)


def test_waiting_looks_again_until_the_prediction_has_ended() -> None:
    ours = prediction("starting")
    flow = flows.wait(ours, PATIENCE)
    assert next(flow) == Now()
    assert flow.send(100.0) == Now()
    assert flow.send(100.0) == Sleep(2.0)
    assert wants(flow.send(None), "GET", "/v1/predictions/p1")
    assert finish(flow, prediction("succeeded", output=7)) is ours
    assert (ours.status, ours.output) == ("succeeded", 7)


def test_waiting_ends_with_a_typed_error_at_its_deadline() -> None:
    flow = flows.wait(prediction("processing"), PATIENCE)
    next(flow)
    flow.send(100.0)
    assert flow.send(104.5) == Sleep(0.5)
    flow.send(None)
    assert flow.send(prediction("processing")) == Now()
    with pytest.raises(PredictionTimeoutError, match="still processing after 5 s") as caught:
        flow.send(105.0)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.prediction.id == "p1"


@pytest.mark.parametrize(
    ("status", "completed_at", "is_terminal"),
    [
        ("starting", None, False),
        ("processing", None, False),
        ("succeeded", None, True),
        ("failed", None, True),
        ("canceled", None, True),
        ("aborted", None, True),
        ("paused", None, False),
        ("evaporated", "2026-01-01T00:00:00Z", True),
    ],
)
def test_a_prediction_knows_whether_it_has_ended(status: str, completed_at: str | None, is_terminal: bool) -> None:
    assert prediction(status, completed_at=completed_at).is_terminal is is_terminal


def test_a_run_without_a_version_fetches_no_schema() -> None:
    flow = flows.run(Target(model=("o", "n")), {"prompt": "hi"}, CreateOptions(wait=True), PATIENCE, {})
    create = next(flow)
    assert wants(create, "POST", "/v1/models/o/n/predictions")
    ended = prediction(output="x")
    assert finish(flow, ended) == Outcome(ended, is_iterator=False, may_hold_files=True)


def test_a_run_asks_for_a_versions_schema_once(version_json: Callable[..., Any], text_output: Any) -> None:
    schemas: dict[str, Version] = {}
    version = Version.from_json(version_json(text_output))
    first = flows.run(VERSIONED, {}, CreateOptions(wait=True), PATIENCE, schemas)
    assert wants(next(first), "POST", "/v1/predictions")
    assert wants(first.send(prediction()), "GET", "/v1/models/o/n/versions/abc")
    assert finish(first, version).is_iterator
    second = flows.run(VERSIONED, {}, CreateOptions(wait=True), PATIENCE, schemas)
    next(second)
    assert finish(second, prediction()).is_iterator


def test_a_run_of_a_hidden_version_gives_a_plain_output() -> None:
    flow = flows.run(VERSIONED, {}, CreateOptions(wait=True), PATIENCE, {})
    next(flow)
    flow.send(prediction())
    with pytest.raises(StopIteration) as finished:
        flow.throw(NotFoundError())
    assert not finished.value.value.is_iterator


def test_a_failed_run_raises_with_its_prediction() -> None:
    flow = flows.run(Target(model=("o", "n")), {}, CreateOptions(wait=True), PATIENCE, {})
    next(flow)
    with pytest.raises(ModelError, match="no memory") as caught:
        flow.send(prediction("failed", error="no memory"))
    assert caught.value.prediction.error == "no memory"


@pytest.mark.parametrize(
    ("wait", "answer"),
    [(True, prediction("starting")), (None, prediction("processing", output=[1])), (True, prediction("processing"))],
)
def test_a_run_looks_again_unless_the_held_create_gave_the_whole_output(wait: bool | None, answer: Prediction) -> None:
    flow = flows.run(Target(model=("o", "n")), {}, CreateOptions(wait=wait), PATIENCE, {})
    next(flow)
    assert flow.send(answer) == Now()


def test_a_held_create_that_answers_processing_with_output_is_taken_as_ended() -> None:
    flow = flows.run(Target(model=("o", "n")), {}, CreateOptions(wait=True), PATIENCE, {})
    next(flow)
    assert finish(flow, prediction("processing", output="all of it")).prediction.output == "all of it"


def test_output_items_come_from_the_first_and_each_once() -> None:
    feed = flows.iterate_output(prediction("processing", output=["a"]), PATIENCE, str.upper)
    assert next(feed) == Now()
    assert feed.send(0.0) == Emit("A")
    assert next(feed) == Now()
    assert feed.send(0.0) == Sleep(2.0)
    next(feed)
    assert feed.send(prediction("succeeded", output=["a", "b"])) == Emit("B")
    with pytest.raises(StopIteration):
        next(feed)


def test_output_items_of_a_failed_prediction_come_before_its_error() -> None:
    feed = flows.iterate_output(prediction("failed", output=["a"], error="broke"), PATIENCE, str)
    next(feed)
    assert feed.send(0.0) == Emit("a")
    with pytest.raises(ModelError, match="broke"):
        next(feed)
