"""The OpenAPI document, built from the route table, the wire shapes and the table of answers below. Pure.

``contract/openapi.json`` is its text; a test compares the two. It is written by ``python -m replicate_server.api.openapi``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from replicate_server.api import wire, wire_catalogue
from replicate_server.api.routing import Route
from replicate_server.api.scopes import needed

VERSION = "1"
JSON = "application/json"
_REFERENCE = "#/components/schemas/{name}"
# OpenAPI 3.1 knows no operation for this verb; 3.2 will.
_METHOD_KEYS = {"QUERY": "x-query"}


class Problem(msgspec.Struct, omit_defaults=True):
    """An error: which fields there are depends on its family."""

    detail: str
    status: int | None = None
    title: str | None = None
    errors: list[dict[str, str]] | None = None
    invalid_fields: list[dict[str, str]] | None = None
    retry_after: int | None = None


class WebhookSecretKey(msgspec.Struct):
    """A signing secret."""

    key: str


class HardwareItem(msgspec.Struct):
    """A SKU."""

    sku: str
    name: str


class PredictionRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What runs, and who is told."""

    input: dict[str, Any]
    webhook: str | msgspec.UnsetType = msgspec.UNSET
    webhook_events_filter: list[str] | msgspec.UnsetType = msgspec.UNSET
    stream: bool | msgspec.UnsetType = msgspec.UNSET


class VersionedPredictionRequest(PredictionRequest, kw_only=True):
    """The same with the version that runs."""

    version: str


class ModelRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A new model."""

    owner: str
    name: str
    visibility: str
    hardware: str
    description: str | None = None
    github_url: str | None = None
    paper_url: str | None = None
    license_url: str | None = None
    cover_image_url: str | None = None


class ModelChanges(msgspec.Struct, forbid_unknown_fields=True):
    """Changes of a model; null takes a value away."""

    description: str | msgspec.UnsetType | None = msgspec.UNSET
    readme: str | msgspec.UnsetType | None = msgspec.UNSET
    github_url: str | msgspec.UnsetType | None = msgspec.UNSET
    paper_url: str | msgspec.UnsetType | None = msgspec.UNSET
    weights_url: str | msgspec.UnsetType | None = msgspec.UNSET
    license_url: str | msgspec.UnsetType | None = msgspec.UNSET
    default_example: str | msgspec.UnsetType | None = msgspec.UNSET


class ExampleRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A prediction that becomes an example."""

    prediction: str


class DeploymentRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A new deployment."""

    name: str
    model: str
    version: str
    hardware: str
    min_instances: int
    max_instances: int


class DeploymentChanges(msgspec.Struct, forbid_unknown_fields=True):
    """Changes of a deployment."""

    version: str | msgspec.UnsetType = msgspec.UNSET
    hardware: str | msgspec.UnsetType = msgspec.UNSET
    min_instances: int | msgspec.UnsetType = msgspec.UNSET
    max_instances: int | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True, slots=True)
class Documented:
    """What a route takes and answers."""

    shape: type | None = None
    status: int = 200
    is_page: bool = False
    is_array: bool = False
    media_type: str = JSON
    takes: type | None = None
    takes_media_type: str = JSON


_MODEL = "/v1/models/{owner}/{name}"
_DEPLOYMENT = "/v1/deployments/{owner}/{name}"
_PREDICTION = wire.WirePrediction
DOCUMENTED: Mapping[str, Documented] = {
    "GET /": Documented(),
    "GET /healthz": Documented(),
    "GET /openapi.json": Documented(),
    "GET /docs": Documented(media_type="text/html"),
    "GET /delivery/{delivery_token}/{name}": Documented(media_type="application/octet-stream"),
    "GET /v1/account": Documented(wire.WireAccount),
    "GET /v1/collections": Documented(wire_catalogue.WireCollection, is_page=True),
    "GET /v1/collections/{slug}": Documented(wire_catalogue.WireCollectionDetail),
    "GET /v1/deployments": Documented(wire_catalogue.WireDeployment, is_page=True),
    "POST /v1/deployments": Documented(wire_catalogue.WireDeployment, takes=DeploymentRequest),
    f"GET {_DEPLOYMENT}": Documented(wire_catalogue.WireDeployment),
    f"PATCH {_DEPLOYMENT}": Documented(wire_catalogue.WireDeployment, takes=DeploymentChanges),
    f"DELETE {_DEPLOYMENT}": Documented(status=204),
    f"POST {_DEPLOYMENT}/predictions": Documented(_PREDICTION, 201, takes=PredictionRequest),
    "GET /v1/files": Documented(wire.WireFile, is_page=True),
    "POST /v1/files": Documented(wire.WireFile, 201, takes_media_type="multipart/form-data"),
    "GET /v1/files/{file_id}": Documented(wire.WireFile),
    "DELETE /v1/files/{file_id}": Documented(status=204),
    "GET /v1/files/{file_id}/download": Documented(media_type="application/octet-stream"),
    "GET /v1/files/{stream_token}": Documented(media_type="text/event-stream"),
    "GET /v1/hardware": Documented(HardwareItem, is_array=True),
    "GET /v1/models": Documented(wire.WireModel, is_page=True),
    "POST /v1/models": Documented(wire.WireModel, 201, takes=ModelRequest),
    "QUERY /v1/models": Documented(wire.WireModel, is_page=True, takes_media_type="text/plain"),
    f"GET {_MODEL}": Documented(wire.WireModel),
    f"PATCH {_MODEL}": Documented(wire.WireModel, takes=ModelChanges),
    f"DELETE {_MODEL}": Documented(status=204),
    f"GET {_MODEL}/examples": Documented(_PREDICTION, is_page=True),
    f"POST {_MODEL}/examples": Documented(_PREDICTION, 201, takes=ExampleRequest),
    f"DELETE {_MODEL}/examples/{{prediction_id}}": Documented(status=204),
    f"POST {_MODEL}/predictions": Documented(_PREDICTION, 201, takes=PredictionRequest),
    f"GET {_MODEL}/readme": Documented(media_type="text/plain"),
    f"GET {_MODEL}/versions": Documented(wire.WireVersion, is_page=True),
    f"POST {_MODEL}/versions": Documented(media_type="application/x-ndjson", takes_media_type="application/gzip"),
    f"GET {_MODEL}/versions/{{version}}": Documented(wire.WireVersion),
    f"DELETE {_MODEL}/versions/{{version}}": Documented(status=202),
    "GET /v1/predictions": Documented(_PREDICTION, is_page=True),
    "POST /v1/predictions": Documented(_PREDICTION, 201, takes=VersionedPredictionRequest),
    "GET /v1/predictions/{prediction_id}": Documented(_PREDICTION),
    "POST /v1/predictions/{prediction_id}/cancel": Documented(_PREDICTION),
    "GET /v1/search": Documented(wire_catalogue.WireFindings),
    "GET /v1/streams/{stream_token}": Documented(media_type="text/event-stream"),
    "GET /v1/webhooks/default/secret": Documented(WebhookSecretKey),
}


def build_document(*, protected: tuple[Route, ...], public: tuple[Route, ...]) -> dict[str, Any]:
    """The document of a route table; a route that `DOCUMENTED` forgot raises `KeyError`."""
    shapes = {kind for item in DOCUMENTED.values() for kind in (item.shape, item.takes) if kind is not None} | {Problem}
    ordered = sorted(shapes, key=lambda kind: kind.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for route in sorted((*protected, *public), key=lambda route: route.path):
        operation = _build_operation(route, DOCUMENTED[f"{route.method} {route.path}"], is_public=route in public)
        paths.setdefault(route.path, {})[_METHOD_KEYS.get(route.method, route.method.lower())] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Replicate HTTP API", "version": VERSION},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def encode_document(document: Mapping[str, Any]) -> str:
    """Its text, the same for equal documents."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _build_operation(route: Route, documented: Documented, *, is_public: bool) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.handler.__module__.rpartition('.')[2]}.{route.handler.__name__}",
        "summary": _summary(route),
    }
    if is_public:
        operation["security"] = []
    else:
        operation["description"] = f"Needs a token with the scope `{needed(route.method, route.path)}`."
    names = re.findall(r"{(\w+)}", route.path)
    operation["parameters"] = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    if documented.takes is not None or documented.takes_media_type != JSON:
        schema = _refer(documented.takes) if documented.takes is not None else {}
        operation["requestBody"] = {"required": True, "content": {documented.takes_media_type: {"schema": schema}}}
    operation["responses"] = {
        str(documented.status): _build_response(documented),
        "default": {"description": "Refused.", "content": {"application/problem+json": {"schema": _refer(Problem)}}},
    }
    return operation


def _build_response(documented: Documented) -> dict[str, Any]:
    if documented.status in (202, 204):
        return {"description": "Done; the body is empty."}
    schema: dict[str, Any] = {} if documented.shape is None else _refer(documented.shape)
    if documented.is_array:
        schema = {"type": "array", "items": schema}
    if documented.is_page:
        link = {"type": ["string", "null"]}
        fields = {"next": link, "previous": link, "results": {"type": "array", "items": schema}}
        schema = {"type": "object", "required": list(fields), "properties": fields}
    return {"description": "Done.", "content": {documented.media_type: {"schema": schema}}}


def _refer(kind: type) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}


def _summary(route: Route) -> str:
    """What the handler's docstring says behind the route's name; the route's name where it says no more."""
    first = (route.handler.__doc__ or "").strip().splitlines()[0]
    said = first.rpartition("``")[2].strip(" :.")
    return said[:1].upper() + said[1:] if said else f"{route.method} {route.path}"


if __name__ == "__main__":
    from replicate_server.api.routes import PROTECTED, PUBLIC

    sys.stdout.write(encode_document(build_document(protected=PROTECTED, public=PUBLIC)))
