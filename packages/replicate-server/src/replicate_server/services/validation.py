"""Checks an input against its version's schema, in the wording that clients of the hosted API already match on.

Owns the compiled validators, one per version, and the translation of findings into gojsonschema's types and sentences (reference
http-api §3). Defaults are the worker's to apply.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from replicate_server.domain.errors import FieldError, InvalidInput
from replicate_server.domain.ids import VersionId
from replicate_server.domain.records import Version
from replicate_server.domain.secret_inputs import seal
from replicate_server.services.input_schema import (
    build_input_schema,
    file_pointers,
    has_file_inside,
    is_file_uri,
    secret_names,
)

VALIDATORS_MAX = 4_096
ERRORS_MAX = 100

_GO_TYPE_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
)


@dataclass(frozen=True, slots=True)
class _InputValidator:
    """A version's input schema, compiled."""

    schema: Mapping[str, Any]
    compiled: jsonschema_rs.Draft202012Validator
    names: frozenset[str] | None
    """The declared inputs; None when the schema declares none and every key is passed on."""
    has_files: bool
    secrets: frozenset[str]
    """The declared inputs whose values only the model may see."""


_validators: OrderedDict[VersionId, _InputValidator] = OrderedDict()


def validate_input(version: Version, input: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check an input; every problem is reported at once.

    Returns:
        The input without keys that the model does not declare: they are accepted and dropped, so that a model never sees them.
        Its secrets are sealed.

    Raises:
        InvalidInput: If the schema refuses it, or a file input is neither an http(s) URL nor a data URI.
    """
    validator = _validators.get(version.id)
    if validator is None:
        validator = _compile(version)
    if not validator.compiled.is_valid(input):
        raise InvalidInput(_field_errors(validator, input))
    if validator.has_files:
        errors = [_format_error(pointer) for pointer, text in file_pointers(validator.schema, input) if not is_file_uri(text)]
        if errors:
            raise InvalidInput(errors)
    if validator.secrets:
        input = seal(input, validator.secrets)
    if validator.names is None or input.keys() <= validator.names:
        return input
    return {name: value for name, value in input.items() if name in validator.names}


def _compile(version: Version) -> _InputValidator:
    schema = build_input_schema(version)
    try:
        compiled = jsonschema_rs.Draft202012Validator(schema)
    except (ValueError, jsonschema_rs.ValidationError):
        # A pattern this engine cannot read must not make a published version unusable: check everything but patterns.
        compiled = jsonschema_rs.Draft202012Validator(_without_patterns(schema))
    properties = schema.get("properties")
    validator = _InputValidator(
        schema=schema,
        compiled=compiled,
        names=frozenset(properties) if isinstance(properties, Mapping) else None,
        has_files=has_file_inside(schema),
        secrets=frozenset(secret_names(schema)),
    )
    _validators[version.id] = validator
    while len(_validators) > VALIDATORS_MAX:
        _validators.popitem(last=False)
    return validator


def _without_patterns(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _without_patterns(item) for name, item in value.items() if not (name == "pattern" and isinstance(item, str))
        }
    return [_without_patterns(item) for item in value] if isinstance(value, list) else value


def _field_errors(validator: _InputValidator, input: Mapping[str, Any]) -> list[FieldError]:
    errors = []
    for finding in validator.compiled.iter_errors(input):
        errors.append(_translate(finding))
        if len(errors) == ERRORS_MAX:
            break
    return errors


def _translate(finding: jsonschema_rs.ValidationError) -> FieldError:
    """One finding in gojsonschema's words; what it has no words for keeps the validator's own message."""
    path = [str(part) for part in finding.instance_path]
    field = ".".join(["input", *path])
    keyword = str(finding.schema_path[-1]) if finding.schema_path else ""
    known = _TRANSLATIONS.get(type(finding.kind).__name__)
    if known is None:
        return FieldError(keyword or "invalid", field, finding.message)
    type_name, describe = known
    return FieldError(type_name, field, describe(finding, path[-1] if path else "input"))


_Describe = Callable[[jsonschema_rs.ValidationError, str], str]


def _kind(finding: jsonschema_rs.ValidationError) -> Any:
    return finding.kind


def _describe_type(finding: jsonschema_rs.ValidationError, name: str) -> str:
    types = [item for item in _kind(finding).types if item != "null"]
    return f"Invalid type. Expected: {'/'.join(types)}, given: {go_type_name(finding.instance)}"


def _describe_enum(finding: jsonschema_rs.ValidationError, name: str) -> str:
    options = [json.dumps(item, ensure_ascii=False) for item in _kind(finding).options if item is not None]
    return f"{name} must be one of the following: {', '.join(options)}"


_TRANSLATIONS: Mapping[str, tuple[str, _Describe]] = {
    "Required": ("required", lambda finding, name: f"{_kind(finding).property} is required"),
    "Type": ("invalid_type", _describe_type),
    "Enum": ("enum", _describe_enum),
    "Maximum": ("number_lte", lambda finding, name: f"Must be less than or equal to {_number(_kind(finding).limit)}"),
    "Minimum": ("number_gte", lambda finding, name: f"Must be greater than or equal to {_number(_kind(finding).limit)}"),
    "ExclusiveMaximum": ("number_lt", lambda finding, name: f"Must be less than {_number(_kind(finding).limit)}"),
    "ExclusiveMinimum": ("number_gt", lambda finding, name: f"Must be greater than {_number(_kind(finding).limit)}"),
    "MaxLength": ("string_lte", lambda finding, name: f"String length must be less than or equal to {_kind(finding).limit}"),
    "MinLength": ("string_gte", lambda finding, name: f"String length must be greater than or equal to {_kind(finding).limit}"),
    "MaxItems": ("array_max_items", lambda finding, name: f"Array must have at most {_kind(finding).limit} items"),
    "MinItems": ("array_min_items", lambda finding, name: f"Array must have at least {_kind(finding).limit} items"),
    "Pattern": ("pattern", lambda finding, name: f"Does not match pattern '{_kind(finding).pattern}'"),
    "Format": ("format", lambda finding, name: f"Does not match format '{_kind(finding).format}'"),
    "AnyOf": ("number_any_of", lambda finding, name: "Must validate at least one schema (anyOf)"),
    "OneOfNotValid": ("number_one_of", lambda finding, name: "Must validate one and only one schema (oneOf)"),
    "OneOfMultipleValid": ("number_one_of", lambda finding, name: "Must validate one and only one schema (oneOf)"),
    "AdditionalProperties": (
        "additional_property_not_allowed",
        lambda finding, name: f"Additional property {_kind(finding).unexpected[0]} is not allowed",
    ),
}


def go_type_name(value: Any) -> str:
    """The name that gojsonschema gives to a JSON value's type."""
    return next((name for type_, name in _GO_TYPE_NAMES if isinstance(value, type_)), "null")


def _number(value: float) -> str:
    """A limit as people write it: 4, not 4.0 (older schemas say 10.0)."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _format_error(pointer: str) -> FieldError:
    return FieldError("format", "input" + pointer.replace("/", "."), "Does not match format 'uri'")
