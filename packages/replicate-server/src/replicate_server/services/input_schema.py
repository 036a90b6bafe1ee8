"""A version's input schema, read once: resolved, made into plain JSON Schema, and asked which inputs are files.

Pure. `validation` and `input_files` both need it; neither parses a schema document itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from replicate_server.domain.records import Version

Schema = Mapping[str, Any]

DEPTH_MAX = 32
NODES_MAX = 20_000

_SCHEMAS_PREFIX = "#/components/schemas/"
_LISTS = ("anyOf", "oneOf", "allOf")


def build_input_schema(version: Version, *, component: str = "Input") -> dict[str, Any]:
    """The version's input as one self-contained JSON Schema.

    References into the document are replaced by what they name, and OpenAPI's ``nullable: true`` (also ``default: null``)
    becomes a union with null. A version without an input schema accepts any object.
    """
    schemas = version.openapi_schema.get("components", {}).get("schemas", {})
    schema = schemas.get(component)
    plain = _to_plain(schema, schemas, depth=0, budget=itertools.count()) if isinstance(schema, Mapping) else {}
    return {"type": "object", **plain}


def _to_plain(schema: Schema, schemas: Schema, *, depth: int, budget: Iterator[int]) -> dict[str, Any]:
    # An author writes the document. References that name each other twice would double it at every level.
    if depth > DEPTH_MAX or next(budget) > NODES_MAX:
        return {}
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith(_SCHEMAS_PREFIX):
        named = schemas.get(reference.removeprefix(_SCHEMAS_PREFIX), {})
        return _to_plain(named, schemas, depth=depth + 1, budget=budget)
    plain = {name: value for name, value in schema.items() if name not in ("nullable", "$ref", "default", "examples")}
    for name in _LISTS:
        if isinstance(schema.get(name), list):
            plain[name] = [_to_plain(item, schemas, depth=depth + 1, budget=budget) for item in schema[name]]
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), Mapping):
            plain[name] = _to_plain(schema[name], schemas, depth=depth + 1, budget=budget)
    if isinstance(schema.get("properties"), Mapping):
        plain["properties"] = {
            name: _to_plain(item, schemas, depth=depth + 1, budget=budget) for name, item in schema["properties"].items()
        }
    # cog wraps choices as {"allOf": [{"$ref": …}]}; unwrapped, an error names the keyword itself.
    if len(plain.get("allOf", ())) == 1:
        (only,) = plain.pop("allOf")
        plain = {**plain, **only}
    is_nullable = schema.get("nullable") is True or ("default" in schema and schema["default"] is None)
    return _with_null(plain) if is_nullable and depth > 0 else plain


def _with_null(plain: dict[str, Any]) -> dict[str, Any]:
    """Let null pass every keyword of a schema that would refuse it."""
    if isinstance(plain.get("type"), str):
        plain["type"] = [plain["type"], "null"]
    if isinstance(plain.get("enum"), list) and None not in plain["enum"]:
        plain["enum"] = [*plain["enum"], None]
    for name in ("anyOf", "oneOf"):
        if isinstance(plain.get(name), list):
            plain[name] = [*plain[name], {"type": "null"}]
    return plain


def is_file_schema(schema: Schema) -> bool:
    """Whether a schema (already plain) describes one file: a string of format ``uri``."""
    return schema.get("format") == "uri" and schema.get("type", "string") in ("string", ["string", "null"])


def has_file_inside(schema: Schema) -> bool:
    """Whether a file can occur anywhere in a value of this schema."""
    inner = [*schema.get("properties", {}).values(), *(member for name in _LISTS for member in schema.get(name, ()))]
    inner += [schema[name] for name in ("items", "additionalProperties") if isinstance(schema.get(name), Mapping)]
    return is_file_schema(schema) or any(has_file_inside(item) for item in inner)


def file_pointers(schema: Schema, value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Yield ``(JSON Pointer, text)`` for every file in a value, in the order of the value.

    Where a union allows a file or plain text, a string counts as a file when it is an http(s) or data URI.
    """
    if isinstance(value, str):
        members = [member for name in _LISTS for member in schema.get(name, ())]
        is_maybe_file = any(is_file_schema(member) for member in members) and is_file_uri(value)
        if is_file_schema(schema) or is_maybe_file:
            yield pointer, value
    elif isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for index, item in enumerate(value):
            yield from file_pointers(schema["items"], item, f"{pointer}/{index}")
    elif isinstance(value, Mapping):
        others = schema.get("additionalProperties")
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, others)
            if isinstance(inner, Mapping):
                yield from file_pointers(inner, item, f"{pointer}/{_escape(name)}")


def secret_names(schema: Schema) -> Iterator[str]:
    """The properties of an input schema (already plain) whose value, or whose items, are secret."""
    for name, item in schema.get("properties", {}).items():
        inner = item.get("items")
        if _is_secret(item) or (isinstance(inner, Mapping) and _is_secret(inner)):
            yield name


def _is_secret(schema: Schema) -> bool:
    members = [member for name in _LISTS for member in schema.get(name, ())]
    return schema.get("x-cog-secret") is True or any(_is_secret(member) for member in members)


def is_file_uri(text: str) -> bool:
    """Whether text is a URI that the server can fetch or decode: ``http:``, ``https:`` or ``data:``."""
    scheme, colon, after = text[:8].lower().partition(":")
    return bool(colon) and (scheme == "data" or (scheme in ("http", "https") and after.startswith("/")))


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
