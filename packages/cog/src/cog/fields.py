"""`Input` and the record it makes: one parameter's default, description and constraints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Optional, Tuple


class _NotGiven:
    """The type of the mark for an argument that was left out: None is a meaningful default."""

    def __repr__(self) -> str:
        return "<not given>"


NOT_GIVEN = _NotGiven()


@dataclass(frozen=True)
class FieldInfo:
    """What `Input` was told about a parameter."""

    default: Any = None
    """The default, or None when there is none; see `has_default`."""
    description: Optional[str] = None
    ge: Optional[float] = None
    le: Optional[float] = None
    min_length: Optional[int] = None
    max_length: Optional[int] = None
    regex: Optional[str] = None
    choices: Optional[Tuple[Any, ...]] = None
    deprecated: Optional[bool] = None
    accept: Optional[str] = None
    """A media type pattern for file inputs, for example ``image/*``."""
    has_default: bool = False
    """Whether a default was written, None included."""


def Input(
    default: Any = NOT_GIVEN,
    *,
    default_factory: Any = NOT_GIVEN,
    description: Optional[str] = None,
    ge: Optional[float] = None,
    le: Optional[float] = None,
    min_length: Optional[int] = None,
    max_length: Optional[int] = None,
    regex: Optional[str] = None,
    choices: Optional[Iterable[Any]] = None,
    deprecated: Optional[bool] = None,
    accept: Optional[str] = None,
) -> Any:
    """Describe one input of a runner; written as the parameter's default value.

    Args:
        default: The value when the caller sends none. ``default=None`` makes the input optional whatever its annotation.
        default_factory: Refused: a default is part of the published schema and must be one value.
        description: Shown in the schema and in forms.
        ge: The smallest allowed number.
        le: The largest allowed number.
        min_length: The fewest characters (or items of a list).
        max_length: The most characters (or items of a list).
        regex: A pattern the text must contain a match of.
        choices: The allowed values, all of one type; any iterable.
        deprecated: Whether callers should stop sending it.
        accept: For file inputs, the media types wanted.

    Raises:
        TypeError: If ``default_factory`` is given.
    """
    if default_factory is not NOT_GIVEN:
        raise TypeError("Input() takes no default_factory: write default=…, the schema shows one fixed default value")
    return FieldInfo(
        default=None if default is NOT_GIVEN else default,
        description=description,
        ge=ge,
        le=le,
        min_length=min_length,
        max_length=max_length,
        regex=regex,
        choices=tuple(choices) if choices is not None else None,
        deprecated=deprecated,
        accept=accept,
        has_default=default is not NOT_GIVEN,
    )
