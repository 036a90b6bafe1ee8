"""The OpenAPI document and its page."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from replicate_server.api.openapi import DOCUMENTED, build_document, encode_document
from replicate_server.api.routes import PROTECTED, PUBLIC

Call = Callable[..., Awaitable[httpx.Response]]
CONTRACT = Path(__file__).parents[4] / "contract" / "openapi.json"
DOCUMENT = build_document(protected=PROTECTED, public=PUBLIC)


def operations() -> Iterator[dict[str, Any]]:
    for path in DOCUMENT["paths"].values():
        yield from path.values()


def test_the_contract_is_current() -> None:
    assert CONTRACT.read_text(encoding="utf-8") == encode_document(DOCUMENT)


def test_every_route_is_documented_and_nothing_else() -> None:
    assert set(DOCUMENTED) == {f"{route.method} {route.path}" for route in (*PROTECTED, *PUBLIC)}


def test_every_reference_leads_somewhere() -> None:
    named = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(DOCUMENT)))
    assert named <= set(DOCUMENT["components"]["schemas"])


def test_operations_have_their_own_ids_and_a_summary() -> None:
    ids = [operation["operationId"] for operation in operations()]
    assert len(ids) == len(set(ids)) + 1, "only the event stream has two paths"
    assert all(operation["summary"] for operation in operations())


@pytest.mark.anyio
async def test_the_document_and_the_page_are_open_and_load_nothing_from_elsewhere(call: Call) -> None:
    document = await call("GET", "/openapi.json", token=None)
    assert document.json() == DOCUMENT
    page = await call("GET", "/docs", token=None)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert re.findall(r"(?:src|href)=\"([^\"]*)\"", page.text) == ["/openapi.json"]


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/v1/account", "/v1/models/alice/echo", "/v1/models", "/v1/hardware", "/v1/predictions"])
async def test_answers_have_what_the_document_requires(call: Call, path: str) -> None:
    answer = (await call("GET", path)).json()
    documented = DOCUMENT["paths"][path.replace("alice/echo", "{owner}/{name}")]["get"]["responses"]["200"]
    schema = documented["content"]["application/json"]["schema"]
    shape = DOCUMENT["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
    first = answer[0] if isinstance(answer, list) else answer
    required = shape.get("required") or DOCUMENT["components"]["schemas"]["HardwareItem"]["required"]
    assert set(required) <= set(first)
