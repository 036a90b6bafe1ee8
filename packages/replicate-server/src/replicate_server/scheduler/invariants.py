"""What must hold whatever happens: breaking it is a bug of the scheduler, never of a caller or a model."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


class InvariantViolated(Exception):
    """The scheduler's own state contradicts itself. Always a bug."""


def known(value: T | None) -> T:
    """The value, which cannot be None where this is called.

    Raises:
        InvariantViolated: If it is None all the same.
    """
    if value is None:
        raise InvariantViolated("something is None that cannot be")
    return value
