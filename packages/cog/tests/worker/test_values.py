"""Input coercion and output conversion without a process: the rarer types."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
import uuid
from pathlib import Path as LocalPath
from typing import Any, List, Optional, Union

import pytest
from cog import BaseModel, File, Path, Secret
from cog.coder import Coder
from cog.fields import FieldInfo
from cog.signature import Parameter
from cog.worker.coercion import InputReader
from cog.worker.output_files import OutputFiles, OutputInvalid
from cog.worker.output_values import to_json_value


class Level(enum.IntEnum):
    LOW = 1


class Color(enum.Enum):
    RED = "red"


class Text(str):
    __slots__ = ()


class Array:
    """What numpy's and torch's arrays and scalars have in common."""

    dtype = "float32"

    def __init__(self, values: Any) -> None:
        self._values = values

    def tolist(self) -> Any:
        return self._values


@dataclasses.dataclass
class Point:
    x: int
    color: Color


class Reply(BaseModel):
    point: Point


Pair = collections.namedtuple("Pair", "left right")
MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Level.LOW, 1),
        (Color.RED, "red"),
        (Text("t"), "t"),
        (Array([[1.0, 2.0]]), [[1.0, 2.0]]),
        ({"a": Array(3)}, {"a": 3}),
        (Reply(point=Point(1, Color.RED)), {"point": {"x": 1, "color": "red"}}),  # type: ignore[call-arg]
        (Pair(1, "b"), [1, "b"]),
        ((1, (2,)), [1, [2]]),
        ({3}, [3]),
        (range(2), [0, 1]),
        (collections.deque([1]), [1]),
        (collections.OrderedDict(a=1), {"a": 1}),
        ({1: "one", Color.RED: 2}, {"1": "one", "red": 2}),
        (MOMENT, "2026-01-02T03:04:05+00:00"),
        (MOMENT.date(), "2026-01-02"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_a_value_is_written_as_plain_json(tmp_path: LocalPath, value: Any, expected: Any) -> None:
    assert to_json_value(value, OutputFiles(str(tmp_path), "p")) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Array([float("inf")]), "at /0 is a float that JSON lacks: inf"),
        ({(1, 2): 3}, "has a key of type tuple; use text"),
        (Level, "is of type enum.EnumType"),
        (bytearray(b"x"), "is of type bytearray, which JSON lacks"),
        ([[Secret("s")]], "at /0/0 is a cog.Secret"),
        (1j, "is of type complex"),
    ],
)
def test_a_value_that_json_lacks_is_named_with_its_place(tmp_path: LocalPath, value: Any, message: str) -> None:
    with pytest.raises(OutputInvalid) as raised:
        to_json_value(value, OutputFiles(str(tmp_path), "p"))
    assert message in str(raised.value)


def read(annotation: Any, value: Any, field: FieldInfo | None = None) -> Any:
    """One value through the reader."""
    reader = InputReader((Parameter("a", annotation, field or FieldInfo()),))
    return reader.read({"a": value})["a"]


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (float, 1, 1.0),
        (int, 2.0, 2),
        (int, 2.5, 2.5),
        (Optional[float], 1, 1.0),
        (Optional[int], None, None),
        (List[float], [1, 2], [1.0, 2.0]),
        (List[List[int]], [[1.0]], [[1]]),
        (Union[int, float], 1, 1),
        (Union[str, int], "/etc", "/etc"),
        (Any, {"a": 1}, {"a": 1}),
        (dict, {"a": 1}, {"a": 1}),
        (Path, "/a", Path("/a")),
        (List[Optional[Path]], ["/a", None], [Path("/a"), None]),
        (Secret, "s", Secret("s")),
    ],
)
def test_an_input_is_given_the_type_its_annotation_names(annotation: Any, value: Any, expected: Any) -> None:
    found = read(annotation, value)
    assert (found, type(found)) == (expected, type(expected))


def test_a_union_of_path_and_text_is_a_path_where_there_is_a_file(tmp_path: LocalPath) -> None:
    assert type(read(Union[Path, str], str(tmp_path))) is Path
    assert type(read(Union[Path, str], "plain words")) is str


def test_defaults_are_applied_coerced_and_never_shared() -> None:
    parameters = (
        Parameter("a", List[int], FieldInfo(default=[1], has_default=True)),
        Parameter("b", Path, FieldInfo(default="/x", has_default=True)),
        Parameter("c", Optional[str], FieldInfo()),
    )
    reader = InputReader(parameters)
    first = reader.read({})
    first["a"].append(2)
    assert reader.read({"later": 1}) == {"a": [1], "b": Path("/x"), "c": None}


def test_a_file_that_cannot_be_opened_fails_by_the_inputs_name() -> None:
    with pytest.raises(ValueError, match=r"input `a`: .*No such file"):
        read(File, "/nowhere/at/all")


def test_a_registered_coder_reads_and_writes_its_type(tmp_path: LocalPath, monkeypatch: pytest.MonkeyPatch) -> None:
    class PointCoder(Coder):
        @staticmethod
        def factory(value_type: type[Any]) -> Coder | None:
            return PointCoder() if value_type is Point else None

        def encode(self, value: Point) -> dict[str, Any]:
            return {"only": value.x}

        def decode(self, value: dict[str, Any]) -> Point:
            return Point(value["only"], Color.RED)

    monkeypatch.setattr(Coder, "_registered", [PointCoder])
    assert to_json_value([Point(1, Color.RED)], OutputFiles(str(tmp_path), "p")) == [{"only": 1}]
    assert read(Point, {"only": 4}) == Point(4, Color.RED)
