"""Lists of predictions by status, model, version and deployment, and places in a queue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from replicate_server.domain.ids import AccountId, InstanceId, PredictionId, VersionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Prediction
from replicate_server.ports.store import ClaimRef, Outcome, PredictionFilter, Store

pytestmark = pytest.mark.anyio

At = Callable[[float], datetime]
NewPrediction = Callable[..., Prediction]

MINE = PredictionFilter(AccountId("acct_a"))


async def ids(store: Store, **filters: Any) -> list[str]:
    """All matching ones, a page of two at a time."""
    found: list[str] = []
    cursor: str | None = None
    for _ in range(20):
        page = await store.list_predictions(replace(MINE, **filters), cursor=cursor, limit=2)
        found += [prediction.id for prediction in page.results]
        cursor = page.next_cursor
        if cursor is None:
            return found
    raise AssertionError("the list does not end")


@pytest.fixture
async def stored(store: Store, new_prediction: NewPrediction, at: At) -> Store:
    """Nine of three models, of which every second ended and every third came through a deployment; and a stranger's."""
    for number in range(9):
        ended = {"status": Status.CANCELED, "completed_at": at(900)} if number % 2 else {}
        await store.create_prediction(
            new_prediction(
                id=PredictionId(f"p{number}"),
                model=f"ada/model{number % 3}",
                version_id=VersionId(f"v{number % 3}"),
                deployment=None if number % 3 else "ada/fast",
                **ended,
            )
        )
    await store.create_prediction(new_prediction(account_id=AccountId("acct_b"), deployment="ada/fast"))
    return store


async def test_each_filter_gives_its_predictions_newest_first_over_all_pages(stored: Store) -> None:
    assert await ids(stored, status=Status.CANCELED) == ["p7", "p5", "p3", "p1"]
    assert await ids(stored, status=Status.STARTING) == ["p8", "p6", "p4", "p2", "p0"]
    assert await ids(stored, model="ada/model1") == ["p7", "p4", "p1"]
    assert await ids(stored, version_id=VersionId("v2")) == ["p8", "p5", "p2"]
    assert await ids(stored, deployment="ada/fast") == ["p6", "p3", "p0"]


async def test_filters_hold_together(stored: Store, at: At) -> None:
    assert await ids(stored, status=Status.CANCELED, model="ada/model1") == ["p7", "p1"]
    assert await ids(stored, status=Status.STARTING, deployment="ada/fast", source="api") == ["p6", "p0"]
    assert await ids(stored, model="ada/model1", version_id=VersionId("v2")) == []
    assert await ids(stored, status=Status.STARTING, created_before=at(4)) == ["p2", "p0"]


async def test_a_filter_that_nothing_meets_gives_an_empty_page(stored: Store) -> None:
    assert await ids(stored, status=Status.FAILED) == []
    assert await ids(stored, model="ada/other") == []


async def test_a_place_in_the_queue_counts_older_ones_of_the_same_version(
    store: Store, new_prediction: NewPrediction, at: At
) -> None:
    moment = {"created_at": at(500)}
    queued = [new_prediction(id=PredictionId(name), **moment) for name in ("a", "b", "c")]
    for prediction in (new_prediction(), *queued, new_prediction(version_id=VersionId("other"))):
        await store.create_prediction(prediction)
    assert [await store.queued_before(prediction) for prediction in queued] == [1, 2, 3]


async def test_the_hardware_and_the_last_instance_of_a_prediction_are_kept(
    store: Store, claimed: Callable[..., Awaitable[Prediction]], at: At
) -> None:
    prediction = await claimed(hardware="gpu-t4")
    outcome = Outcome(Status.SUCCEEDED, at(60), started_at=at(50), output="x", instance_id=InstanceId("instance-b"))
    assert prediction.claim is not None
    assert await store.finish_prediction(ClaimRef(prediction.id, prediction.claim.token), outcome)
    ended = await store.prediction(prediction.id)
    assert ended is not None
    assert (ended.hardware, ended.instance_id, ended.claim) == ("gpu-t4", "instance-b", None)
