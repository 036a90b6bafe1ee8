"""The published schema, by the tables of what authors write."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cog.errors import RunnerError
from cog.schema import build_schema

PRELUDE = """
    import typing, enum, datetime, uuid, collections.abc
    from typing import *
    import pathlib, cog
    from cog import *
    from cog import Path as P
    LIMIT = 2 ** 3
    MODES = {"fast": 1, "good": 2}
    Alias = str
    class Color(enum.Enum):
        RED = "red"
        BLUE = "blue"
    class Box(TypedDict):
        width: int
    class Inner(BaseModel):
        score: float
    class Out(BaseModel):
        text: str
        image: Optional[Path]
        inner: Inner
        count: int = 3
"""

Describe = Callable[[str], dict[str, Any]]


@pytest.fixture
def describe(write_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Describe:
    """Describes a function ``run`` written after the prelude; gives the components."""

    def build(source: str) -> dict[str, Any]:
        monkeypatch.delitem(sys.modules, "runner_under_test", raising=False)
        folder = write_model()
        (folder / "runner_under_test.py").write_text("\n".join(line[4:] for line in PRELUDE.split("\n")) + source + "\n")
        monkeypatch.syspath_prepend(str(folder))
        components: dict[str, Any] = build_schema("runner_under_test.py:run", str(folder))["components"]["schemas"]
        return components

    return build


NULLABLE_TEXT = {"type": "string", "nullable": True}
NULLABLE_INTEGER = {"type": "integer", "nullable": True}
INPUTS = [
    ("a: str", {"type": "string"}, True),
    ("a: int = Input(default=3, ge=1, le=10)", {"default": 3, "maximum": 10, "minimum": 1, "type": "integer"}, False),
    ("a: float = 0.5", {"default": 0.5, "type": "number"}, False),
    ("a: bool = False", {"default": False, "type": "boolean"}, False),
    ("a: Path", {"format": "uri", "type": "string"}, True),
    ("a: P", {"format": "uri", "type": "string"}, True),
    ("a: cog.Path = cog.Input(description='d')", {"format": "uri", "type": "string", "description": "d"}, True),
    ("a: pathlib.Path", {"format": "uri", "type": "string"}, True),
    ("a: File", {"format": "uri", "type": "string"}, True),
    ("a: Path = Input(accept='image/*')", {"format": "uri", "type": "string", "x-cog-accept": "image/*"}, True),
    ("a: Secret", {"format": "password", "type": "string", "writeOnly": True, "x-cog-secret": True}, True),
    ("a: Optional[str] = Input(default=None)", {"default": None, "nullable": True, "type": "string"}, False),
    ("a: Optional[str] = Input(description='d')", {"description": "d", "nullable": True, "type": "string"}, False),
    ("a: str = None", {"default": None, "nullable": True, "type": "string"}, False),
    ("a: str = Input(default=None)", {"default": None, "nullable": True, "type": "string"}, False),
    ("a: 'str | None' = None", {"default": None, "nullable": True, "type": "string"}, False),
    ("a: Any = None", {"default": None, "nullable": True, "type": "object"}, False),
    ("a: List[str]", {"items": {"type": "string"}, "type": "array"}, True),
    ("a: 'list[list[int]]'", {"items": {"items": {"type": "integer"}, "type": "array"}, "type": "array"}, True),
    ("a: 'list[Optional[str]]'", {"items": {"type": "string", "nullable": True}, "type": "array"}, True),
    ("a: list", {"items": {"type": "object"}, "type": "array"}, True),
    ("a: List[Path]", {"items": {"type": "string", "format": "uri"}, "type": "array"}, True),
    ("a: dict", {"type": "object"}, True),
    ("a: Dict[str, int]", {"type": "object"}, True),
    ("a: Box", {"type": "object"}, True),
    ("a: Annotated[Color, Opaque]", {"type": "object"}, True),
    ("a: Annotated[int, Input(ge=2)]", {"type": "integer", "minimum": 2}, True),
    ("a: Alias", {"type": "string"}, True),
    ("a: Union[str, float] = 'u'", {"anyOf": [{"type": "string"}, {"type": "number"}], "default": "u"}, False),
    ("a: 'str | int | None' = None", {"anyOf": [NULLABLE_TEXT, NULLABLE_INTEGER], "default": None, "nullable": True}, False),
    ("a: int = Input(2 * 3, ge=LIMIT - 3, le=2**31)", {"type": "integer", "default": 6, "minimum": 5, "maximum": 2**31}, False),
    ("a: str = Input(min_length=1, regex='^x')", {"type": "string", "minLength": 1, "pattern": "^x"}, True),
    ("a: str = Input(max_length=9)", {"type": "string", "maxLength": 9}, True),
    ("a: str = Input(description=f'up to {LIMIT}')", {"type": "string", "description": "up to 8"}, True),
    ("a: str = Input(deprecated=True)", {"type": "string", "deprecated": True}, True),
]  # fmt: skip


@pytest.mark.parametrize(("parameter", "expected", "is_required"), INPUTS, ids=[case[0] for case in INPUTS])
def test_an_input_is_described_as_cog_does(
    describe: Describe, parameter: str, expected: dict[str, Any], is_required: bool
) -> None:
    schema = describe(f"def run({parameter}) -> str: ...")["Input"]
    assert schema["properties"]["a"] == {"title": "A", "x-order": 0, **expected}
    assert schema.get("required", []) == ["a"] * is_required


CHOICES = [
    ("a: str = Input(choices=['x', 'y'], default='x')", ["x", "y"], "string", {"default": "x"}),
    ("a: Literal['x', 'y'] = 'y'", ["x", "y"], "string", {"default": "y"}),
    ("a: str = Input(choices=MODES.keys())", ["fast", "good"], "string", {}),
    ("a: str = Input(choices=sorted(m + '!' for m in MODES))", ["fast!", "good!"], "string", {}),
    ("a: int = Input(choices=range(2, 4))", [2, 3], "integer", {}),
    ("a: float = Input(choices=(1, 2.5), description='d')", [1, 2.5], "number", {"description": "d"}),
    ("a: Optional[str] = Input(choices=['x'], default=None)", ["x"], "string", {"default": None, "nullable": True}),
]


@pytest.mark.parametrize(("parameter", "values", "kind", "more"), CHOICES, ids=[case[0] for case in CHOICES])
def test_choices_become_a_component_that_the_property_refers_to(
    describe: Describe, parameter: str, values: list[Any], kind: str, more: dict[str, Any]
) -> None:
    components = describe(f"def run({parameter}) -> str: ...")
    assert components["a"] == {"title": "a", "description": "An enumeration.", "enum": values, "type": kind}
    assert components["Input"]["properties"]["a"] == {"allOf": [{"$ref": "#/components/schemas/a"}], "x-order": 0, **more}


def test_a_choice_named_like_a_fixed_component_does_not_replace_it(describe: Describe) -> None:
    components = describe("def run(Status: str = Input(choices=['on'])) -> str: ...")
    assert components["Status"]["enum"][0] == "starting"
    assert components["Input_Status"]["enum"] == ["on"]


def test_choices_of_a_list_apply_to_its_items(describe: Describe) -> None:
    items = describe("def run(a: List[str] = Input(choices=['x'])) -> str: ...")["Input"]["properties"]["a"]["items"]
    assert items == {"$ref": "#/components/schemas/a"}


URI = {"type": "string", "format": "uri"}
STRINGS = {"type": "array", "items": {"type": "string"}}
OUTPUTS = [
    ("str", {"type": "string"}),
    ("int", {"type": "integer"}),
    ("float", {"type": "number"}),
    ("bool", {"type": "boolean"}),
    ("Path", URI),
    ("File", URI),
    ("List[Path]", {"type": "array", "items": URI}),
    ("list", {"type": "array", "items": {"type": "object"}}),
    ("'list[list[int]]'", {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}),
    ("'dict[str, list[int]]'", {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "integer"}}}),
    ("dict", {"type": "object"}),
    ("Any", {"type": "object"}),
    ("None", {"nullable": True}),
    ("Optional[str]", {"type": "string", "nullable": True}),
    ("Union[str, int]", {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
    ("Literal['a', 'b']", {"enum": ["a", "b"], "type": "string"}),
    ("Tuple[str, ...]", STRINGS),
    ("Sequence[str]", STRINGS),
    ("Set[str]", STRINGS),
    ("Color", {"enum": ["red", "blue"], "type": "string"}),
    ("datetime.datetime", {"type": "string", "format": "date-time"}),
    ("uuid.UUID", {"type": "string", "format": "uuid"}),
    ("Box", {"type": "object", "properties": {"width": {"title": "Width", "type": "integer"}}, "required": ["width"]}),
    ("Iterator[Path]", {"type": "array", "items": URI, "x-cog-array-type": "iterator"}),
    ("AsyncIterator[str]", {**STRINGS, "x-cog-array-type": "iterator"}),
    ("collections.abc.Iterator[str]", {**STRINGS, "x-cog-array-type": "iterator"}),
    ("Generator[str, None, None]", {**STRINGS, "x-cog-array-type": "iterator"}),
    ("ConcatenateIterator[str]", {**STRINGS, "x-cog-array-type": "iterator", "x-cog-array-display": "concatenate"}),
    ("AsyncConcatenateIterator[str]", {**STRINGS, "x-cog-array-type": "iterator", "x-cog-array-display": "concatenate"}),
    ("ConcatenateIterator", {**STRINGS, "x-cog-array-type": "iterator", "x-cog-array-display": "concatenate"}),
    (
        "Out",
        {
            "type": "object",
            "properties": {
                "text": {"title": "Text", "type": "string"},
                "image": {"title": "Image", **URI, "nullable": True},
                "inner": {
                    "title": "Inner",
                    "type": "object",
                    "properties": {"score": {"title": "Score", "type": "number"}},
                    "required": ["score"],
                },
                "count": {"title": "Count", "type": "integer"},
            },
            "required": ["text", "inner"],
        },
    ),
]


@pytest.mark.parametrize(("annotation", "expected"), OUTPUTS, ids=[case[0] for case in OUTPUTS])
def test_an_output_is_described_as_cog_does(describe: Describe, annotation: str, expected: dict[str, Any]) -> None:
    assert describe(f"def run() -> {annotation}: ...")["Output"] == {"title": "Output", **expected}


FAULTS = [
    ("def run(a: complex) -> str: ...", "parameter `a` has the type complex, which cannot be an input; use str"),
    ("def run(a) -> str: ...", "parameter `a` of run() has no type"),
    ("def run(a=Input()) -> str: ...", "parameter `a` of run() has no type"),
    ("def run(a: 'Nothing') -> str: ...", "an annotation of run() cannot be evaluated: name 'Nothing' is not defined"),
    ("def run(a: str): ...", "run() has no return type"),
    ("def run() -> bytes: ...", "returns bytes, which JSON lacks"),
    ("def run() -> Secret: ...", "secrets are never returned"),
    ("def run() -> ConcatenateIterator[int]: ...", "must be ConcatenateIterator[str]"),
    ("def run() -> complex: ...", "returns complex, which cannot be an output"),
    ("def run(a: str = Input(choices=[])) -> str: ...", "parameter `a` has an empty list of choices"),
    ("def run(a: str = Input(choices=['x', 1])) -> str: ...", "parameter `a` has choices of type int, str"),
    ("def run(a: str = Input(choices=['x'], default='z')) -> str: ...", "its default 'z' is not one of its choices ['x']"),
    ("def run(a: int = Input(ge=2, default=1)) -> str: ...", "its default 1 breaks its minimum of 2"),
    ("def run(a: int = 'x') -> str: ...", "its default 'x' is not of its type integer"),
    ("def run(a: str = Input(regex='(')) -> str: ...", "its regex is not a regular expression"),
    ("def run(a: int = Input(ge=3, le=2)) -> str: ...", "its minimum of 3 is above its maximum of 2"),
    (
        "def run(a: str = Input(accept='image/*')) -> str: ...",
        "parameter `a` has accept=, which is for cog.Path and cog.File inputs",
    ),
    ("def run(a: Union[str, int] = Input(ge=1)) -> str: ...", "is a union and has constraints (minimum)"),
    ("@streaming\ndef run() -> str: ...", "@streaming needs an iterator as its return type"),
]


@pytest.mark.parametrize(("source", "message"), FAULTS, ids=[case[1] for case in FAULTS])
def test_what_cannot_be_described_is_refused_with_file_parameter_and_advice(
    describe: Describe, source: str, message: str
) -> None:
    with pytest.raises(RunnerError) as raised:
        describe(source)
    assert str(raised.value).startswith("runner_under_test.py")
    assert message in str(raised.value)


def test_parameters_keep_their_order_and_plain_untyped_defaults_stay_the_models_own(describe: Describe) -> None:
    schema = describe("def run(zebra: str, *rest, apple_pie: int = 1, hidden=3, **more) -> str: ...")["Input"]
    assert {name: (item["x-order"], item["title"]) for name, item in schema["properties"].items()} == {
        "zebra": (0, "Zebra"),
        "apple_pie": (1, "Apple Pie"),
    }


def test_the_document_has_the_routes_and_components_clients_read(write_model: Callable[..., Path]) -> None:
    source = """
        from cog import BaseRunner, Input
        class Model(BaseRunner):
            def run(self, mode: str = Input(choices=["a"])) -> str: ...
        def train(mode: str = Input(choices=["b"])) -> str: ...
    """
    document = build_schema(
        "described_model.py:Model", str(write_model(described_model=source)), train="described_model.py:train"
    )
    assert list(document["paths"]) == sorted(document["paths"])
    assert list(document["paths"]) == [
        "/", "/health-check", "/predictions", "/predictions/{prediction_id}/cancel",
        "/trainings", "/trainings/{training_id}/cancel",
    ]  # fmt: skip
    components = document["components"]["schemas"]
    assert document["openapi"] == "3.0.2"
    assert components["TrainingOutput"]["title"] == "Output"
    assert (components["mode"]["enum"], components["TrainingInput_mode"]["enum"]) == (["a"], ["b"])
    assert components["Status"]["enum"] == ["starting", "processing", "succeeded", "canceled", "failed"]
    assert sorted(components["PredictionResponse"]["properties"]) == [
        "completed_at", "created_at", "error", "id", "input", "logs", "metrics", "output", "started_at", "status", "version",
    ]  # fmt: skip
    assert json.dumps(document, sort_keys=True) == json.dumps(document)


def test_a_streaming_runner_is_marked_on_its_route(write_model: Callable[..., Path]) -> None:
    source = """
        from typing import Iterator
        from cog import streaming
        @streaming
        def run() -> Iterator[str]: ...
    """
    document = build_schema("streaming_model.py:run", str(write_model(streaming_model=source)))
    assert document["paths"]["/predictions"]["post"]["x-cog-streaming"] is True


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "class Predictor:\n    def run(self) -> str: ...\n    def predict(self) -> str: ...",
            "defines both run() and predict()",
        ),
        ("class Predictor: ...", "defines neither run() nor predict()"),
        ("", "there is no class named Runner or Predictor"),
    ],
)
def test_a_class_needs_exactly_one_way_to_run(write_model: Callable[..., Path], source: str, message: str) -> None:
    name = f"faulty_{abs(hash(source))}"
    with pytest.raises(RunnerError) as raised:
        build_schema(f"{name}.py", str(write_model(**{name: source})))
    assert message in str(raised.value)


def test_an_inherited_method_is_found_and_a_missing_file_is_named(write_model: Callable[..., Path]) -> None:
    folder = write_model(parent_model="class Parent:\n    def run(self, n: int) -> int: ...")
    write_model(child_model="from parent_model import Parent\nclass Runner(Parent): ...")
    assert "n" in build_schema("child_model.py", str(folder))["components"]["schemas"]["Input"]["properties"]
    with pytest.raises(RunnerError, match=r"gone\.py: there is no such file"):
        build_schema("gone.py:Runner", str(folder))


def test_pydantic_models_are_described_and_returned_when_the_author_has_pydantic(start_worker: Callable[..., Any]) -> None:
    pytest.importorskip("pydantic")
    worker = start_worker(
        """
        from typing import Optional
        from pydantic import BaseModel
        from cog import Path
        from cog.schema import build_schema
        class Out(BaseModel):
            text: str
            image: Optional[Path] = None
        def run(here: str) -> Out:
            print(build_schema("predict.py:run", here)["components"]["schemas"]["Output"]["required"])
            return Out(text="t")
        """,
        runner="predict.py:run",
    )
    ending = worker.predict(here=str(worker.folder))
    assert (ending.done.output, ending.text()) == ({"text": "t", "image": None}, "['text']\n")
