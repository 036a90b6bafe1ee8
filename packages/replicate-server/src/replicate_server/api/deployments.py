"""Deployment routes: decode, call the service, encode. Predictions through a deployment are in `predictions`."""

from __future__ import annotations

from starlette.types import ASGIApp

from replicate_server.api import wire, wire_catalogue
from replicate_server.api.answers import json_answer, no_content
from replicate_server.api.bodies import decode_object
from replicate_server.api.calls import Call

LIST_PATH = "/v1/deployments"


async def create(call: Call) -> ASGIApp:
    """``POST /v1/deployments``: answered 200, as the hosted service does."""
    deployment = await call.services.catalogue.deployments.create(call.account, decode_object(await call.body()))
    return json_answer(wire_catalogue.build_deployment(deployment))


async def list_page(call: Call) -> ASGIApp:
    """``GET /v1/deployments``: the caller's, newest first."""
    page = await call.services.catalogue.deployments.list(call.account, cursor=call.query.get("cursor"))
    return json_answer(wire.build_page(page, wire_catalogue.build_deployment, call.urls, path=LIST_PATH))


async def get(call: Call) -> ASGIApp:
    """``GET /v1/deployments/{owner}/{name}``."""
    deployment = await call.services.catalogue.deployments.get(call.account, *_name(call))
    return json_answer(wire_catalogue.build_deployment(deployment))


async def update(call: Call) -> ASGIApp:
    """``PATCH /v1/deployments/{owner}/{name}``: a new release where something changes."""
    fields = decode_object(await call.body())
    deployment = await call.services.catalogue.deployments.update(call.account, *_name(call), fields)
    return json_answer(wire_catalogue.build_deployment(deployment))


async def delete(call: Call) -> ASGIApp:
    """``DELETE /v1/deployments/{owner}/{name}``."""
    await call.services.catalogue.deployments.delete(call.account, *_name(call))
    return no_content()


def _name(call: Call) -> tuple[str, str]:
    return call.parameters["owner"], call.parameters["name"]
