"""Model and version routes: decode, call the services, encode."""

from __future__ import annotations

from starlette.types import ASGIApp

from replicate_server.api import wire
from replicate_server.api.answers import json_answer
from replicate_server.api.bodies import decode_object
from replicate_server.api.calls import Call
from replicate_server.domain.errors import InvalidRequest
from replicate_server.domain.records import Model

LIST_PATH = "/v1/models"


async def create(call: Call) -> ASGIApp:
    """``POST /v1/models``."""
    model = await call.services.models.create(call.account, decode_object(await call.body()))
    return json_answer(wire.build_model(model, None, call.urls), status=201)


async def get(call: Call) -> ASGIApp:
    """``GET /v1/models/{owner}/{name}``."""
    model = await call.services.models.get(call.account, call.parameters["owner"], call.parameters["name"])
    return json_answer(await shape_model(call, model))


async def list_page(call: Call) -> ASGIApp:
    """``GET /v1/models``: public models, 25 a page."""
    filters = {name: value for name, value in call.query.items() if name in ("sort_by", "sort_direction")}
    direction = filters.get("sort_direction", "desc")
    if direction not in ("asc", "desc"):
        raise InvalidRequest("sort_direction must be asc or desc")
    page = await call.services.models.list(
        call.account,
        sort_by=filters.get("sort_by", "latest_version_created_at"),
        descending=direction == "desc",
        cursor=call.query.get("cursor"),
    )
    shapes = {model.id: await shape_model(call, model) for model in page.results}
    return json_answer(wire.build_page(page, lambda model: shapes[model.id], call.urls, path=LIST_PATH, filters=filters))


async def list_versions(call: Call) -> ASGIApp:
    """``GET /v1/models/{owner}/{name}/versions``: newest first."""
    owner, name = call.parameters["owner"], call.parameters["name"]
    page = await call.services.versions.list(call.account, owner, name, cursor=call.query.get("cursor"))
    path = f"{LIST_PATH}/{owner}/{name}/versions"
    return json_answer(wire.build_page(page, wire.build_version, call.urls, path=path))


async def get_version(call: Call) -> ASGIApp:
    """``GET /v1/models/{owner}/{name}/versions/{version}``: by id or unique prefix."""
    owner, name = call.parameters["owner"], call.parameters["name"]
    version = await call.services.versions.get(call.account, owner, name, call.parameters["version"])
    return json_answer(wire.build_version(version))


async def shape_model(call: Call, model: Model) -> wire.WireModel:
    """A model with its latest version and its default example."""
    latest = await call.services.versions.latest_of(model)
    example = await call.services.catalogue.editing.default_example(model)
    return wire.build_model(model, latest, call.urls, default_example=example)
