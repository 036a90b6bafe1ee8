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
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replicate_server.caches import CacheEntry, measure_folder
from replicate_server.engine.interpreters import Interpreter, InterpreterMissing, Interpreters
from replicate_server.engine.requirements import environment_digest, is_locked, logical_lines, strip_provided
from replicate_server.engine.source_builds import SourceBuilds
from replicate_server.engine.uv import Uv, UvFailed
from replicate_server.ports.engine import PackageBroken

_NO_BUILD = "--no-build"
_BUILDS_REFUSED = (
    "\nIf a requirement has no wheel for this machine: it is built from source only in bubblewrap, which is not used here, or "
    "with the server's own rights when REPLICATE_SERVER_BUILDS_FROM_SOURCE=true.\n"
)
_COMPILE_TIMEOUT_SECONDS = 600.0
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


class _BuildsNeeded(Exception):
    """Wheels alone do not suffice, and building from source may be tried."""


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

    def _tell(self, text: str) -> None:
        self._told.append(text)
        for listener in tuple(self._listeners):
            listener(text)


@dataclass(slots=True)
class Environments:
    """Builds and remembers environments."""

    folder: Path
    uv: Uv
    interpreters: Interpreters
    timeout_seconds: float
    builds_from_source: bool
    """Whether build code may run with the server's rights where it cannot be isolated."""
    source_builds: SourceBuilds | None
    """Isolates build code; None where nothing can."""
    _builds: dict[str, _Build] = field(default_factory=dict)
    _complete: dict[str, Environment] = field(default_factory=dict)

    async def find_interpreter(self, python_version: str) -> Interpreter:
        """The interpreter for a version.

        Raises:
            PackageBroken: If the machine has none.
        """
        known = self.interpreters.known(python_version)
        if known is not None:
            return known
        try:
            return await asyncio.to_thread(self.interpreters.find, python_version)
        except InterpreterMissing as error:
            raise PackageBroken(str(error), str(error)) from error

    async def lock(self, requirements: str, *, python_version: str, log: LogSink) -> str:
        """Resolve requirements to pins with hashes; text that is already so is kept as it is.

        Raises:
            PackageBroken: If they cannot be resolved, with the resolver's words.
        """
        wanted, removed = strip_provided(requirements)
        for line in removed:
            log(f"{line}: left out, the platform provides it\n")
        if not logical_lines(wanted):
            return ""
        if is_locked(wanted):
            return wanted if removed else requirements
        interpreter = await self.find_interpreter(python_version)
        arguments = ["pip", "compile", "--generate-hashes", "--no-header", "--no-annotate", "--quiet", "--no-config"]
        arguments += ["--python", interpreter.path, "-"]
        try:
            try:
                return await self._run_with_wheels(arguments, log, stdin=wanted)
            except _BuildsNeeded:
                return await self._run_with_builds(arguments, interpreter, log, stdin=wanted)
        except UvFailed as error:
            raise PackageBroken("the requirements cannot be resolved", error.log) from error

    async def ensure(self, *, python_version: str, lock: str, log: LogSink) -> Environment:
        """Return the environment of a lock, building it if need be.

        Calls for the same lock share one build, and all read its text.

        Raises:
            PackageBroken: If it cannot be built, with uv's words.
        """
        interpreter = await self.find_interpreter(python_version)
        digest = environment_digest(interpreter=interpreter.path, version=interpreter.version, lock=lock)
        known = self._complete.get(digest)
        if known is not None:
            _note_use(known)
            return known
        build = self._builds.get(digest)
        if build is None:
            build = self._builds[digest] = _Build(lambda tell: self._build(digest, interpreter, lock, tell))
            build.task.add_done_callback(lambda _: self._builds.pop(digest, None))
        return await build.follow(log)

    async def close(self) -> None:
        """End builds in progress."""
        builds = [build.task for build in self._builds.values()]
        for task in builds:
            task.cancel()
        await asyncio.gather(*builds, return_exceptions=True)

    async def _build(self, digest: str, interpreter: Interpreter, lock: str, log: LogSink) -> Environment:
        """Build under the file lock, unless another process has just done so."""
        environment = Environment(self.folder / digest, interpreter)
        async with _locked(self.folder / f"{digest}.lock"):
            if not (environment.path / _MARKER).exists():
                await asyncio.to_thread(shutil.rmtree, environment.path, ignore_errors=True)
                try:
                    await self._install(environment, lock, log)
                except UvFailed as error:
                    raise PackageBroken("the environment cannot be built", error.log) from error
                await asyncio.to_thread(_mark_complete, environment)
        _note_use(environment)
        self._complete[digest] = environment
        return environment

    async def _install(self, environment: Environment, lock: str, log: LogSink) -> None:
        """Make the folder, then fill it: from the cache alone if that suffices, which needs no network and no waiting.

        Nothing here starts the environment's own interpreter outside a sandbox once packages lie in it, for a ``.pth`` file is
        code that every start runs: each try begins with an empty folder, and the base interpreter writes the bytecode.
        """
        count = len(logical_lines(lock))
        log(f"Building an environment: Python {environment.interpreter.version}, {count} package{'' if count == 1 else 's'}\n")
        await self._make_folder(environment, lock, log)
        if not count:
            return
        sync = ["pip", "sync", "--python", environment.python, "--require-hashes", "--no-config", str(_lock_file(environment))]
        try:
            await self.uv.run([*sync, _NO_BUILD, "--offline"], log=_ignore, timeout_seconds=self.timeout_seconds)
        except UvFailed:
            await self._make_folder(environment, lock, log)
            try:
                await self._run_with_wheels(sync, log)
            except _BuildsNeeded:
                await self._make_folder(environment, lock, log)
                await self._run_with_builds(
                    [*sync, "--compile-bytecode"], environment.interpreter, log, writable=environment.path
                )
                return
        await asyncio.to_thread(compile_packages, environment.path, environment.interpreter.path)

    async def _make_folder(self, environment: Environment, lock: str, log: LogSink) -> None:
        await asyncio.to_thread(shutil.rmtree, environment.path, ignore_errors=True)
        venv = ["venv", "--python", environment.interpreter.path, "--no-project", "--no-config", "--quiet", str(environment.path)]
        await self.uv.run(venv, log=log, timeout_seconds=self.timeout_seconds)
        if lock:
            _lock_file(environment).write_text(lock, encoding="utf-8")

    async def _run_with_wheels(self, arguments: list[str], log: LogSink, *, stdin: str | None = None) -> str:
        """Run uv without building anything, which runs nobody's code.

        Raises:
            _BuildsNeeded: If that fails and builds may be tried; then its complaint is of no interest.
            UvFailed: If it fails and they may not, with what an operator can do about it.
        """
        told: list[str] = []
        try:
            output = await self.uv.run(
                [*arguments, _NO_BUILD], log=told.append, timeout_seconds=self.timeout_seconds, stdin=stdin
            )
        except UvFailed as error:
            if self.source_builds is not None or self.builds_from_source:
                raise _BuildsNeeded from error
            log("".join(told))
            raise UvFailed(str(error), f"{error.log}{_BUILDS_REFUSED}") from error
        log("".join(told))
        return output

    async def _run_with_builds(
        self,
        arguments: list[str],
        interpreter: Interpreter,
        log: LogSink,
        *,
        writable: Path | None = None,
        stdin: str | None = None,
    ) -> str:
        """Run uv with build code, isolated where that is possible.

        Raises:
            UvFailed: If it fails.
        """
        log("Wheels alone do not suffice: building from source\n")
        if self.source_builds is None:
            return await self.uv.run(arguments, log=log, timeout_seconds=self.timeout_seconds, stdin=stdin)
        with self.source_builds.confine(interpreter, writable=writable) as confine:
            return await self.uv.run(arguments, log=log, timeout_seconds=self.timeout_seconds, stdin=stdin, confine=confine)


def _lock_file(environment: Environment) -> Path:
    return environment.path / "requirements.lock"


def compile_packages(environment_dir: Path, interpreter: str) -> None:
    """Write bytecode for installed wheels, which instances could not: the sandbox shows the folder read-only.

    By the base interpreter without its site module, so that no code of the packages runs. Bytecode only saves time, so a
    failure is not an error. Blocks.
    """
    packages = [str(folder) for folder in environment_dir.glob("lib/python*/site-packages")]
    command = [interpreter, "-I", "-S", "-m", "compileall", "-q", "-j", "0", *packages]
    # compileall fails when one file cannot be compiled, which many packages have on purpose.
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(command, check=False, capture_output=True, timeout=_COMPILE_TIMEOUT_SECONDS, env={}, umask=0o022)


def find_entries(folder: Path) -> list[CacheEntry]:
    """Whole environments; the marker knows the size, and its time is that of the last use."""
    markers = [(marker, json.loads(marker.read_text(encoding="utf-8"))) for marker in folder.glob(f"*/{_MARKER}")]
    return [
        CacheEntry(marker, marker.parent, marker.stat().st_mtime, facts.get("size_bytes") or measure_folder(marker.parent))
        for marker, facts in markers
    ]


def _ignore(text: str) -> None:
    """Drop text: a try from the cache that fails is no news to anybody."""


def _note_use(environment: Environment) -> None:
    """Let the marker's time be that of the last use."""
    with contextlib.suppress(OSError):
        os.utime(environment.path / _MARKER)


def _mark_complete(environment: Environment) -> None:
    """Write the marker, on disk before its name appears."""
    draft = environment.path / f"{_MARKER}.draft"
    # Build code may have written here: nothing of it is followed.
    draft.unlink(missing_ok=True)
    with draft.open("x", encoding="utf-8") as file:
        interpreter = environment.interpreter
        facts = {"python": interpreter.version, "interpreter": interpreter.path, "size_bytes": measure_folder(environment.path)}
        json.dump(facts, file)
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
