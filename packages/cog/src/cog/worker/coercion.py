"""Turning the JSON values of an input into what the runner's annotations promise.

The platform validated them already; here only types JSON lacks are made (paths, files, secrets, floats). What to do is decided
once, at set-up, so that a prediction with plain inputs pays for a dictionary look-up.
"""

from __future__ import annotations

import io
import pathlib
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from cog.annotations import list_item
from cog.coder import Coder
from cog.signature import Parameter
from cog.types import File, Path, Secret, URLPath

Convert = Callable[[Any], Any]


class FetchedPath(Path):
    """A temporary file that was made for one prediction."""


def _to_path(value: Any) -> Any:
    path = Path.validate(value)
    return FetchedPath(path.convert()) if isinstance(path, URLPath) else path


def _to_secret(value: Any) -> Any:
    return value if isinstance(value, Secret) else Secret(value)


def _to_float(value: Any) -> Any:
    return float(value) if type(value) is int else value


def _to_int(value: Any) -> Any:
    # JSON Schema calls 2.0 an integer; a model that asks for an int must get one.
    return int(value) if type(value) is float and value.is_integer() else value


_BY_TYPE: Dict[Any, Convert] = {
    Path: _to_path,
    pathlib.Path: _to_path,
    File: File.validate,
    Secret: _to_secret,
    float: _to_float,
    int: _to_int,
}


def converter_for(members: List[Any]) -> Optional[Convert]:
    """What to do with a value of these types; None when it is passed on as it is.

    In a union only types that text stands for are tried: ``Union[Path, str]`` gives a path where there is such a file.
    """
    if len(members) == 1:
        annotation = members[0]
        item = list_item(annotation)
        if item is not None:
            return _list_converter(item)
        if isinstance(annotation, type):
            coder = Coder.lookup(annotation)
            if coder is not None:
                return coder.decode
        return _BY_TYPE.get(annotation) if isinstance(annotation, type) else None
    if str in members and (Path in members or pathlib.Path in members):
        return _to_path_if_present
    kept = [item for item in (converter_for([member]) for member in members if member not in {int, float}) if item]
    return kept[0] if len(kept) == 1 else None


def _to_path_if_present(value: Any) -> Any:
    return (
        _to_path(value)
        if isinstance(value, str) and pathlib.Path(value).is_absolute() and pathlib.Path(value).exists()
        else value
    )


def _list_converter(item: Any) -> Optional[Convert]:
    from cog.annotations import split_optional

    convert = converter_for(split_optional(item)[0])
    if convert is None:
        return None
    return lambda values: [None if value is None else convert(value) for value in values] if isinstance(values, list) else values


class InputReader:
    """Builds the keyword arguments of a prediction."""

    def __init__(self, parameters: Tuple[Parameter, ...]) -> None:
        self._converters: Dict[str, Optional[Convert]] = {item.name: converter_for(item.members) for item in parameters}
        self._defaults: Dict[str, Any] = {item.name: item.field.default for item in parameters if not item.is_required}
        self._has_file_defaults = any(self._converters[name] for name in self._defaults)
        self._required = [item.name for item in parameters if item.is_required]

    def read(self, values: Mapping[str, Any]) -> Dict[str, Any]:
        """Coerce what was sent, and add the defaults of what was not. Unknown names are dropped.

        Raises:
            ValueError: If a required input is missing or a value cannot be converted; the message names it.
        """
        arguments: Dict[str, Any] = {}
        for name, convert in self._converters.items():
            if name in values:
                value = values[name]
            elif name in self._defaults:
                value = self._defaults[name]
                if isinstance(value, (list, dict)):
                    value = value.copy()  # a model may change what it is given
            else:
                raise ValueError(f"input `{name}` is required")
            if convert is not None and value is not None:
                try:
                    value = convert(value)
                except (ValueError, OSError, TypeError) as error:
                    raise ValueError(f"input `{name}`: {error}") from error
            arguments[name] = value
        return arguments


def close_files(arguments: Mapping[str, Any]) -> None:
    """Close the files that were opened for a prediction, and remove those that were fetched for it."""
    for value in arguments.values():
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, io.IOBase):
                item.close()
            elif isinstance(item, FetchedPath):
                item.unlink(missing_ok=True)
