"""Time and randomness as ports: whatever decides by them takes them as arguments, and tests replay them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Reads the time."""

    def now(self) -> datetime:
        """The present moment, aware, UTC."""
        ...


class Randomness(Protocol):
    """Yields unpredictable bytes."""

    def __call__(self, count: int, /) -> bytes:
        """Return ``count`` random bytes."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment, aware, UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one place that reads the clock


system_randomness: Randomness = secrets.token_bytes
