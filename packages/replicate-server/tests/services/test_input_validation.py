"""Inputs against schemas, in gojsonschema's words."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from replicate_server.domain.errors import InvalidInput
from replicate_server.domain.ids import ModelId, VersionId
from replicate_server.domain.records import Package, Version
from replicate_server.domain.secret_inputs import mask_input, open_input
from replicate_server.services.validation import validate_input

IDS = itertools.count()

PROPERTIES: dict[str, Any] = {
    "n": {"type": "integer", "minimum": 1.0, "maximum": 4},
    "x": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "text": {"type": "string", "minLength": 2, "maxLength": 5, "pattern": "^[a-z]+$"},
    "flag": {"type": "boolean"},
    "scheduler": {"allOf": [{"$ref": "#/components/schemas/scheduler"}], "default": "a"},
    "image": {"type": "string", "format": "uri"},
    "images": {"type": "array", "items": {"type": "string", "format": "uri"}},
    "some": {"type": "string", "nullable": True},
    "later": {"type": "string", "default": None},
    "either": {"anyOf": [{"type": "string"}, {"type": "number"}]},
    "options": {"type": "object"},
    "choice": {"allOf": [{"$ref": "#/components/schemas/scheduler"}], "nullable": True},
}


def version_with(properties: dict[str, Any], required: tuple[str, ...] = (), **extra: Any) -> Version:
    schemas = {
        "Input": {"type": "object", "properties": properties, "required": list(required), **extra},
        "scheduler": {"type": "string", "title": "scheduler", "enum": ["a", "b"]},
    }
    return Version(
        VersionId(f"{next(IDS):064x}"), ModelId("m"), "o", "n", datetime(2024, 1, 1, tzinfo=UTC), "0", {"components": {"schemas":
        schemas}}, b"", Package("p", (), "3.11", ""),
    )  # fmt: skip


VERSION = version_with(PROPERTIES)


@pytest.mark.parametrize(
    ("given", "type_", "field", "description"),
    [
        ({"n": "1"}, "invalid_type", "input.n", "Invalid type. Expected: integer, given: string"),
        ({"n": None}, "invalid_type", "input.n", "Invalid type. Expected: integer, given: null"),
        ({"n": True}, "invalid_type", "input.n", "Invalid type. Expected: integer, given: boolean"),
        ({"n": 1.5}, "invalid_type", "input.n", "Invalid type. Expected: integer, given: number"),
        ({"n": []}, "invalid_type", "input.n", "Invalid type. Expected: integer, given: array"),
        ({"n": {}}, "invalid_type", "input.n", "Invalid type. Expected: integer, given: object"),
        ({"x": "a"}, "invalid_type", "input.x", "Invalid type. Expected: number, given: string"),
        ({"flag": 1}, "invalid_type", "input.flag", "Invalid type. Expected: boolean, given: integer"),
        ({"options": []}, "invalid_type", "input.options", "Invalid type. Expected: object, given: array"),
        ({"images": "a"}, "invalid_type", "input.images", "Invalid type. Expected: array, given: string"),
        ({"images": ["http://a", 3]}, "invalid_type", "input.images.1", "Invalid type. Expected: string, given: integer"),
        ({"some": 3}, "invalid_type", "input.some", "Invalid type. Expected: string, given: integer"),
        ({"n": 5}, "number_lte", "input.n", "Must be less than or equal to 4"),
        ({"n": 0}, "number_gte", "input.n", "Must be greater than or equal to 1"),
        ({"x": 1}, "number_lt", "input.x", "Must be less than 1"),
        ({"x": 0}, "number_gt", "input.x", "Must be greater than 0"),
        ({"text": "abcdef"}, "string_lte", "input.text", "String length must be less than or equal to 5"),
        ({"text": "a"}, "string_gte", "input.text", "String length must be greater than or equal to 2"),
        ({"text": "AB"}, "pattern", "input.text", "Does not match pattern '^[a-z]+$'"),
        ({"scheduler": "c"}, "enum", "input.scheduler", 'scheduler must be one of the following: "a", "b"'),
        ({"choice": "c"}, "enum", "input.choice", 'choice must be one of the following: "a", "b"'),
        ({"image": "photo.png"}, "format", "input.image", "Does not match format 'uri'"),
        ({"image": "file:///etc/passwd"}, "format", "input.image", "Does not match format 'uri'"),
        ({"images": ["data:,x", "/etc/passwd"]}, "format", "input.images.1", "Does not match format 'uri'"),
        ({"either": []}, "number_any_of", "input.either", "Must validate at least one schema (anyOf)"),
    ],
)
def test_a_wrong_value_is_described(given: dict[str, Any], type_: str, field: str, description: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        validate_input(VERSION, given)
    (error,) = caught.value.errors
    assert (error.type, error.field, error.description) == (type_, field, description)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"n": 3, "x": 0.5, "text": "abc", "flag": False},
        {"n": 3.0},
        {"some": None, "later": None, "choice": None},
        {"scheduler": "b", "choice": "a"},
        {"image": "https://example.com/a.png"},
        {"image": "HTTP://example.com"},
        {"images": ["data:image/png;base64,AAAA", "http://127.0.0.1:8000/v1/files/x"]},
        {"either": 1.5, "options": {"a": [1]}},
    ],
)
def test_a_right_value_passes_unchanged(given: dict[str, Any]) -> None:
    assert validate_input(VERSION, given) == given


def test_every_problem_is_reported_at_once() -> None:
    version = version_with(PROPERTIES, required=("text", "flag"))
    with pytest.raises(InvalidInput) as caught:
        validate_input(version, {"n": 9})
    assert {(error.type, error.field, error.description) for error in caught.value.errors} == {
        ("required", "input", "text is required"),
        ("required", "input", "flag is required"),
        ("number_lte", "input.n", "Must be less than or equal to 4"),
    }
    assert caught.value.detail.count("\n") == 3


def test_undeclared_inputs_are_accepted_and_dropped() -> None:
    assert validate_input(VERSION, {"n": 1, "unknown": 2}) == {"n": 1}


def test_a_version_without_declared_inputs_takes_any_object() -> None:
    bare = replace(version_with(PROPERTIES), openapi_schema={})
    assert validate_input(bare, {"anything": 1}) == {"anything": 1}


def test_a_pattern_of_another_dialect_does_not_make_a_version_unusable() -> None:
    version = version_with({"text": {"type": "string", "pattern": "(?P<a"}, "n": {"type": "integer"}})
    assert validate_input(version, {"text": "x"}) == {"text": "x"}
    with pytest.raises(InvalidInput):
        validate_input(version, {"n": "x"})


def test_a_schema_that_refers_to_itself_ends() -> None:
    version = version_with({"next": {"$ref": "#/components/schemas/Input"}})
    assert validate_input(version, {"next": {"next": {}}}) == {"next": {"next": {}}}


SECRET = {"type": "string", "format": "password", "writeOnly": True, "x-cog-secret": True}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (SECRET, "hunter22"),
        ({**SECRET, "nullable": True}, "hunter22"),
        ({"anyOf": [SECRET, {"type": "integer"}]}, "hunter22"),
        ({"type": "array", "items": SECRET}, ["hunter22", "hunter23"]),
    ],
)
def test_a_secret_is_sealed_and_nothing_else_is(schema: dict[str, Any], value: Any) -> None:
    checked = validate_input(version_with({"key": schema, "text": {"type": "string"}}), {"key": value, "text": "hunter22"})
    assert "hunter22" not in str(mask_input(checked)["key"])
    assert open_input(checked) == {"key": value, "text": "hunter22"}
    assert mask_input(checked)["text"] == "hunter22"
