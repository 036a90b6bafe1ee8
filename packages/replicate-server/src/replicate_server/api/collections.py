"""Collection and search routes: decode, call the services, encode."""

from __future__ import annotations

from starlette.types import ASGIApp

from replicate_server.api import wire, wire_catalogue
from replicate_server.api.answers import json_answer
from replicate_server.api.bodies import decode_search_text
from replicate_server.api.calls import Call
from replicate_server.api.models import list_page, shape_model
from replicate_server.domain.errors import InvalidSearch
from replicate_server.services.models import PAGE_SIZE

LIST_PATH = "/v1/collections"
LIMIT_DEFAULT = 20
LIMIT_MAX = 50


async def list_collections(call: Call) -> ASGIApp:
    """``GET /v1/collections``: oldest first."""
    page = await call.services.catalogue.collections.list(cursor=call.query.get("cursor"))
    return json_answer(wire.build_page(page, wire_catalogue.build_collection, call.urls, path=LIST_PATH))


async def get_collection(call: Call) -> ASGIApp:
    """``GET /v1/collections/{slug}``: with the models that the caller may see."""
    collection = await call.services.catalogue.collections.get(call.parameters["slug"])
    models = await call.services.catalogue.collections.models(call.account, collection)
    shapes = [await shape_model(call, model) for model in models]
    return json_answer(wire_catalogue.build_collection_detail(collection, shapes))


async def query_models(call: Call) -> ASGIApp:
    """``QUERY /v1/models``: the body is the search text; without a word in it, the list of models."""
    text = decode_search_text(await call.body())
    if not text.strip():
        return await list_page(call)
    found = await call.services.catalogue.search.find_models(call.account, text, limit=PAGE_SIZE)
    return json_answer(wire.WirePage(None, None, [await shape_model(call, item.model) for item in found]))


async def search(call: Call) -> ASGIApp:
    """``GET /v1/search``: models and collections."""
    text = call.query.get("query", "")
    if not text.strip():
        raise InvalidSearch("Give the words to search for in the parameter query.")
    limit = call.query.get("limit", str(LIMIT_DEFAULT))
    if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:9]) <= LIMIT_MAX):
        raise InvalidSearch(f"limit must be a whole number from 1 to {LIMIT_MAX}.")
    findings = await call.services.catalogue.search.find(call.account, text, limit=int(limit))
    models = [
        wire_catalogue.WireFoundModel(await shape_model(call, found.model), wire_catalogue.SearchMetadata(None, (), found.score))
        for found in findings.models
    ]
    collections = [wire_catalogue.build_found_collection(found) for found in findings.collections]
    return json_answer(wire_catalogue.WireFindings(text, models, collections, ()))
