"""Outputs as JSON Schema: everything inlined, iterators marked."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import enum
import inspect
import os
import pathlib
import typing
import uuid
from typing import Any, Dict, FrozenSet, List, Optional, Tuple

from cog.annotations import Opaque, describe, literal_values, resolve_annotations, split_optional, strip_annotated
from cog.errors import RunnerError
from cog.schema.inputs import is_typed_dict
from cog.types import AsyncConcatenateIterator, ConcatenateIterator, File, Path, Secret

JsonSchema = Dict[str, Any]

DEPTH_MAX = 30
"""A model class that holds itself cannot be inlined; this is where it ends."""

_SCALARS: Dict[Any, JsonSchema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"nullable": True},
    Path: {"type": "string", "format": "uri"},
    pathlib.Path: {"type": "string", "format": "uri"},
    File: {"type": "string", "format": "uri"},
    Any: {"type": "object"},
    Opaque: {"type": "object"},
    object: {"type": "object"},
    dict: {"type": "object"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
    datetime.time: {"type": "string", "format": "time"},
    uuid.UUID: {"type": "string", "format": "uuid"},
}

_ITERATORS = (
    collections.abc.Iterator,
    collections.abc.AsyncIterator,
    collections.abc.Generator,
    collections.abc.AsyncGenerator,
    collections.abc.Iterable,
    collections.abc.AsyncIterable,
)
_CONCATENATING = (ConcatenateIterator, AsyncConcatenateIterator)
_LISTS = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.MutableSequence, collections.abc.Set)

ACCEPTED = "text, numbers, bool, cog.Path, lists, dicts, a BaseModel, or an iterator of these"


def is_iterator_output(annotation: Any) -> bool:
    """Whether a return annotation promises values one after the other."""
    annotation = strip_annotated(annotation)
    return _origin(annotation) in (*_ITERATORS, *_CONCATENATING)


def describe_output(annotation: Any, place: str) -> JsonSchema:
    """The ``Output`` component of a return annotation.

    Args:
        annotation: Resolved; ``inspect.Parameter.empty`` when the author wrote none.
        place: File and function, for messages.

    Raises:
        RunnerError: If the annotation is missing or promises what cannot be returned.
    """
    if annotation is inspect.Parameter.empty:
        raise RunnerError(f"{place} has no return type; write `-> str`, `-> cog.Path` or, for anything else, `-> Any`")
    annotation = strip_annotated(annotation)
    origin = _origin(annotation)
    if origin in _CONCATENATING:
        arguments = typing.get_args(annotation)
        if arguments and arguments[0] is not str and not isinstance(arguments[0], typing.TypeVar):
            raise RunnerError(f"{place}: {origin.__name__} joins pieces of text, so it must be {origin.__name__}[str]")
        marks = {"x-cog-array-type": "iterator", "x-cog-array-display": "concatenate"}
        return {"title": "Output", "type": "array", "items": {"type": "string"}, **marks}
    if origin in _ITERATORS:
        arguments = typing.get_args(annotation)
        items = _value(arguments[0] if arguments else Any, place, 0)
        return {"title": "Output", "type": "array", "items": items, "x-cog-array-type": "iterator"}
    # The component's own title wins over a model class's name: clients look for `Output`.
    return {**_value(annotation, place, 0), "title": "Output"}


def _origin(annotation: Any) -> Any:
    return typing.get_origin(annotation) or annotation


def _value(annotation: Any, place: str, depth: int) -> JsonSchema:
    """The schema of any type inside an output."""
    members, is_nullable = split_optional(annotation)
    if not members:
        return {"nullable": True}
    described = [_member(member, place, depth) for member in members]
    body = described[0] if len(described) == 1 else {"anyOf": described}
    return {**body, "nullable": True} if is_nullable else body


def _member(annotation: Any, place: str, depth: int) -> JsonSchema:
    annotation = strip_annotated(annotation)
    if depth > DEPTH_MAX:
        raise RunnerError(f"{place} returns a type that contains itself; use dict for the inner one")
    known = _known(annotation)
    if known is not None:
        return dict(known)
    values = literal_values(annotation)
    if values is not None:
        return {"enum": list(values), **_enum_type(values)}
    origin = _origin(annotation)
    arguments = [item for item in typing.get_args(annotation) if item is not Ellipsis and item != ()]
    if origin in _LISTS:
        return {"type": "array", "items": _items(arguments, place, depth)}
    if origin in {dict, collections.abc.Mapping, collections.abc.MutableMapping} and len(arguments) == 2:
        extra = {} if arguments[1] is Any else {"additionalProperties": _value(arguments[1], place, depth + 1)}
        return {"type": "object", **extra}
    if isinstance(annotation, type):
        return _class(annotation, place, depth)
    raise RunnerError(f"{place} returns {describe(annotation)}, which cannot be an output; use {ACCEPTED}")


def _known(annotation: Any) -> Optional[JsonSchema]:
    try:
        return _SCALARS.get(annotation)
    except TypeError:  # an unhashable annotation is none of ours
        return None


def _items(arguments: List[Any], place: str, depth: int) -> JsonSchema:
    """One schema for all elements; those of a tuple with several types may be any of them."""
    described: List[JsonSchema] = []
    for argument in arguments or [Any]:
        schema = _value(Any if isinstance(argument, typing.TypeVar) else argument, place, depth + 1)
        if schema not in described:
            described.append(schema)
    return described[0] if len(described) == 1 else {"anyOf": described}


def _enum_type(values: Tuple[Any, ...]) -> JsonSchema:
    kinds = {type(value) for value in values}
    return dict(_SCALARS[kinds.pop()]) if len(kinds) == 1 else {}


def _class(annotation: type, place: str, depth: int) -> JsonSchema:
    """A class: an enumeration, a model with fields, a subclass of something plain."""
    if issubclass(annotation, enum.Enum):
        values = tuple(member.value for member in annotation)
        return {"enum": list(values), **_enum_type(values)}
    if issubclass(annotation, Secret):
        raise RunnerError(f"{place} returns a cog.Secret; secrets are never returned")
    if issubclass(annotation, (bytes, bytearray)):
        raise RunnerError(f"{place} returns bytes, which JSON lacks; write a file and return its cog.Path, or return text")
    fields = _fields(annotation)
    if fields is not None:
        return _model(fields, place, depth)
    if hasattr(annotation, "dtype") and hasattr(annotation, "tolist"):
        return {"type": "array", "items": {"type": "object"}}
    if issubclass(annotation, os.PathLike):
        return {"type": "string", "format": "uri"}
    for kind in (str, bool, int, float, dict):
        if issubclass(annotation, kind):
            return dict(_SCALARS[kind])
    raise RunnerError(f"{place} returns {describe(annotation)}, which cannot be an output; use {ACCEPTED}")


def _fields(annotation: type) -> Optional[Dict[str, Tuple[Any, bool]]]:
    """The fields of a model class: name → (annotation, whether it has a default). None for other classes."""
    if dataclasses.is_dataclass(annotation):
        resolved = _all_annotations(annotation)
        missing = dataclasses.MISSING
        return {
            item.name: (resolved[item.name], item.default is not missing or item.default_factory is not missing)
            for item in dataclasses.fields(annotation)
        }
    pydantic_fields = getattr(annotation, "model_fields", None)
    if isinstance(pydantic_fields, dict):
        return {name: (field.annotation, not field.is_required()) for name, field in pydantic_fields.items()}
    older_fields = getattr(annotation, "__fields__", None)
    if isinstance(older_fields, dict):
        return {name: (field.outer_type_, not field.required) for name, field in older_fields.items()}
    if is_typed_dict(annotation):
        required_keys: FrozenSet[str] = getattr(annotation, "__required_keys__", frozenset())
        return {name: (kind, name not in required_keys) for name, kind in _all_annotations(annotation).items()}
    return None


def _all_annotations(annotation: type) -> Dict[str, Any]:
    """The resolved annotations of a class and its bases."""
    resolved: Dict[str, Any] = {}
    for base in reversed(annotation.__mro__):
        if "__annotations__" in vars(base):
            resolved.update(resolve_annotations(base))
    return resolved


def _model(fields: Dict[str, Tuple[Any, bool]], place: str, depth: int) -> JsonSchema:
    properties: Dict[str, JsonSchema] = {}
    required: List[str] = []
    for name, (annotation, has_default) in fields.items():
        properties[name] = {**_value(annotation, place, depth + 1), "title": name.replace("_", " ").title()}
        if not has_default and not split_optional(annotation)[1]:
            required.append(name)
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}
