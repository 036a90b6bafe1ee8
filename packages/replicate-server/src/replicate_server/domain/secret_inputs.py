"""Secret inputs: how a value that only the model may see is told apart in a prediction's input. Pure.

A schema declares one with ``x-cog-secret``. At creation its value is sealed: wrapped, so that whoever shows an input can mask it
without the schema, and only whoever hands the input to a model opens it. Sealing is a mark, not a cipher (docs/decisions/0054).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

MASK = "**********"
"""What `cog.Secret` itself prints."""
SHORTEST_MASKED = 4
"""Characters. Shorter values are not looked for in logs: masking every ``a`` would destroy the text and hide nothing."""

_SEAL = "$cog-secret"


def seal(input: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The input with the values of these fields, or of each item where one is a list, sealed."""
    return {**input, **{name: _seal_value(input[name]) for name in names if name in input}}


def is_sealed(value: Any) -> bool:
    """Whether a value is a sealed one."""
    return isinstance(value, dict) and len(value) == 1 and _SEAL in value


def open_input(input: Mapping[str, Any]) -> Mapping[str, Any]:
    """The input as the model gets it; the same object when nothing in it is sealed."""
    return _replace(input, lambda value: value[_SEAL])


def mask_input(input: Mapping[str, Any]) -> Mapping[str, Any]:
    """The input as everybody else sees it; the same object when nothing in it is sealed."""
    return _replace(input, lambda value: MASK)


def secret_texts(input: Mapping[str, Any]) -> tuple[str, ...]:
    """What must not appear in the log of this input's prediction: each sealed text, and each of its lines; longest first."""
    found = {part for text in _sealed_texts(input) for part in (text, *text.splitlines())}
    return tuple(sorted((text for text in found if len(text) >= SHORTEST_MASKED), key=lambda text: (-len(text), text)))


def mask_text(text: str, secrets: tuple[str, ...]) -> str:
    """Text with every occurrence of a secret masked."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def _seal_value(value: Any) -> Any:
    if isinstance(value, str):
        return {_SEAL: value}
    return [_seal_value(item) for item in value] if isinstance(value, list) else value


def _sealed_texts(input: Mapping[str, Any]) -> Iterator[str]:
    for value in input.values():
        for item in value if isinstance(value, list) else (value,):
            if is_sealed(item):
                yield str(item[_SEAL])


def _replace(input: Mapping[str, Any], reading: Callable[[Any], Any]) -> Mapping[str, Any]:
    changed = {}
    for name, value in input.items():
        if is_sealed(value):
            changed[name] = reading(value)
        elif isinstance(value, list) and any(is_sealed(item) for item in value):
            changed[name] = [reading(item) if is_sealed(item) else item for item in value]
    return {**input, **changed} if changed else input
