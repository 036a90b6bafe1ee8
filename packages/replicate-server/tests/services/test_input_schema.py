"""Reading a version's schema: a document that an author forged must not cost the server more than one that grew."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from replicate_server.domain.ids import ModelId, VersionId
from replicate_server.domain.records import Package, Version
from replicate_server.services.input_schema import NODES_MAX, build_input_schema


def version_with(schemas: dict[str, Any]) -> Version:
    document = {"components": {"schemas": schemas}}
    created_at = datetime(2024, 1, 1, tzinfo=UTC)
    return Version(VersionId("f" * 64), ModelId("m"), "o", "n", created_at, "0", document, b"", Package("p", (), "3.11", ""))


def count_nodes(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(count_nodes(item) for item in inner)


def test_references_that_double_at_every_level_are_cut_off() -> None:
    twice = {"anyOf": [{"$ref": "#/components/schemas/Input"}, {"$ref": "#/components/schemas/Input"}]}
    schema = build_input_schema(version_with({"Input": {"type": "object", "properties": {"a": twice, "b": twice}}}))
    assert count_nodes(schema) < 20 * NODES_MAX


def test_a_document_without_references_is_kept_whole() -> None:
    properties = {f"field_{number}": {"type": "integer", "x-order": number} for number in range(500)}
    assert build_input_schema(version_with({"Input": {"type": "object", "properties": properties}}))["properties"] == properties
