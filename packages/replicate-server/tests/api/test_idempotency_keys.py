"""A create that is sent again under its Idempotency-Key is answered as before and creates nothing (promise J8)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from replicate_server.domain.lifecycle import Status

pytestmark = pytest.mark.anyio

OTHER_TOKEN = "r8_second_account_of_the_tests"
NOW = datetime(2024, 8, 22, 12, 26, 51, 79000, tzinfo=UTC)

Call = Callable[..., Awaitable[httpx.Response]]

KEY = {"Idempotency-Key": "order-17"}
CREATE = {"version": "a" * 64, "input": {"prompt": "hi", "steps": 3}}
MODEL = {"owner": "alice", "name": "new", "visibility": "public", "hardware": "cpu"}


def create(call: Call, **changes: Any) -> Awaitable[httpx.Response]:
    return call("POST", "/v1/predictions", **{"json": CREATE, "headers": KEY, **changes})


async def test_the_same_request_gets_the_same_prediction_and_the_same_answer(world: Any, call: Call) -> None:
    first, second = await create(call), await create(call)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert second.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert len(world.predictions.requests) == 1


async def test_the_answer_stays_the_first_one_after_the_prediction_ended(world: Any, call: Call) -> None:
    first = await create(call)
    known = world.predictions.known[first.json()["id"]]
    world.predictions.add(replace(known, status=Status.SUCCEEDED, output="done", started_at=NOW, completed_at=NOW, attempt=1))
    assert (await create(call)).content == first.content


async def test_every_answer_names_the_key(call: Call) -> None:
    answers = [await create(call), await create(call), await create(call, json={})]
    assert [answer.headers["idempotency-key"] for answer in answers] == ["order-17"] * 3


async def test_the_order_of_keys_and_the_spacing_of_json_do_not_matter(world: Any, call: Call) -> None:
    text = '{"input": {"steps": 3,  "prompt": "hi"}, "version": "' + "a" * 64 + '"}'
    first = await create(call)
    assert (await create(call, json=None, content=text)).json()["id"] == first.json()["id"]
    assert len(world.predictions.requests) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/predictions", {**CREATE, "input": {"prompt": "other"}}),
        ("/v1/models/alice/echo/predictions", {"input": {"prompt": "hi"}}),
        ("/v1/models", MODEL),
    ],
)
async def test_a_key_is_refused_for_another_request(world: Any, call: Call, path: str, body: dict[str, Any]) -> None:
    await create(call)
    refused = await call("POST", path, json=body, headers=KEY)
    assert refused.status_code == 422
    assert refused.json()["title"] == "Idempotency key reused"
    assert "Use a new key" in refused.json()["detail"]
    assert len(world.predictions.requests) == 1


async def test_keys_of_two_accounts_are_two_keys(world: Any, call: Call) -> None:
    await create(call)
    await create(call, token=OTHER_TOKEN)
    assert [request.account.username for request in world.predictions.requests] == ["alice", "bob"]


async def test_a_hundred_at_once_make_one_prediction(world: Any, call: Call) -> None:
    answers = await asyncio.gather(*(create(call) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len(world.predictions.requests) == 1


async def test_a_refused_create_leaves_the_key_free(world: Any, call: Call) -> None:
    assert (await create(call, json={**CREATE, "input": {}})).status_code == 422
    assert (await create(call)).status_code == 201


async def test_a_repetition_is_answered_when_no_new_create_would_be(world: Any, call: Call) -> None:
    first = await create(call)
    for _ in range(600):
        await call("POST", "/v1/predictions", json=CREATE)
    assert (await call("POST", "/v1/predictions", json=CREATE)).status_code == 429
    again = await create(call)
    assert again.content == first.content
    assert "ratelimit-remaining" not in again.headers


async def test_a_key_is_forgotten_after_its_time(world: Any, call: Call) -> None:
    await create(call)
    world.clock.advance(hours=24)
    assert "idempotent-replayed" not in (await create(call)).headers
    assert len(world.predictions.requests) == 2


async def test_a_model_is_created_once(call: Call) -> None:
    first, second = [await call("POST", "/v1/models", json=MODEL, headers=KEY) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content


async def test_an_upload_is_stored_once_though_its_boundary_differs(call: Call) -> None:
    first, second = [await call("POST", "/v1/files", files={"content": ("a.txt", b"hello")}, headers=KEY) for _ in range(2)]
    other = await call("POST", "/v1/files", files={"content": ("a.txt", b"jello")}, headers=KEY)
    assert (first.status_code, second.content) == (201, first.content)
    assert first.request.headers["content-type"] != second.request.headers["content-type"]
    assert other.status_code == 422
    assert len((await call("GET", "/v1/files")).json()["results"]) == 1


@pytest.mark.parametrize("key", ["x" * 256, "caf\u00e9"])
async def test_an_odd_key_is_refused(call: Call, key: str) -> None:
    answer = await create(call, headers={"Idempotency-Key": key.encode("latin-1")})
    assert answer.status_code == 400


async def test_routes_that_create_nothing_ignore_the_header(call: Call) -> None:
    answer = await call("GET", "/v1/account", headers=KEY)
    assert "idempotency-key" not in answer.headers
