"""Why a process ended, in words an author can act on. Pure."""

from __future__ import annotations

import signal
from dataclasses import dataclass

_SHELL_SIGNAL_OFFSET = 128


@dataclass(frozen=True, slots=True)
class Exit:
    """The facts of an end."""

    return_code: int
    """As `subprocess` gives it: negative for a signal."""
    has_init: bool
    """Whether a first process reported for the worker, which turns signal ``n`` into exit code ``128 + n``."""
    out_of_memory_kills: int
    memory_bytes: int
    cause: str | None = None
    """Why we ended it ourselves; None when we did not."""


def describe_exit(end: Exit) -> str:
    """One phrase: ``exited with code 3``, ``killed by SIGKILL (out of memory, limit 2 GiB)``."""
    number = _signal_number(end)
    if number is None:
        how = f"exited with code {end.return_code}"
        return how if end.cause is None else f"{how} ({end.cause})"
    how = f"killed by {_signal_name(number)}"
    if end.cause is not None:
        return f"{how} ({end.cause})"
    if number == signal.SIGKILL and end.out_of_memory_kills:
        return f"{how} (out of memory, limit {format_bytes(end.memory_bytes)})"
    return how


def format_bytes(size: int) -> str:
    """A size for people: ``2 GiB``, ``1.5 GiB``, ``64 MiB``, ``0.4 KiB``."""
    unit, name = next(((unit, name) for unit, name in ((1024**3, "GiB"), (1024**2, "MiB")) if size >= unit), (1024, "KiB"))
    return f"{size / unit:.3g} {name}"


def _signal_number(end: Exit) -> int | None:
    if end.return_code < 0:
        return -end.return_code
    shifted = end.return_code - _SHELL_SIGNAL_OFFSET
    return shifted if end.has_init and shifted in set(signal.Signals) else None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
