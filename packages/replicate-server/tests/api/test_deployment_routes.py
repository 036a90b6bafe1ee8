"""Deployments: creation with its checks, releases, predictions through them, removal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from replicate_server.domain.lifecycle import Status

pytestmark = pytest.mark.anyio

Call = Callable[..., Awaitable[httpx.Response]]
OTHER = "r8_second_account_of_the_tests"
PATH = "/v1/deployments/alice/prod"
FIELDS = {
    "name": "prod",
    "model": "alice/echo",
    "version": "a" * 64,
    "hardware": "gpu-a40-large",
    "min_instances": 1,
    "max_instances": 5,
}


@pytest.fixture
async def created(call: Call) -> dict[str, Any]:
    answer = await call("POST", "/v1/deployments", json=FIELDS)
    assert answer.status_code == 200
    return dict(answer.json())


async def test_a_new_deployment_is_answered_whole(call: Call, created: dict[str, Any]) -> None:
    assert created == {
        "owner": "alice",
        "name": "prod",
        "current_release": {
            "number": 1,
            "model": "alice/echo",
            "version": "a" * 64,
            "created_at": "2024-08-22T12:26:51.079000Z",
            "created_by": {"type": "user", "username": "alice", "name": "alice"},
            "configuration": {"hardware": "gpu-a40-large", "min_instances": 1, "max_instances": 5},
        },
    }
    assert (await call("GET", PATH)).json() == created
    assert (await call("GET", "/v1/deployments")).json()["results"] == [created]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"name": "Not A Name"}, "/name"),
        ({"model": "alice/none"}, "/model"),
        ({"version": "c" * 64}, "/version"),
        ({"hardware": "gpu-x"}, "/hardware"),
        ({"min_instances": 6}, "/min_instances"),
        ({"min_instances": True}, "/min_instances"),
        ({"max_instances": 21}, "/max_instances"),
        ({"max_instances": 0}, "/min_instances"),
        ({"version": None}, "/version"),
        ({"owner": "bob"}, "/owner"),
    ],
)
async def test_a_wrong_field_is_refused_and_named(call: Call, changes: dict[str, Any], pointer: str) -> None:
    answer = await call("POST", "/v1/deployments", json={**FIELDS, **changes})
    assert (answer.status_code, answer.json()["title"]) == (400, "Validation failed")
    assert [item["pointer"] for item in answer.json()["errors"]] == [pointer]
    assert (await call("GET", PATH)).status_code == 404


async def test_a_taken_name_conflicts(call: Call, created: dict[str, Any]) -> None:
    answer = await call("POST", "/v1/deployments", json=FIELDS)
    assert answer.status_code == 409


async def test_a_change_makes_the_next_release_and_no_change_makes_none(call: Call, world: Any, created: dict[str, Any]) -> None:
    await world.publish("b")
    world.clock.advance(seconds=5)
    release = (await call("PATCH", PATH, json={"version": "bbbbbb...", "min_instances": 0})).json()["current_release"]
    assert (release["number"], release["version"], release["created_at"][-10:]) == (2, "b" * 64, "56.079000Z")
    assert release["configuration"] == {"hardware": "gpu-a40-large", "min_instances": 0, "max_instances": 5}
    same = (await call("PATCH", PATH, json={"version": "b" * 64, "hardware": "gpu-a40-large"})).json()["current_release"]
    assert same == release
    assert (await call("GET", PATH)).json()["current_release"] == release


@pytest.mark.parametrize("fields", [{"model": "alice/echo"}, {"hardware": None}, {"max_instances": 0}, {"version": "c" * 64}])
async def test_a_wrong_change_makes_no_release(call: Call, created: dict[str, Any], fields: dict[str, Any]) -> None:
    assert (await call("PATCH", PATH, json=fields)).status_code == 400
    assert (await call("GET", PATH)).json() == created


async def test_predictions_run_the_release_and_carry_the_deployment(call: Call, world: Any, created: dict[str, Any]) -> None:
    answer = await call("POST", f"{PATH}/predictions", json={"input": {"prompt": "hi"}}, headers={"Prefer": "wait=5"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (201, "wait=5")
    (request,) = world.predictions.requests
    assert (request.deployment, request.version.id, request.hardware) == ("alice/prod", "a" * 64, "gpu-a40-large")
    wrong = await call("POST", f"{PATH}/predictions", json={"input": {"prompt": "hi"}, "version": "a" * 64})
    assert wrong.status_code == 422


async def test_predictions_count_as_creates_and_honour_their_key(call: Call, world: Any, created: dict[str, Any]) -> None:
    first, again = [
        await call("POST", f"{PATH}/predictions", json={"input": {"prompt": "hi"}}, headers={"Idempotency-Key": "order-17"})
        for _ in range(2)
    ]
    assert first.headers["ratelimit-remaining"] == "599"
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert len(world.predictions.requests) == 1


async def test_a_deployment_is_created_once_for_a_key(call: Call) -> None:
    key = {"Idempotency-Key": "order-18"}
    first, again = [await call("POST", "/v1/deployments", json=FIELDS, headers=key) for _ in range(2)]
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["allow"] == first.headers["allow"] == "GET, POST, HEAD, OPTIONS"


async def test_no_instances_at_most_switches_a_deployment_off(call: Call, created: dict[str, Any]) -> None:
    await call("PATCH", PATH, json={"min_instances": 0, "max_instances": 0})
    answer = await call("POST", f"{PATH}/predictions", json={"input": {"prompt": "hi"}})
    assert (answer.status_code, "switched off" in answer.json()["detail"]) == (409, True)


@pytest.mark.parametrize(("method", "path"), [("GET", PATH), ("PATCH", PATH), ("DELETE", PATH), ("POST", f"{PATH}/predictions")])
async def test_somebody_elses_deployment_is_not_found(call: Call, created: dict[str, Any], method: str, path: str) -> None:
    answer = await call(method, path, token=OTHER, json={"input": {"prompt": "hi"}})
    assert answer.status_code == 404
    assert (await call("GET", "/v1/deployments", token=OTHER)).json()["results"] == []


async def test_a_deployment_with_queued_predictions_is_kept(call: Call, world: Any, created: dict[str, Any]) -> None:
    prediction = world.prediction(deployment="alice/prod", created_at=world.clock.now())
    await world.store.create_prediction(prediction)
    world.clock.advance(minutes=16)
    queued = await call("DELETE", PATH)
    assert (queued.status_code, "are queued" in queued.json()["detail"]) == (409, True)


async def test_a_deployment_used_a_moment_ago_is_kept(call: Call, world: Any, created: dict[str, Any]) -> None:
    ended = world.prediction(deployment="alice/prod", status=Status.CANCELED, completed_at=world.clock.now())
    await world.store.create_prediction(ended)
    world.clock.advance(minutes=14)
    assert "unused for 15 minutes" in (await call("DELETE", PATH)).json()["detail"]
    world.clock.advance(minutes=2)
    answer = await call("DELETE", PATH)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await call("GET", PATH)).status_code == 404
    assert (await call("DELETE", PATH)).status_code == 404


async def test_a_deployed_version_cannot_be_deleted_until_another_one_is(call: Call, world: Any, created: dict[str, Any]) -> None:
    version = f"/v1/models/alice/echo/versions/{'a' * 64}"
    answer = await call("DELETE", version)
    assert (answer.status_code, "deployment alice/prod uses it" in answer.json()["detail"]) == (409, True)
    await world.publish("b")
    await call("PATCH", PATH, json={"version": "b" * 64})
    assert (await call("DELETE", version)).status_code == 202
