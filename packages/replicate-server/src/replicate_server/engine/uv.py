"""Runs uv: finds its binary, gives it a known environment, passes its text on line by line. Knows nothing of the purpose."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LINES_KEPT = 200
# Would make uv work on the server's own environment, or let the author's code find the server's packages.
_REMOVED_VARIABLES = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON")


Confine = Callable[[list[str], dict[str, str]], tuple[list[str], dict[str, str]]]
"""Turns a command line and its environment into isolated ones."""


class UvFailed(Exception):
    """uv ended with an error. ``log`` holds its own words."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(message)
        self.log = log


class UvMissing(Exception):
    """There is no uv beside this interpreter or on the path."""

    def __init__(self) -> None:
        super().__init__("uv was not found beside the server's Python or on PATH; install it with: pip install uv")


def find_uv(environ: Mapping[str, str]) -> str:
    """The uv binary: the one installed with the server, else the first on ``PATH``.

    Raises:
        UvMissing: If there is neither.
    """
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("uv", path=environ.get("PATH"))
    if found is None:
        raise UvMissing
    return found


def cache_dir(environ: Mapping[str, str], *, data_dir: Path) -> Path:
    """Where uv keeps wheels: its default place when hard links reach from there to ``data_dir``, else a folder of our own."""
    home = environ.get("HOME", "/nonexistent")
    default = Path(environ.get("UV_CACHE_DIR") or f"{environ.get('XDG_CACHE_HOME') or home + '/.cache'}/uv")
    parent = next((folder for folder in (default, *default.parents) if folder.exists()), Path("/"))
    is_usable = parent.stat().st_dev == data_dir.stat().st_dev and os.access(parent, os.W_OK)
    return default if is_usable else data_dir / "uv-cache"


@dataclass(frozen=True, slots=True)
class Uv:
    """A uv binary with its environment."""

    binary: str
    environ: Mapping[str, str]
    cache_dir: Path

    async def run(
        self,
        arguments: Sequence[str],
        *,
        log: Callable[[str], None],
        timeout_seconds: float,
        cwd: Path | None = None,
        stdin: str | None = None,
        confine: Confine | None = None,
    ) -> str:
        """Run one command, streaming its progress to ``log``.

        Args:
            arguments: The command.
            log: Takes its text, line by line.
            timeout_seconds: It is killed after that.
            cwd: Where it runs.
            stdin: What it reads.
            confine: Makes an isolated command line of it; it runs with the server's rights when None.

        Returns:
            What it wrote to standard output.

        Raises:
            UvFailed: If it exits with an error or takes longer than ``timeout_seconds``.
        """
        argv, variables = [self.binary, *arguments, "--color=never", "--no-progress"], self._environment()
        if confine is not None:
            argv, variables = confine(argv, variables)
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=cwd,
            env=variables,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        kept: deque[str] = deque(maxlen=_LINES_KEPT)
        try:
            async with asyncio.timeout(timeout_seconds):
                output, _, status = await asyncio.gather(
                    _exchange(process, stdin), _pass_on(process.stderr, log, kept), process.wait()
                )
        except TimeoutError as error:
            raise UvFailed(f"uv {arguments[0]} took longer than {timeout_seconds:g} s", "".join(kept)) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if status != 0:
            raise UvFailed(f"uv {' '.join(arguments[:2])} failed with exit code {status}", "".join(kept))
        return output

    def _environment(self) -> dict[str, str]:
        """The server's own environment (proxies, certificates, indexes), except what would lead uv astray."""
        environment = {name: value for name, value in self.environ.items() if name not in _REMOVED_VARIABLES}
        environment.update(UV_PYTHON_DOWNLOADS="never", UV_CACHE_DIR=str(self.cache_dir), UV_NO_PROGRESS="1")
        return environment


async def _exchange(process: asyncio.subprocess.Process, stdin: str | None) -> str:
    """Feed standard input, if there is any, and collect standard output."""
    if process.stdin is not None:
        process.stdin.write((stdin or "").encode())
        process.stdin.close()
    return (await process.stdout.read()).decode("utf-8", "replace") if process.stdout is not None else ""


async def _pass_on(stream: asyncio.StreamReader | None, log: Callable[[str], None], kept: deque[str]) -> None:
    """Give each line on, and keep the last ones for an error."""
    while stream is not None and (line := await stream.readline()):
        text = line.decode("utf-8", "replace")
        kept.append(text)
        log(text)
