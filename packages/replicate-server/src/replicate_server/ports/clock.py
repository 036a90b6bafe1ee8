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


class SystemRandomness:
    """The machine's randomness, read in blocks; every byte is given out once.

    Reading it gives up the interpreter's lock, and getting the lock back from a busy writer thread was seen to take 20 µs: a good
    part of what one prediction may cost. Not for use by several threads.
    """

    BLOCK_BYTES = 4096

    def __init__(self) -> None:
        self._block = b""
        self._used = 0

    def __call__(self, count: int) -> bytes:
        """Return ``count`` random bytes."""
        end = self._used + count
        if end > len(self._block):
            self._block = secrets.token_bytes(max(count, self.BLOCK_BYTES))
            self._used, end = 0, count
        start, self._used = self._used, end
        return self._block[start:end]


def system_randomness(count: int) -> bytes:
    """Random bytes from the machine, for whoever needs few."""
    return secrets.token_bytes(count)
