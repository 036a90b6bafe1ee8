"""Every route needs a token unless it is on the short public list; clients may disagree about the base path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from replicate_server.api.routes import PROTECTED, PUBLIC
from replicate_server.api.routing import Route, Router

Call = Callable[..., Awaitable[httpx.Response]]

UNAUTHENTICATED = b'{"title":"Unauthenticated","detail":"You did not pass a valid authentication token","status":401}\n'


def fill(route: Route) -> str:
    names = ("prediction_id", "slug", "owner", "name", "version", "file_id", "delivery_token")
    path = route.path.replace("{stream_token}", "s" * 43)
    for name in names:
        path = path.replace(f"{{{name}}}", "x")
    return path


@pytest.mark.anyio
@pytest.mark.parametrize("route", PROTECTED, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.parametrize("token", [None, "r8_unknown_unknown_unknown_unknown_unkn"])
async def test_a_route_refuses_whoever_has_no_valid_token(call: Call, route: Route, token: str | None) -> None:
    answer = await call(route.method, fill(route), token=token, content=b"{")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.content == UNAUTHENTICATED


def test_the_unauthenticated_body_is_the_recorded_one() -> None:
    assert len(UNAUTHENTICATED) == 98


def test_the_public_routes_are_these_and_no_others() -> None:
    assert sorted(f"{route.method} {route.path}" for route in PUBLIC) == [
        "GET /",
        "GET /delivery/{delivery_token}/{name}",
        "GET /docs",
        "GET /healthz",
        "GET /openapi.json",
        "GET /v1/files/{file_id}/download",
        "GET /v1/files/{stream_token}",
        "GET /v1/streams/{stream_token}",
    ]


@pytest.mark.parametrize("route", [*PROTECTED, *PUBLIC], ids=lambda route: f"{route.method} {route.path}")
def test_a_path_leads_to_its_own_route(route: Route) -> None:
    match = Router(protected=PROTECTED, public=PUBLIC).match(fill(route))
    assert match is not None
    target = match.target(route.method)
    assert target is not None
    assert (target.route, target.is_public) == (route, route in PUBLIC)


@pytest.mark.parametrize("prefix", ["/v1", "", "/v1/v1", "/v1/http://testserver/v1", "/v1/https:/testserver/v1"])
@pytest.mark.anyio
async def test_every_base_path_that_clients_use_answers_alike(call: Call, prefix: str) -> None:
    answer = await call("GET", f"{prefix}/models/alice/echo")
    assert answer.status_code == 200
    assert answer.json()["name"] == "echo"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Token", "TOKEN"])
@pytest.mark.anyio
async def test_both_schemes_are_understood_in_any_case(call: Call, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} r8_first_account_of_the_tests"}
    answer = await call("GET", "/v1/account", token=None, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("credentials", ["", "Bearer", "Bearer ", "Basic abc", "r8_first_account_of_the_tests", "Bearer a b"])
@pytest.mark.anyio
async def test_anything_else_in_the_header_is_refused(call: Call, credentials: str) -> None:
    answer = await call("GET", "/v1/account", token=None, headers={"Authorization": credentials})
    assert answer.status_code == 401


@pytest.mark.anyio
async def test_a_revoked_token_is_refused_at_once(call: Call, world: Any) -> None:
    assert (await call("GET", "/v1/account")).status_code == 200
    (token,) = await world.services.accounts.list_tokens(world.account.id)
    await world.services.accounts.revoke_token(token.id)
    assert (await call("GET", "/v1/account")).status_code == 401


@pytest.mark.anyio
async def test_an_unknown_path_is_not_found(call: Call) -> None:
    answer = await call("GET", "/v1/nothing/here")
    assert answer.status_code == 404
    assert answer.json() == {"detail": "The requested resource could not be found", "status": 404}


@pytest.mark.anyio
async def test_a_wrong_method_is_told_which_are_right(call: Call) -> None:
    answer = await call("PUT", "/v1/predictions")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST, HEAD, OPTIONS"
    assert answer.json()["status"] == 405


@pytest.mark.anyio
async def test_head_answers_as_get_without_a_body(call: Call) -> None:
    answer = await call("HEAD", "/v1/account")
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) > 0
    assert answer.content == b""


@pytest.mark.anyio
async def test_the_index_and_the_health_check_are_open(call: Call) -> None:
    assert (await call("GET", "/", token=None)).json()["api"] == "http://testserver/v1"
    assert (await call("GET", "/healthz", token=None)).json() == {"status": "ok"}


@pytest.mark.anyio
async def test_a_bug_becomes_a_logged_reference(call: Call, world: Any, caplog: pytest.LogCaptureFixture) -> None:
    world.predictions.failure = RuntimeError("secret internals")
    answer = await call("POST", "/v1/predictions", json={"version": world.version.id, "input": {"prompt": "hi"}})
    assert answer.status_code == 500
    reference = answer.json()["detail"].rsplit(" ", 1)[-1].rstrip(".")
    assert "secret internals" not in answer.text
    assert reference in caplog.text
    assert "secret internals" in caplog.text
