"""Inputs on the command line: ``key=value`` pairs, read by the types of the model's input schema.

Pure, except that the files they name must exist.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

Schema = Mapping[str, Any]
Reader = Callable[[str, str], Any]

_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


class InputError(ValueError):
    """An input that cannot be read; the message names its key, and is one line."""


def parse_pairs(texts: Sequence[str]) -> List[Tuple[str, str]]:
    """Split ``key=value`` texts at their first equals sign.

    Raises:
        InputError: If a text has none.
    """
    pairs = [text.partition("=") for text in texts]
    for key, equals, _ in pairs:
        if not equals or not key:
            raise InputError(f"{key!r} is not key=value")
    return [(key, value) for key, _, value in pairs]


def build_inputs(pairs: Sequence[Tuple[str, str]], schema: Schema, document: Schema) -> Dict[str, Any]:
    """Read the values of pairs by a model's input schema; a key given several times makes a list.

    Args:
        pairs: Keys and texts.
        schema: The ``Input`` schema; empty when it is not known, then every value is read as JSON where it can be, else as text.
        document: The OpenAPI document that the schema's references point into.

    Raises:
        InputError: If a key is unknown, a value does not fit its type, or a file does not exist.
    """
    properties = schema.get("properties") or {}
    grouped: Dict[str, List[str]] = {}
    for key, text in pairs:
        if properties and key not in properties:
            close = difflib.get_close_matches(key, properties, n=1)
            raise InputError(f"the model has no input {key!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
        grouped.setdefault(key, []).append(text)
    return {key: _read_all(key, texts, resolve(properties.get(key, {}), document), document) for key, texts in grouped.items()}


def find_missing(given: Mapping[str, Any], schema: Schema) -> List[str]:
    """Return the required inputs that are not given, in the order that the model's author chose."""
    properties = schema.get("properties") or {}
    missing = [key for key in schema.get("required") or [] if key not in given]
    return sorted(missing, key=lambda key: properties.get(key, {}).get("x-order", len(properties)))


def resolve(schema: Schema, document: Schema) -> Schema:
    """Follow references and the single-option wrappers that Cog writes, down to a schema with a type."""
    for _ in range(16):
        options = [*schema.get("allOf", []), *schema.get("anyOf", []), *schema.get("oneOf", [])]
        options = [option for option in options if option.get("type") != "null"]
        if "$ref" in schema:
            name = str(schema["$ref"]).rpartition("/")[2]
            schema = ((document.get("components") or {}).get("schemas") or {}).get(name, {})
        elif options and "type" not in schema:
            schema = options[0]
        else:
            return schema
    return {}


def _read_all(key: str, texts: Sequence[str], schema: Schema, document: Schema) -> Any:
    if schema.get("type") != "array":
        if len(texts) > 1 and schema:
            raise InputError(f"{key} takes one value, not {len(texts)}")
        values = [_read(key, text, schema) for text in texts]
        return values if len(values) > 1 else values[0]
    if len(texts) == 1 and texts[0].lstrip().startswith("["):
        return _read_json(key, texts[0], "a JSON array")
    item = resolve(schema.get("items") or {}, document)
    return [_read(key, text, item) for text in texts]


def _read(key: str, text: str, schema: Schema) -> Any:
    if text.startswith("@") and len(text) > 1:
        path = Path(text[1:]).expanduser()
        if not path.is_file():
            raise InputError(f"{key}: there is no file {str(path)!r}")
        return path
    reader: Reader = _READERS.get(str(schema.get("type", "")), _read_text if schema else _guess)
    value = reader(key, text)
    choices = schema.get("enum")
    if choices and value not in choices:
        raise InputError(f"{key} must be one of {', '.join(str(choice) for choice in choices)}, not {text!r}")
    return value


def _read_text(key: str, text: str) -> str:
    return text


def _guess(key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _read_integer(key: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{key} must be a whole number, not {text!r}") from None


def _read_number(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{key} must be a number, not {text!r}") from None


def _read_boolean(key: str, text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise InputError(f"{key} must be true or false, not {text!r}")
    return text.lower() in _TRUE


def _read_object(key: str, text: str) -> Any:
    return _read_json(key, text, "a JSON object")


def _read_json(key: str, text: str, wanted: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise InputError(f"{key} must be {wanted}, not {text!r}") from None


_READERS: Dict[str, Reader] = {
    "string": _read_text,
    "integer": _read_integer,
    "number": _read_number,
    "boolean": _read_boolean,
    "object": _read_object,
}
