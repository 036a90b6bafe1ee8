"""Inputs of the command by schema, and the names of saved files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from replicate.cli.inputs import InputError, build_inputs, find_missing, parse_pairs
from replicate.cli.printing import build_file_name

DOCUMENT = {"components": {"schemas": {"scheduler": {"type": "string", "enum": ["DDIM", "K_EULER"]}}}}
SCHEMA = {
    "required": ["b", "a"],
    "properties": {
        "a": {"type": "string", "x-order": 0},
        "b": {"type": "number", "x-order": 1},
        "flag": {"type": "boolean"},
        "sizes": {"type": "array", "items": {"type": "integer"}},
        "options": {"type": "object"},
        "scheduler": {"allOf": [{"$ref": "#/components/schemas/scheduler"}]},
        "seed": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    },
}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["a=x=y"], {"a": "x=y"}),
        (["a="], {"a": ""}),
        (["b=2.5"], {"b": 2.5}),
        (["flag=Yes"], {"flag": True}),
        (["flag=0"], {"flag": False}),
        (["sizes=1", "sizes=2"], {"sizes": [1, 2]}),
        (["sizes=[1, 2]"], {"sizes": [1, 2]}),
        (['options={"k": 1}'], {"options": {"k": 1}}),
        (["scheduler=DDIM"], {"scheduler": "DDIM"}),
        (["seed=7"], {"seed": 7}),
    ],
)
def test_a_value_is_read_by_its_type(texts: list[str], expected: dict[str, Any]) -> None:
    assert build_inputs(parse_pairs(texts), SCHEMA, DOCUMENT) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("b=much", "b must be a number"),
        ("flag=maybe", "flag must be true or false"),
        ("sizes=[1", "sizes must be a JSON array"),
        ("options=none", "options must be a JSON object"),
        ("scheduler=DPM", "scheduler must be one of DDIM, K_EULER"),
    ],
)
def test_a_value_of_another_type_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_inputs(parse_pairs([text]), SCHEMA, DOCUMENT)


def test_without_a_schema_values_are_json_where_they_can_be() -> None:
    assert build_inputs(parse_pairs(["n=1", "t=word", "l=a", "l=b"]), {}, {}) == {"n": 1, "t": "word", "l": ["a", "b"]}


def test_missing_inputs_come_in_the_authors_order() -> None:
    assert find_missing({}, SCHEMA) == ["a", "b"]


def test_a_named_file_becomes_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.touch()
    assert build_inputs([("a", f"@{path}")], SCHEMA, DOCUMENT) == {"a": path}


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h.example/t/a%20b.png?x=1", "a_b.png"),
        ("https://h.example/..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("https://h.example/.bashrc", "bashrc"),
        ("https://h.example/", "output"),
        ("data:image/png;base64,AAAA", "output.png"),
        ("https://h.example/" + "a" * 500, "a" * 120),
    ],
)
def test_a_saved_files_name_is_harmless(url: str, name: str) -> None:
    assert build_file_name(url) == name
