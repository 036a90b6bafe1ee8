"""Models and versions: creation with its two documented failures, who sees what, pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from replicate_server.domain.hardware import HARDWARE

pytestmark = pytest.mark.anyio

Call = Callable[..., Awaitable[httpx.Response]]
OTHER = "r8_second_account_of_the_tests"
FIELDS = {"owner": "alice", "name": "new-model", "visibility": "private", "hardware": "gpu-a40-large"}
OPTIONS = ", ".join(item.sku for item in HARDWARE)


async def test_a_new_model_is_answered_whole(call: Call) -> None:
    answer = await call("POST", "/v1/models", json={**FIELDS, "description": "what it does"})
    assert answer.status_code == 201
    assert answer.json() == {
        "url": "http://testserver/alice/new-model",
        "owner": "alice",
        "name": "new-model",
        "description": "what it does",
        "visibility": "private",
        "is_official": False,
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": 0,
        "cover_image_url": None,
        "default_example": None,
        "latest_version": None,
        "created_at": "2024-08-22T12:26:51.079000Z",
    }


async def test_a_wrong_hardware_is_told_the_options(call: Call) -> None:
    answer = await call("POST", "/v1/models", json={**FIELDS, "hardware": "gpu-x"})
    description = f"gpu-x is not a valid hardware SKU. Your options are: {OPTIONS}"
    assert answer.status_code == 400
    assert answer.json() == {
        "status": 400,
        "title": "Validation failed",
        "detail": f"The following errors were found:\n- hardware: {description}",
        "errors": [{"pointer": "/hardware", "detail": description}],
    }


async def test_every_bad_field_is_reported(call: Call) -> None:
    fields = {"owner": "alice", "name": "No Spaces", "visibility": "secret", "github_url": "nonsense", "extra": 1}
    answer = await call("POST", "/v1/models", json=fields)
    assert answer.status_code == 400
    pointers = {item["pointer"] for item in answer.json()["errors"]}
    assert pointers == {"/hardware", "/extra", "/name", "/visibility", "/github_url"}


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://example.com/\nX", "https://example.com/<script>", "https://"])
async def test_a_link_that_is_no_web_address_is_refused(call: Call, url: str) -> None:
    fields = {"owner": "alice", "name": "linked", "visibility": "public", "hardware": "cpu", "github_url": url}
    answer = await call("POST", "/v1/models", json=fields)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/github_url")


async def test_a_taken_name_conflicts_in_the_documented_words(call: Call) -> None:
    answer = await call("POST", "/v1/models", json={**FIELDS, "name": "echo"})
    assert answer.status_code == 409
    assert answer.json()["errors"][0]["detail"] == "A model with that name and owner already exists."


async def test_a_model_of_another_owner_cannot_be_created(call: Call) -> None:
    answer = await call("POST", "/v1/models", json={**FIELDS, "owner": "bob"})
    assert answer.status_code == 403


async def test_a_model_shows_its_latest_version(call: Call, world: Any) -> None:
    model = (await call("GET", "/v1/models/alice/echo")).json()
    assert model["latest_version"]["id"] == "a" * 64
    assert model["latest_version"]["cog_version"] == "0.16.9"
    assert model["latest_version"]["openapi_schema"]["components"]["schemas"]["Output"] == {"type": "string"}


async def test_a_private_model_is_not_found_by_others(call: Call, world: Any) -> None:
    await call("POST", "/v1/models", json=FIELDS)
    model = await world.services.models.get(world.account, "alice", "new-model")
    await world.publish("c", model)
    assert (await call("GET", "/v1/models/alice/new-model")).status_code == 200
    for path in ("", "/versions", "/versions/" + "c" * 64):
        assert (await call("GET", f"/v1/models/alice/new-model{path}", token=OTHER)).status_code == 404
    for reference in ("c" * 64, "cccccc", "alice/new-model"):
        answer = await call("POST", "/v1/predictions", json={"version": reference, "input": {"prompt": ""}}, token=OTHER)
        assert answer.status_code == 422
    path = "/v1/models/alice/new-model/predictions"
    assert (await call("POST", path, json={"input": {}}, token=OTHER)).status_code == 404


async def test_public_models_are_listed_in_pages_of_25(call: Call) -> None:
    for number in range(26):
        await call("POST", "/v1/models", json={**FIELDS, "name": f"model-{number}", "visibility": "public"})
    first = (await call("GET", "/v1/models?sort_by=model_created_at&sort_direction=asc")).json()
    assert len(first["results"]) == 25
    assert first["next"].startswith("http://testserver/v1/models?sort_by=model_created_at&sort_direction=asc&cursor=")
    second = (await call("GET", first["next"])).json()
    names = {model["name"] for model in first["results"] + second["results"]}
    assert names == {"echo", *(f"model-{number}" for number in range(26))}
    assert second["next"] is None


@pytest.mark.parametrize("path", ["/v1/models", "/v1/predictions", "/v1/files", "/v1/models/alice/echo/versions"])
async def test_a_cursor_of_somebody_else_is_a_bad_request(call: Call, path: str) -> None:
    answer = await call("GET", f"{path}?cursor=nonsense")
    assert (answer.status_code, answer.json()["detail"]) == (400, "Invalid cursor")


@pytest.mark.parametrize("query", ["sort_by=name", "sort_direction=up"])
async def test_a_bad_order_is_a_bad_request(call: Call, query: str) -> None:
    assert (await call("GET", f"/v1/models?{query}")).status_code == 400


async def test_versions_are_listed_and_found_by_prefix(call: Call, world: Any) -> None:
    world.clock.advance(seconds=1)
    await world.publish("b")
    page = (await call("GET", "/v1/models/alice/echo/versions")).json()
    assert [version["id"][0] for version in page["results"]] == ["b", "a"]
    version = (await call("GET", "/v1/models/alice/echo/versions/bbbbbb...")).json()
    assert version["id"] == "b" * 64
    assert version["created_at"] == "2024-08-22T12:26:52.079000Z"
    assert (await call("GET", "/v1/models/alice/echo/versions/cccccc")).json()["status"] == 404


async def test_the_account_and_its_secret(call: Call) -> None:
    assert (await call("GET", "/v1/account")).json() == {"type": "user", "username": "alice", "name": "alice"}
    key = (await call("GET", "/v1/webhooks/default/secret")).json()["key"]
    assert key.startswith("whsec_")
    assert key.count("_") == 1
    assert (await call("GET", "/v1/webhooks/default/secret")).json()["key"] == key


async def test_hardware_is_a_bare_array(call: Call) -> None:
    hardware = (await call("GET", "/v1/hardware")).json()
    assert hardware[0] == {"sku": "cpu", "name": "CPU"}
    assert all(set(item) == {"sku", "name"} for item in hardware)
