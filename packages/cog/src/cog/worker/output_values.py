"""Writing what a runner returns as a JSON value, its files set aside.

The libraries a model may use (numpy, torch, pydantic) are recognised by what their objects can do and never imported here.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import os
import sys
from typing import Any, Callable, Dict, Iterable, List, Mapping, Tuple

from cog.coder import Coder
from cog.types import Secret
from cog.worker.output_files import OutputFiles, OutputInvalid, is_stream

DEPTH_MAX = 200
"""Deeper than any sensible output and shallower than the interpreter's stack: a value that contains itself ends here."""

_PLAIN = (str, int, bool, type(None))


def to_json_value(value: Any, files: OutputFiles, pointer: str = "", depth: int = 0) -> Any:
    """Convert one output value.

    Args:
        value: What the runner returned or yielded.
        files: Collects the files; null stands in their place.
        pointer: JSON Pointer of the value within the whole.
        depth: How many containers the value is in.

    Raises:
        OutputInvalid: Naming the type and place of what cannot be written.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is float:
        return _finite(value, pointer)
    if depth > DEPTH_MAX:
        raise OutputInvalid(f"the output{_at(pointer)} is nested more than {DEPTH_MAX} levels deep")
    if kind is list or kind is tuple:
        return [to_json_value(item, files, f"{pointer}/{index}", depth + 1) for index, item in enumerate(value)]
    if kind is dict:
        return _object(value, files, pointer, depth)
    for applies, convert in _CONVERSIONS:
        if applies(value):
            return convert(value, files, pointer, depth)
    raise OutputInvalid(
        f"the output{_at(pointer)} is of type {type_name(value)}, which cannot be written as JSON; "
        "return text, numbers, lists, dicts, a BaseModel or a cog.Path"
    )


def type_name(value: Any) -> str:
    """The full name of a value's type."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _at(pointer: str) -> str:
    return f" at {pointer}" if pointer else ""


def _finite(value: float, pointer: str) -> float:
    if not math.isfinite(value):
        raise OutputInvalid(f"the output{_at(pointer)} is a float that JSON lacks: {value}")
    return float(value)


def _object(value: Mapping[Any, Any], files: OutputFiles, pointer: str, depth: int) -> Dict[str, Any]:
    written: Dict[str, Any] = {}
    for key, item in value.items():
        name = key.value if isinstance(key, enum.Enum) else key
        if not isinstance(name, (str, int, float)):
            raise OutputInvalid(f"the output{_at(pointer)} has a key of type {type_name(key)}; use text")
        text = str(name)
        escaped = text.replace("~", "~0").replace("/", "~1")
        written[text] = to_json_value(item, files, f"{pointer}/{escaped}", depth + 1)
    return written


def _refuse_secret(value: Any, files: OutputFiles, pointer: str, depth: int) -> Any:
    raise OutputInvalid(f"the output{_at(pointer)} is a cog.Secret; secrets are never returned")


def _refuse_bytes(value: Any, files: OutputFiles, pointer: str, depth: int) -> Any:
    raise OutputInvalid(
        f"the output{_at(pointer)} is of type {type_name(value)}, which JSON lacks; "
        "write a file and return its cog.Path, or return text"
    )


def _add_path(value: Any, files: OutputFiles, pointer: str, depth: int) -> None:
    files.add_path(os.fspath(value), pointer)


def _add_stream(value: Any, files: OutputFiles, pointer: str, depth: int) -> None:
    files.add_stream(value, pointer)


def _dataclass(value: Any, files: OutputFiles, pointer: str, depth: int) -> Any:
    return _object({item.name: getattr(value, item.name) for item in dataclasses.fields(value)}, files, pointer, depth)


def _pydantic(value: Any, files: OutputFiles, pointer: str, depth: int) -> Any:
    dump = getattr(value, "model_dump", None) or value.dict
    return to_json_value(dump(), files, pointer, depth + 1)


def _array(value: Any, files: OutputFiles, pointer: str, depth: int) -> Any:
    return to_json_value(value.tolist(), files, pointer, depth + 1)


def _coded(value: Any, files: OutputFiles, pointer: str, depth: int) -> Any:
    coder = Coder.lookup(type(value))
    return to_json_value(coder.encode(value) if coder else None, files, pointer, depth + 1)


def _sequence(value: Iterable[Any], files: OutputFiles, pointer: str, depth: int) -> List[Any]:
    return [to_json_value(item, files, f"{pointer}/{index}", depth + 1) for index, item in enumerate(value)]


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


def _is_of(module: str, *names: str) -> Callable[[Any], bool]:
    """As `_is`, for classes of a module that nobody can have values of before something imported it."""

    def applies(value: Any) -> bool:
        loaded = sys.modules.get(module)
        return loaded is not None and isinstance(value, tuple(getattr(loaded, name) for name in names))

    return applies


def _can(*names: str) -> Callable[[Any], bool]:
    return lambda value: not isinstance(value, type) and all(hasattr(type(value), name) for name in names)


Conversion = Tuple[Callable[[Any], bool], Callable[[Any, OutputFiles, str, int], Any]]

# The first that applies is used: an IntEnum is an enum before it is an int, a model class a model before it is iterable.
_CONVERSIONS: Tuple[Conversion, ...] = (
    (_is(Secret), _refuse_secret),
    (lambda value: Coder.lookup(type(value)) is not None, _coded),
    (_is(enum.Enum), lambda value, files, pointer, depth: to_json_value(value.value, files, pointer, depth + 1)),
    (_is(str), lambda value, files, pointer, depth: str(value)),
    (_is(float), lambda value, files, pointer, depth: _finite(float(value), pointer)),
    (_is(int), lambda value, files, pointer, depth: int(value)),
    (_is(bytes, bytearray, memoryview), _refuse_bytes),
    (is_stream, _add_stream),
    (_is(os.PathLike), _add_path),
    (lambda value: dataclasses.is_dataclass(value) and not isinstance(value, type), _dataclass),
    (_can("model_dump", "model_fields"), _pydantic),
    (_can("dict", "__fields__"), _pydantic),
    (_can("tolist", "dtype"), _array),
    (_is_of("datetime", "date", "time"), lambda value, files, pointer, depth: value.isoformat()),
    (_is_of("uuid", "UUID"), lambda value, files, pointer, depth: str(value)),
    (_is(Mapping), _object),
    (lambda value: isinstance(value, (list, tuple, set, frozenset, range)) or _is_deque(value), _sequence),
)


def _is_deque(value: Any) -> bool:
    return type(value).__name__ in {"deque", "dict_keys", "dict_values"}
