"""The process sandbox: what remains without bubblewrap. A launcher gives up rights, then becomes the worker.

It keeps model code from reading and writing the server's files where the kernel has landlock or the server is root, but it
hides neither other processes nor the network; ``gaps`` says so for this machine. Source: docs/decisions/0030-sandbox.md.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from replicate_server.engine.sandbox import launcher
from replicate_server.engine.sandbox.launch import (
    NOBODY,
    SYSTEM_FILES,
    SYSTEM_FOLDERS,
    Launch,
    SandboxedCommand,
    build_variables,
    find_existing,
    select_inherited,
)

# The user files have no secrets in them, and libraries ask them who they run as; here they are the host's own.
_READ_ONLY = (*SYSTEM_FOLDERS, *SYSTEM_FILES, "/etc/passwd", "/etc/group", "/proc", "/sys")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/shm")  # noqa: S108
_LANDLOCK_NETWORK = 4
_LANDLOCK_SIGNALS = 6


class SandboxUnusable(Exception):
    """This launch cannot be isolated at all; running it would give the model the server's own rights over its files."""


@dataclass(frozen=True, slots=True)
class ProcessSandbox:
    """Builds launcher command lines."""

    is_root: bool
    landlock_version: int
    inherited: Mapping[str, str]

    name = "process"
    has_init = False

    @property
    def gaps(self) -> tuple[str, ...]:
        """What is lacking on this machine."""
        gaps = ["model code can see other processes, and a hard-coded /tmp is closed to it (TMPDIR works)"]
        if self.landlock_version == 0 and not self.is_root:
            gaps.append("model code can read and write everything the server's user can: the kernel has no landlock")
        if not self.is_root and self.landlock_version < _LANDLOCK_SIGNALS:
            gaps.append("model code can send signals to the server: the kernel's landlock is too old")
        if not self.is_root:
            gaps.append("with the network forbidden, only TCP is (UDP stays open)" if self.landlock_version >= _LANDLOCK_NETWORK
                        else "the network cannot be forbidden")  # fmt: skip
        return tuple(gaps)

    def build_command(self, launch: Launch) -> SandboxedCommand:
        """Turn a launch into a command line.

        Raises:
            SandboxUnusable: If as root neither nobody can reach the model's files nor landlock can confine root to them.
        """
        temporary_dir, work_dir = str(launch.folder / "tmp"), str(launch.folder / "work")
        source_dir = str(launch.own_source_dir)
        read_only = [*find_existing(_READ_ONLY), launch.interpreter.prefix]
        read_only += [str(folder) for folder in (launch.environment_dir, launch.runtime_dir, launch.source_dir)]
        needed = (launch.interpreter.path, *map(str, (launch.environment_dir, launch.runtime_dir, launch.source_dir)))
        # The instance's folder does not exist yet; it will be open below this one.
        needed = (*needed, str(launch.folder.parent))
        becomes_nobody = self.is_root and all(is_reachable(path) for path in needed)
        if self.is_root and not becomes_nobody and self.landlock_version == 0:
            blocked = next(path for path in needed if not is_reachable(path))
            raise SandboxUnusable(f"neither bubblewrap nor landlock works here, and {blocked} is closed to other users than root")
        variables = build_variables(
            launch, temporary_dir=temporary_dir, runtime_dir=str(launch.runtime_dir), inherited=self.inherited
        )
        plan = {
            "parent": os.getpid(),
            "user": NOBODY if becomes_nobody else None,
            "network": launch.allows_network,
            "memory_bytes": launch.memory_bytes,
            "processes_max": launch.processes_max,
            "read_only": read_only,
            "writable": [temporary_dir, work_dir, source_dir, *find_existing(_DEVICES), *launch.device_nodes],
            "folder": source_dir,
            "argv": launch.worker_command,
            "variables": {**variables, **launch.author_variables},
        }
        argv = [sys.executable, "-I", "-S", launcher.__file__, json.dumps(plan)]
        owner = NOBODY if becomes_nobody else None
        return SandboxedCommand(argv, {"PATH": variables["PATH"]}, source_dir, str(launch.source_dir), work_dir, owner)


def is_reachable(path: str) -> bool:
    """Whether any user may enter every folder above ``path`` and read it."""
    real = Path(path).resolve()
    above = all(parent.stat().st_mode & stat.S_IXOTH for parent in real.parents)
    return above and bool(real.stat().st_mode & stat.S_IROTH)


def find_process_sandbox(environ: Mapping[str, str], passed: Iterable[str] = ()) -> ProcessSandbox:
    """The process sandbox of this machine. ``passed`` names variables of ``environ`` that models get."""
    version = launcher.landlock_version()
    return ProcessSandbox(is_root=os.geteuid() == 0, landlock_version=version, inherited=select_inherited(environ, passed))
