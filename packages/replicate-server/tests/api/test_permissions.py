"""What tokens with scopes, expired tokens and members of organizations may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from replicate_server.api.routes import PROTECTED
from replicate_server.api.scopes import NEEDED
from replicate_server.domain.scopes import Role, Scope, allows

pytestmark = pytest.mark.anyio

Call = Callable[..., Awaitable[httpx.Response]]
OTHER = "r8_second_account_of_the_tests"
LIMITED = "r8_limited_token_of_the_tests"
MODEL = {"owner": "acme", "name": "plan", "visibility": "private", "hardware": "cpu"}


@pytest.fixture
async def acme(world: Any) -> Any:
    return await world.services.accounts.create_account("acme", type="organization")


def test_every_protected_route_needs_a_scope_and_no_other_route_is_named() -> None:
    assert set(NEEDED) == {f"{route.method} {route.path}" for route in PROTECTED}


@pytest.mark.parametrize(
    ("scope", "method", "path", "is_allowed"),
    [
        (Scope.READ, "GET", "/v1/models", True),
        (Scope.READ, "POST", "/v1/models", False),
        (Scope.READ, "POST", "/v1/predictions", False),
        (Scope.RUN, "POST", "/v1/predictions", True),
        (Scope.RUN, "GET", "/v1/predictions", False),
        (Scope.WRITE, "POST", "/v1/models", True),
        (Scope.WRITE, "GET", "/v1/webhooks/default/secret", False),
        (Scope.ADMIN, "GET", "/v1/webhooks/default/secret", True),
    ],
)
async def test_a_token_does_what_its_scope_allows_and_nothing_else(
    call: Call, world: Any, scope: Scope, method: str, path: str, is_allowed: bool
) -> None:
    await world.services.accounts.create_token(world.account.id, name="t", token=LIMITED, scopes=frozenset({scope}))
    answer = await call(method, path, token=LIMITED, json={} if method == "POST" else None)
    assert (answer.status_code != 403) is is_allowed
    assert is_allowed or "needs the scope" in answer.json()["detail"]


def test_admin_allows_everything() -> None:
    assert all(allows(frozenset({Scope.ADMIN}), scope) for scope in Scope)


async def test_a_token_is_refused_from_its_expiry_on(call: Call, world: Any) -> None:
    expires_at = world.clock.now() + timedelta(seconds=10)
    await world.services.accounts.create_token(world.account.id, name="t", token=LIMITED, expires_at=expires_at)
    assert (await call("GET", "/v1/account", token=LIMITED)).status_code == 200
    world.clock.advance(seconds=10)
    assert (await call("GET", "/v1/account", token=LIMITED)).status_code == 401


async def test_the_limits_of_a_token_are_listed(world: Any) -> None:
    expires_at = world.clock.now() + timedelta(days=1)
    scopes = frozenset({Scope.READ, Scope.RUN})
    made, _ = await world.services.accounts.create_token(world.account.id, name="t", scopes=scopes, expires_at=expires_at)
    listed = await world.services.accounts.list_tokens(world.account.id)
    assert [token for token in listed if token.id == made.id] == [made]
    assert (made.scopes, made.expires_at) == (scopes, expires_at)


async def test_a_member_sees_and_an_admin_changes_what_the_organization_owns(call: Call, world: Any, acme: Any) -> None:
    accounts = world.services.accounts
    await accounts.set_member("acme", "alice", Role.ADMIN)
    assert (await call("POST", "/v1/models", json=MODEL)).status_code == 201
    plan = "/v1/models/acme/plan"
    assert (await call("GET", plan, token=OTHER)).status_code == 404
    await accounts.set_member("acme", "bob", Role.MEMBER)
    assert (await call("GET", plan, token=OTHER)).status_code == 200
    found = (await call("QUERY", "/v1/models", content=b"plan", token=OTHER)).json()["results"]
    assert [model["name"] for model in found] == ["plan"]
    assert (await call("PATCH", plan, token=OTHER, json={"description": "x"})).status_code == 403
    assert (await call("POST", "/v1/models", token=OTHER, json={**MODEL, "name": "other"})).status_code == 403
    assert (await call("PATCH", plan, json={"description": "x"})).status_code == 200


async def test_a_removed_member_sees_nothing_any_more(call: Call, world: Any, acme: Any) -> None:
    accounts = world.services.accounts
    await accounts.set_member("acme", "alice", Role.ADMIN)
    await accounts.set_member("acme", "bob", Role.MEMBER)
    await call("POST", "/v1/models", json=MODEL)
    assert [(member.username, member.role) for member in await accounts.list_members("acme")] == [
        ("alice", "admin"),
        ("bob", "member"),
    ]
    await accounts.remove_member("acme", "bob")
    assert (await call("GET", "/v1/models/acme/plan", token=OTHER)).status_code == 404
