"""Inputs as JSON Schema: one property for each parameter, one component for each set of choices."""

from __future__ import annotations

import enum
import json
import math
import os
import pathlib
import re
import typing
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from cog.annotations import Opaque, describe, list_item, literal_values, split_optional, strip_annotated
from cog.errors import RunnerError
from cog.fields import FieldInfo
from cog.signature import Parameter
from cog.types import File, Path, Secret

JsonSchema = Dict[str, Any]

_SCALARS: Dict[Any, JsonSchema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    Path: {"type": "string", "format": "uri"},
    pathlib.Path: {"type": "string", "format": "uri"},
    File: {"type": "string", "format": "uri"},
    Secret: {"type": "string", "format": "password", "writeOnly": True, "x-cog-secret": True},
    Any: {"type": "object"},
    Opaque: {"type": "object"},
}

FILE_TYPES = (Path, pathlib.Path, File)

_TYPE_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean"}

RESERVED_COMPONENTS = frozenset(
    {
        "Input", "Output", "PredictionRequest", "PredictionResponse", "Status", "HTTPValidationError", "ValidationError",
        "TrainingInput", "TrainingOutput", "TrainingRequest", "TrainingResponse",
    }
)  # fmt: skip

ACCEPTED = "str, int, float, bool, cog.Path, cog.File, cog.Secret, dict, Any, Literal, a list of these, or a union of these"


@dataclass(frozen=True)
class InputSchema:
    """The object schema of all inputs, and the components its properties refer to."""

    schema: JsonSchema
    components: Dict[str, JsonSchema]


def describe_inputs(parameters: Sequence[Parameter], file: str, *, title: str, taken: Dict[str, JsonSchema]) -> InputSchema:
    """Describe all inputs of a runner.

    Args:
        parameters: In the order they were written.
        file: For messages.
        title: ``Input`` or ``TrainingInput``.
        taken: Components made so far, by name; those made here are added.

    Raises:
        RunnerError: Naming the parameter and what to do.
    """
    properties: Dict[str, JsonSchema] = {}
    components: Dict[str, JsonSchema] = {}
    for order, parameter in enumerate(parameters):
        describer = _PropertyDescriber(parameter, file, title, taken)
        properties[parameter.name] = {**describer.describe(), "x-order": order}
        components.update(describer.components)
    schema: JsonSchema = {"title": title, "type": "object", "properties": properties}
    required = [parameter.name for parameter in parameters if parameter.is_required]
    if required:
        schema["required"] = required
    return InputSchema(schema, components)


class _PropertyDescriber:
    """Describes one parameter; a class because every step may have to blame it."""

    def __init__(self, parameter: Parameter, file: str, title: str, taken: Dict[str, JsonSchema]) -> None:
        self._parameter = parameter
        self._field = parameter.field
        self._place = f"{file}: parameter `{parameter.name}`"
        self._title = title
        self._taken = taken
        self.components: Dict[str, JsonSchema] = {}

    def describe(self) -> JsonSchema:
        """The property."""
        body = self._value_schema()
        if self._field.description is not None:
            body["description"] = self._field.description
        if self._field.deprecated:
            body["deprecated"] = True
        if self._parameter.is_nullable:
            body["nullable"] = True
        body.update(self._constraints(body))
        if self._field.has_default:
            body["default"] = self._default(body)
        return body

    def _value_schema(self) -> JsonSchema:
        title = self._parameter.name.replace("_", " ").title()
        members = self._parameter.members
        if len(members) > 1:
            return {"title": title, "anyOf": self._union(members)}
        annotation = strip_annotated(members[0])
        choices = self._field.choices if self._field.choices is not None else literal_values(annotation)
        item = list_item(annotation)
        if choices is not None and item is None:
            return {"allOf": [self._reference(choices)]}
        if choices is not None:
            return {"title": title, "type": "array", "items": self._reference(choices)}
        return {"title": title, **self._plain(annotation)}

    def _union(self, members: List[Any]) -> List[JsonSchema]:
        described = [self._plain(member) for member in members]
        nullable = {"nullable": True} if self._parameter.is_nullable else {}
        return [{**item, **nullable} for item in described]

    def _plain(self, annotation: Any) -> JsonSchema:
        """The schema of a type, without anything the parameter adds."""
        annotation = strip_annotated(annotation)
        known = _lookup(annotation)
        if known is not None:
            return dict(known)
        values = literal_values(annotation)
        if values is not None:
            return {"enum": list(values), "type": self._choice_type(values)}
        item = list_item(annotation)
        if item is not None:
            return {"type": "array", "items": self._item(item)}
        if annotation is dict or typing.get_origin(annotation) is dict or is_typed_dict(annotation):
            return {"type": "object"}
        raise RunnerError(f"{self._place} has the type {describe(annotation)}, which cannot be an input; use {ACCEPTED}")

    def _item(self, annotation: Any) -> JsonSchema:
        members, is_nullable = split_optional(annotation)
        body = self._plain(members[0]) if len(members) == 1 else {"anyOf": [self._plain(member) for member in members]}
        return {**body, "nullable": True} if is_nullable else body

    def _reference(self, choices: Sequence[Any]) -> JsonSchema:
        """A component with the allowed values, and the reference to it."""
        values = [item.value if isinstance(item, enum.Enum) else item for item in choices]
        if not values:
            raise RunnerError(f"{self._place} has an empty list of choices; give at least one or leave choices out")
        name = self._parameter.name
        component = {"title": name, "description": "An enumeration.", "enum": values, "type": self._choice_type(values)}
        # Two things may not share a component: an input called "Status", or one name with other values in training.
        while name in RESERVED_COMPONENTS or self._taken.get(name, component) != component:
            name = f"{self._title}_{name}"
        self._taken[name] = self.components[name] = component
        return {"$ref": f"#/components/schemas/{name}"}

    def _choice_type(self, values: Sequence[Any]) -> str:
        kinds = {type(value) for value in values}
        if kinds == {int, float}:
            kinds = {float}
        name = _TYPE_NAMES.get(next(iter(kinds))) if len(kinds) == 1 else None
        if name is None:
            found = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise RunnerError(f"{self._place} has choices of type {found}; all must be text, or all numbers")
        return name

    def _constraints(self, body: JsonSchema) -> JsonSchema:
        """What limits the value; for a list, lengths count its items and the rest is about them."""
        field = self._field
        is_list = body.get("type") == "array"
        lengths = ("minItems", "maxItems") if is_list else ("minLength", "maxLength")
        written = {
            "minimum": field.ge,
            "maximum": field.le,
            lengths[0]: field.min_length,
            lengths[1]: field.max_length,
            "pattern": field.regex,
        }
        found = {key: value for key, value in written.items() if value is not None}
        if found and "anyOf" in body:
            raise RunnerError(f"{self._place} is a union and has constraints ({', '.join(found)}); a union cannot have any")
        self._check_constraints(found)
        if field.accept is not None:
            if not self._takes_files():
                raise RunnerError(f"{self._place} has accept=, which is for cog.Path and cog.File inputs")
            found["x-cog-accept"] = field.accept
        if is_list:
            inner = {key: found.pop(key) for key in ("minimum", "maximum", "pattern") if key in found}
            if inner:
                body["items"] = {**body["items"], **inner}
        return found

    def _check_constraints(self, found: JsonSchema) -> None:
        for low, high in (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems")):
            if low in found and high in found and found[low] > found[high]:
                raise RunnerError(f"{self._place}: its {low} of {found[low]} is above its {high} of {found[high]}")
        try:
            re.compile(found.get("pattern", ""))
        except re.error as error:
            raise RunnerError(f"{self._place}: its regex is not a regular expression: {error}") from error

    def _takes_files(self) -> bool:
        types = [list_item(member) or member for member in self._parameter.members]
        return all(item in FILE_TYPES for item in types)

    def _default(self, body: JsonSchema) -> Any:
        """The default as a JSON value, checked against the parameter's own rules."""
        default = default_value(self._field)
        try:
            json.dumps(default, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise RunnerError(
                f"{self._place} has a default that JSON lacks ({error}); use text, a number, a list or None"
            ) from error
        if default is not None:
            problem = self._default_problem(default, body)
            if problem:
                raise RunnerError(f"{self._place}: its default {default!r} {problem}; change the default or the rule")
        return default

    def _default_problem(self, default: Any, body: JsonSchema) -> Optional[str]:
        values = [enum_value for reference in body.get("allOf", ()) for enum_value in self._choices_of(reference)]
        if values and default not in values:
            return f"is not one of its choices {values!r}"
        if "anyOf" not in body and "allOf" not in body and not _fits(default, body["type"]):
            return f"is not of its type {body['type']}"
        checks: List[Tuple[str, Callable[[Any], bool]]] = [
            ("minimum", lambda limit: default >= limit),
            ("maximum", lambda limit: default <= limit),
            ("minLength", lambda limit: len(default) >= limit),
            ("maxLength", lambda limit: len(default) <= limit),
            ("pattern", lambda pattern: re.search(pattern, default) is not None),
        ]
        broken = [f"breaks its {key} of {body[key]}" for key, holds in checks if key in body and not holds(body[key])]
        return broken[0] if broken else None

    def _choices_of(self, reference: JsonSchema) -> List[Any]:
        values: List[Any] = self._taken[reference["$ref"].rsplit("/", 1)[-1]]["enum"]
        return values


def default_value(field: FieldInfo) -> Any:
    """A field's default as it is published: secrets hidden, paths and enumerations as their text."""
    default = field.default
    if isinstance(default, enum.Enum):
        return default.value
    if isinstance(default, Secret):
        return str(default)
    if isinstance(default, os.PathLike):
        return str(default)
    return list(default) if isinstance(default, tuple) else default


def is_typed_dict(annotation: Any) -> bool:
    """Whether it is a ``TypedDict`` class, from ``typing`` or ``typing_extensions``."""
    return isinstance(annotation, type) and issubclass(annotation, dict) and hasattr(annotation, "__total__")


def _lookup(annotation: Any) -> Optional[JsonSchema]:
    try:
        return _SCALARS.get(annotation)
    except TypeError:  # an unhashable annotation is none of ours
        return None


def _fits(value: Any, json_type: str) -> bool:
    if json_type == "object":
        return True  # Any is published as an object
    kinds: Dict[str, Tuple[type, ...]] = {
        "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list,),
    }  # fmt: skip
    if isinstance(value, bool) and json_type != "boolean":
        return False
    if json_type == "integer" and isinstance(value, float):
        return math.isfinite(value) and value.is_integer()
    return isinstance(value, kinds[json_type])
