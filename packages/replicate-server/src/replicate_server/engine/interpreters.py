"""Finds the Python interpreters of this machine: a table from ``3.N`` to a path that was run once and answered.

Downloads nothing: a version that the machine lacks is a clear error (``InterpreterMissing``), not a surprise on the network.
Version manager shims are passed over, because what they start depends on the folder one stands in.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PROBE = (
    "import json, os, sys; print(json.dumps([list(sys.version_info[:3]), os.path.realpath(sys.executable), sys.base_prefix]))"
)
_PROBE_TIMEOUT_SECONDS = 20.0
SYSTEM_FOLDERS = ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin")
SUPPORTED_VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One interpreter that runs."""

    path: str
    """The real path of its binary."""
    version: str
    """With the patch number: ``3.11.7``."""
    prefix: str
    """Its installation folder: standard library and shared objects lie below it."""

    @property
    def minor_version(self) -> str:
        """``3.11``."""
        return ".".join(self.version.split(".")[:2])


class InterpreterMissing(Exception):
    """The machine has no interpreter of the wanted version; the message names those it has."""

    def __init__(self, wanted: str, available: list[Interpreter]) -> None:
        names = ", ".join(item.minor_version for item in available) or "none"
        super().__init__(
            f"this machine has no Python {wanted}; found: {names}. Install it, or name another python_version in cog.yaml"
        )
        self.wanted = wanted


@dataclass(slots=True)
class Interpreters:
    """Looks interpreters up and remembers what it found."""

    environ: Mapping[str, str]
    """``PATH``, ``PYENV_ROOT`` and ``HOME`` are read from it."""
    _found: dict[str, Interpreter] = field(default_factory=dict)

    def known(self, version: str) -> Interpreter | None:
        """What `find` has found before; None before that."""
        return self._found.get(_minor(version))

    def find(self, version: str) -> Interpreter:
        """Return an interpreter of ``3.N`` or ``3.N.P`` (the patch number is a wish, not a condition).

        Runs programs: call it off the loop.

        Raises:
            InterpreterMissing: If there is none that works.
        """
        wanted = _minor(version)
        known = self.known(version)
        if known is not None:
            return known
        for path in self._candidates(wanted):
            interpreter = probe_interpreter(path)
            if interpreter is not None and interpreter.minor_version == wanted:
                self._found[wanted] = interpreter
                return interpreter
        raise InterpreterMissing(version, self.available())

    def available(self) -> list[Interpreter]:
        """Every supported version that works on this machine, oldest first. Runs programs."""
        found = []
        for version in SUPPORTED_VERSIONS:
            for path in () if version in self._found else self._candidates(version):
                interpreter = probe_interpreter(path)
                if interpreter is not None and interpreter.minor_version == version:
                    self._found[version] = interpreter
                    break
            if version in self._found:
                found.append(self._found[version])
        return found

    def _candidates(self, version: str) -> Iterator[str]:
        """Paths that may be this version, best first: the running one, installed builds, ``PATH``, the system's folders."""
        if version == f"{sys.version_info.major}.{sys.version_info.minor}":
            yield getattr(sys, "_base_executable", None) or sys.executable
        home = self.environ.get("HOME", "/nonexistent")
        pyenv = Path(self.environ.get("PYENV_ROOT") or f"{home}/.pyenv") / "versions"
        managed = Path(self.environ.get("UV_PYTHON_INSTALL_DIR") or f"{home}/.local/share/uv/python")
        for folder, pattern in ((pyenv, f"{version}.*"), (managed, f"cpython-{version}.*")):
            for build in sorted(folder.glob(pattern), reverse=True) if folder.is_dir() else ():
                yield str(build / "bin" / f"python{version}")
        for folder_name in (*self.environ.get("PATH", "").split(os.pathsep), *SYSTEM_FOLDERS):
            if folder_name and "shims" not in Path(folder_name).parts:
                yield str(Path(folder_name) / f"python{version}")


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def probe_interpreter(path: str) -> Interpreter | None:
    """Run an interpreter once and believe only its own answer; None when it is absent or does not work."""
    if not os.access(path, os.X_OK):
        return None
    try:
        answer = subprocess.run(
            [path, "-I", "-S", "-c", _PROBE], capture_output=True, text=True, timeout=_PROBE_TIMEOUT_SECONDS, check=True, env={}
        )
        version, executable, prefix = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Interpreter(path=executable, version=".".join(map(str, version)), prefix=prefix)
