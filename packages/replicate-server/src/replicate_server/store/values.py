"""Column values: times as whole microseconds since 1970 UTC, JSON as text. Pure.

An integer compares and indexes faster than text, loses nothing against Python's datetime, and is the same on every database.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def micros(moment: datetime) -> int:
    """An aware datetime as microseconds since 1970 UTC.

    Raises:
        TypeError: If the datetime is naive.
    """
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def optional_micros(moment: datetime | None) -> int | None:
    """As `micros`; None stays None."""
    return None if moment is None else micros(moment)


def moment(microseconds: int) -> datetime:
    """The aware UTC datetime of a stored time."""
    return EPOCH + timedelta(microseconds=microseconds)


def optional_moment(microseconds: int | None) -> datetime | None:
    """As `moment`; None stays None."""
    return None if microseconds is None else EPOCH + timedelta(microseconds=microseconds)


def json_text(value: Any) -> str:
    """A JSON value as compact text."""
    return _encode(value).decode()


def optional_json_text(value: Any) -> str | None:
    """As `json_text`; None becomes the database's null."""
    return None if value is None else _encode(value).decode()


def json_value(text: str) -> Any:
    """The value of stored JSON text."""
    return _decode(text)


def optional_json_value(text: str | None) -> Any:
    """As `json_value`; the database's null becomes None."""
    return None if text is None else _decode(text)
