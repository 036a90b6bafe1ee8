"""Virtual environments of models: one for each lock, shared by every version that has the same one.

Owns ``<data>/environments``. A virtual environment cannot be moved, so it is built where it stays: a file lock keeps two
builders apart (also two servers), and a marker written last says that it is whole; without it the folder is what a crash left,
and is built again.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replicate_server.engine.interpreters import Interpreter, InterpreterMissing, Interpreters
from replicate_server.engine.requirements import environment_digest, is_locked, logical_lines, strip_provided
from replicate_server.engine.uv import Uv, UvFailed
from replicate_server.ports.engine import PackageBroken

_MARKER = ".replicate-complete"
LogSink = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Environment:
    """A whole virtual environment."""

    path: Path
    interpreter: Interpreter

    @property
    def python(self) -> str:
        """The interpreter to start."""
        return str(self.path / "bin" / "python")


class _Build:
    """A build in progress, what it said so far, and those who want to read it."""

    def __init__(self, build: Callable[[LogSink], Coroutine[Any, Any, Environment]]) -> None:
        self._told: list[str] = []
        self._listeners: list[LogSink] = []
        self.task = asyncio.create_task(build(self._tell))

    async def follow(self, log: LogSink) -> Environment:
        """Read everything from its beginning, and wait for its end."""
        for text in self._told:
            log(text)
        self._listeners.append(log)
        try:
            # Shielded: one caller that gives up must not end the build that others wait for.
            return await asyncio.shield(self.task)
        finally:
            self._listeners.remove(log)

    def _ignore(text: str) -> None:
    """Drop text: a try from the cache that fails is no news to anybody."""


def _mark_complete(environment: Environment) -> None:
    """Write the marker, on disk before its name appears."""
    draft = environment.path / f"{_MARKER}.draft"
    with draft.open("w", encoding="utf-8") as file:
        json.dump({"python": environment.interpreter.version, "interpreter": environment.interpreter.path}, file)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(environment.path / _MARKER)


@contextlib.contextmanager
def _open_lock(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)  # Releases the lock too.


@contextlib.asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    """Hold a file lock, polling for it: a thread blocked in ``flock`` could not be told to give up."""
    with _open_lock(path) as descriptor:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.1)
        yield
