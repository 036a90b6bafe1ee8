"""The ``platform`` object of a prediction: what this platform tells beside the standard fields."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from replicate_server.domain.hardware import HARDWARE, run_cost_dollars
from replicate_server.domain.ids import HolderId, InstanceId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Claim
from replicate_server.scheduler.standing import Standing

pytestmark = pytest.mark.anyio

NOW = datetime(2024, 8, 22, 12, 26, 51, 79000, tzinfo=UTC)

Call = Callable[..., Awaitable[httpx.Response]]

LATER = NOW + timedelta(seconds=10)
CLAIM = Claim(HolderId("hold_1"), InstanceId("inst_1"), 1, LATER)


async def platform_of(call: Call, world: Any, standing: Standing | None = None, **changes: Any) -> dict[str, Any]:
    prediction = world.prediction(**changes)
    world.predictions.standings = {} if standing is None else {prediction.id: standing}
    shown: dict[str, Any] = (await call("GET", f"/v1/predictions/{prediction.id}")).json()["platform"]
    return shown


async def test_a_waiting_prediction_tells_its_place_and_when_it_may_start(world: Any, call: Call) -> None:
    assert await platform_of(call, world, Standing(None, 3, LATER), hardware="cpu") == {
        "phases": [{"name": "queued", "started_at": "2024-08-22T12:26:51.079000Z"}],
        "hardware": "cpu",
        "queue_position": 3,
        "estimated_start_at": "2024-08-22T12:27:01.079000Z",
    }


async def test_what_is_unknown_is_absent(world: Any, call: Call) -> None:
    assert set(await platform_of(call, world)) == {"phases"}


async def test_a_running_prediction_tells_its_instance_and_its_attempt(world: Any, call: Call) -> None:
    running: dict[str, Any] = {"status": Status.PROCESSING, "started_at": LATER, "attempt": 2, "claim": CLAIM}
    platform = await platform_of(call, world, Standing(InstanceId("inst_7")), **running)
    assert (platform["instance"], platform["attempt"]) == ("inst_7", 2)
    assert platform["phases"] == [
        {"name": "queued", "started_at": "2024-08-22T12:26:51.079000Z", "completed_at": "2024-08-22T12:27:01.079000Z"},
        {"name": "running", "started_at": "2024-08-22T12:27:01.079000Z"},
    ]
    assert "cost_dollars" not in platform


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELED])
async def test_an_ended_prediction_tells_what_its_running_cost(world: Any, call: Call, status: Status) -> None:
    ended: dict[str, Any] = {
        "status": status,
        "started_at": NOW,
        "completed_at": LATER,
        "attempt": 1,
        "metrics": {"predict_time": 10.0},
    }
    platform = await platform_of(call, world, hardware="gpu-t4", instance_id=InstanceId("inst_1"), **ended)
    assert platform["cost_dollars"] == 0.00225
    assert platform["phases"][-1]["completed_at"] == "2024-08-22T12:27:01.079000Z"


async def test_a_prediction_that_never_ran_costs_nothing(world: Any, call: Call) -> None:
    platform = await platform_of(call, world, hardware="gpu-t4", status=Status.ABORTED, completed_at=LATER)
    assert "cost_dollars" not in platform
    assert [phase["name"] for phase in platform["phases"]] == ["queued"]


async def test_an_unstarted_attempt_is_not_counted(world: Any, call: Call) -> None:
    assert "attempt" not in await platform_of(call, world, attempt=1, claim=CLAIM)
    assert (await platform_of(call, world, attempt=1))["attempt"] == 1


async def test_lists_tell_all_but_the_place_in_the_queue(world: Any, call: Call) -> None:
    prediction = world.prediction(hardware="cpu")
    world.predictions.standings[prediction.id] = Standing(None, 1, LATER)
    (shown,) = (await call("GET", "/v1/predictions")).json()["results"]
    assert set(shown["platform"]) == {"phases", "hardware"}


def test_every_sku_has_a_price_and_unknown_hardware_has_none() -> None:
    assert all(run_cost_dollars(item.sku, 1.0) == item.dollars_per_second > 0 for item in HARDWARE)
    assert run_cost_dollars("abacus", 1.0) is None
    assert run_cost_dollars(None, 1.0) is None


async def test_a_repeated_create_shows_what_the_first_one_showed(world: Any, call: Call) -> None:
    body, headers = {"version": "a" * 64, "input": {"prompt": "hi"}}, {"Idempotency-Key": "k"}
    first = await call("POST", "/v1/predictions", json=body, headers=headers)
    known = world.predictions.known[first.json()["id"]]
    world.predictions.add(replace(known, status=Status.PROCESSING, started_at=LATER, attempt=1, claim=CLAIM))
    again = await call("POST", "/v1/predictions", json=body, headers=headers)
    assert again.json()["platform"] == first.json()["platform"]
