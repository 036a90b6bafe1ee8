"""One immutable build of a model, and what its schema says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Type, TypeVar

from replicate.core.times import parse_time
from replicate.records import Record

if TYPE_CHECKING:
    from datetime import datetime

V = TypeVar("V", bound="Version")


@dataclass
class Version(Record):
    """A version: its id is the digest of what it runs."""

    id: str
    created_at: Optional[datetime] = None
    cog_version: str = ""
    openapi_schema: Dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls: Type[V], data: Mapping[str, Any]) -> V:
        """Read a decoded JSON object; the creation time becomes a datetime, nulls become empty."""
        version = super().from_json(data)
        version.created_at = parse_time(str(data.get("created_at")))
        version.cog_version = version.cog_version or ""
        version.openapi_schema = version.openapi_schema or {}
        return version

    @property
    def input_schema(self) -> Dict[str, Any]:
        """JSON Schema of the input; empty when unknown."""
        return _component(self.openapi_schema, "Input")

    @property
    def output_schema(self) -> Dict[str, Any]:
        """JSON Schema of the output; empty when unknown."""
        return _component(self.openapi_schema, "Output")

    @property
    def has_iterator_output(self) -> bool:
        """Whether the model yields its output piece by piece.

        Cog before 0.3.9 did not mark iterators, so there every array counts as one (as the 1.x client decided).
        """
        output = self.output_schema
        return output.get("type") == "array" and (output.get("x-cog-array-type") == "iterator" or is_before_array_types(self))

    @property
    def has_text_stream(self) -> bool:
        """Whether the pieces of the output are to be joined into one text."""
        return self.has_iterator_output and self.output_schema.get("x-cog-array-display") == "concatenate"

    @property
    def may_output_files(self) -> bool:
        """Whether the output can hold file URLs; true when the schema does not say."""
        return may_hold_files(self.output_schema, self.openapi_schema)


def is_before_array_types(version: Version) -> bool:
    """Whether a version was built before Cog 0.3.9 began to mark iterators."""
    parts = version.cog_version.split(".")[:3]
    numbers = [int(part) for part in parts if part.isdigit()]
    return len(numbers) == 3 and numbers < [0, 3, 9]


def may_hold_files(schema: Any, document: Mapping[str, Any], depth: int = 0) -> bool:
    """Whether values of a schema can be file URLs: a ``uri`` somewhere inside, or a part that allows anything."""
    if not isinstance(schema, Mapping) or depth > 16:
        return True
    if "$ref" in schema:
        return may_hold_files(_component(document, str(schema["$ref"]).rpartition("/")[2]), document, depth + 1)
    options = [*schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("allOf", [])]
    if options:
        return any(may_hold_files(option, document, depth + 1) for option in options)
    kind = schema.get("type")
    if kind == "array":
        return may_hold_files(schema.get("items", {}), document, depth + 1)
    if kind == "object":
        properties = schema.get("properties")
        return not properties or any(may_hold_files(part, document, depth + 1) for part in properties.values())
    return kind is None or (kind == "string" and schema.get("format") == "uri")


def _component(document: Mapping[str, Any], name: str) -> Dict[str, Any]:
    component = ((document.get("components") or {}).get("schemas") or {}).get(name)
    return component if isinstance(component, dict) else {}
