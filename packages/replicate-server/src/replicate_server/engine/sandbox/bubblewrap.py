"""The bubblewrap sandbox: namespaces of its own, and a file system put together by hand.

Processes, IPC, host name and (unless allowed) the network are the model's own. The model sees the system read-only, its
interpreter and environment at their own paths, and four places to write: ``/src`` (its own copy of the version's files),
``/scratch`` and ``/tmp`` (folders of the instance on the host's disk) and ``/dev/shm``. No other file of the host exists for it.

As root, bubblewrap assembles this with root's rights and ``setpriv`` then becomes nobody for good; so the interpreter may lie
in a folder that only root can enter. As anybody else, or where that fails, a user namespace does it. Source:
docs/decisions/0030-sandbox.md.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from replicate_server.engine.sandbox.launch import (
    NOBODY,
    SYSTEM_FILES,
    SYSTEM_FOLDERS,
    Installation,
    Launch,
    SandboxedCommand,
    build_variables,
    find_existing,
    select_inherited,
)

SOURCE_DIR = "/src"
WORK_DIR = "/scratch"
SHARED_SOURCE_DIR = "/opt/model-source"
RUNTIME_DIR = "/opt/cog-runtime"
_PATH = "/usr/local/bin:/usr/bin:/bin"
# Minimal, so that libraries which ask who they run as get an answer; the host's own would tell its users' names.
_USER_FILES = Path(__file__).parent / "etc"
_PROBE_TIMEOUT_SECONDS = 10.0
# Rights that setpriv needs to give up all rights; it keeps none of them.
_CAPABILITIES = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
_BECOME_NOBODY = (
    f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BubblewrapSandbox:
    """Builds bubblewrap command lines."""

    binary: str
    setpriv: str | None
    """The path of ``setpriv`` when the server is root and can become nobody; None uses a user namespace."""
    inherited: Mapping[str, str]

    name = "bubblewrap"
    has_init = True

    @property
    def gaps(self) -> tuple[str, ...]:
        """Nothing is lacking."""
        return ()

    def build_command(self, launch: Launch) -> SandboxedCommand:
        """Turn a launch into a command line."""
        variables = build_variables(launch, temporary_dir="/tmp", runtime_dir=RUNTIME_DIR, inherited=self.inherited)  # noqa: S108
        argv = [self.binary, *self._namespaces(allows_network=launch.allows_network), *_system_mounts()]
        # First, because a later mount hides what lies below it, and the data folder may lie below /tmp.
        argv += ["--bind", str(launch.folder / "tmp"), "/tmp", "--bind", str(launch.folder / "work"), WORK_DIR]  # noqa: S108
        argv += _bind_at_own_path("--ro-bind", launch.interpreter.prefix)
        argv += _bind_at_own_path("--ro-bind", str(launch.environment_dir))
        argv += ["--dir", "/opt", "--ro-bind", str(launch.runtime_dir), RUNTIME_DIR]
        argv += ["--bind", str(launch.own_source_dir), SOURCE_DIR, "--ro-bind", str(launch.source_dir), SHARED_SOURCE_DIR]
        for node in launch.device_nodes:
            argv += ["--dev-bind", node, node]
        argv += [*self._last_steps(), "--chdir", SOURCE_DIR, "--", *_limit_memory(launch), *self._become_nobody()]
        if launch.author_variables:
            argv += ["/usr/bin/env", *(f"{name}={value}" for name, value in launch.author_variables.items())]
        # In a user namespace files still belong to the server's own user.
        owner = NOBODY if self.setpriv else None
        return SandboxedCommand([*argv, *launch.worker_command], variables, SOURCE_DIR, SHARED_SOURCE_DIR, WORK_DIR, owner)

    def build_installation(self, work: Installation) -> tuple[list[str], dict[str, str]]:
        """The command line and environment of an installation: as isolated as an instance, with folders of its own to write."""
        program, *arguments = work.argv
        argv = [self.binary, *self._namespaces(allows_network=work.allows_network), *_system_mounts()]
        argv += ["--bind", str(work.temporary_dir), "/tmp"]  # noqa: S108
        for path in (work.interpreter.prefix, *work.read_only):
            argv += _bind_at_own_path("--ro-bind", path)
        for folder in work.writable:
            argv += _bind_at_own_path("--bind", str(folder))
        inside = f"/opt/{Path(program).name}"
        argv += ["--dir", "/opt", "--ro-bind", program, inside, *self._last_steps(), "--chdir", "/tmp", "--"]  # noqa: S108
        variables = {**work.variables, "PATH": _PATH, "HOME": "/tmp", "TMPDIR": "/tmp"}  # noqa: S108
        return [*argv, *self._become_nobody(), inside, *arguments], variables

    def works(self) -> bool:
        """Run the recipe once with an empty model. Blocks for some milliseconds."""
        command = [self.binary, *self._namespaces(allows_network=False), *_system_mounts(), "--tmpfs", "/tmp"]  # noqa: S108
        command += [*self._last_steps(), "--", *self._become_nobody(), "/bin/true"]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_PROBE_TIMEOUT_SECONDS, env={})
        except (OSError, subprocess.SubprocessError):
            return False
        return True

    def _namespaces(self, *, allows_network: bool) -> list[str]:
        argv = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "model"]
        argv += [] if allows_network else ["--unshare-net"]
        argv += [] if self.setpriv else ["--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY)]
        return [*argv, "--die-with-parent", "--new-session"]

    def _last_steps(self) -> list[str]:
        argv = ["--remount-ro", "/", "--cap-drop", "ALL"]
        for capability in _CAPABILITIES if self.setpriv else ():
            argv += ["--cap-add", capability]
        return argv

    def _become_nobody(self) -> list[str]:
        return [self.setpriv, *_BECOME_NOBODY] if self.setpriv else []


def _limit_memory(launch: Launch) -> list[str]:
    """Where no control group does it: data segments and private mappings of each process, as the process sandbox's launcher."""
    if launch.memory_bytes is None:
        return []
    return ["/bin/sh", "-c", 'ulimit -d "$1" && shift && exec "$@"', "sh", str(launch.memory_bytes // 1024)]


def _system_mounts() -> list[str]:
    """An empty root with the system's programs and libraries, read-only, and fresh ``/proc``, ``/dev`` and ``/dev/shm``."""
    argv = ["--tmpfs", "/", "--dir", "/etc"]
    for folder in SYSTEM_FOLDERS:
        if Path(folder).is_symlink():
            argv += ["--symlink", str(Path(folder).readlink()), folder]
        elif Path(folder).is_dir():
            argv += ["--ro-bind", folder, folder]
    for file in find_existing(SYSTEM_FILES):
        argv += ["--ro-bind", file, file]
    for name in ("passwd", "group"):
        argv += ["--ro-bind", str(_USER_FILES / name), f"/etc/{name}"]
    argv += ["--proc", "/proc", "--dev", "/dev"]
    if Path("/sys/devices/system").is_dir():  # Numeric libraries ask it how many cores there are.
        argv += ["--dir", "/sys", "--dir", "/sys/devices", "--ro-bind", "/sys/devices/system", "/sys/devices/system"]
    return [*argv, "--perms", "1777", "--tmpfs", "/dev/shm"]  # noqa: S108


def _bind_at_own_path(option: str, path: str) -> list[str]:
    """Mount a path where it lies on the host, making its parents enterable: bubblewrap alone makes them for root only."""
    if any(Path(path).is_relative_to(folder) for folder in SYSTEM_FOLDERS):
        return []
    argv: list[str] = []
    for parent in reversed(Path(path).parents[:-1]):
        argv += ["--perms", "0755", "--dir", str(parent)]
    return [*argv, option, path, path]


def find_bubblewrap(environ: Mapping[str, str], passed: Iterable[str] = ()) -> BubblewrapSandbox | None:
    """The first recipe that really works here, or None. Runs programs.

    Args:
        environ: The server's environment.
        passed: Names of those of its variables that models get, beside the certificates' places.
    """
    binary = shutil.which("bwrap", path=environ.get("PATH"))
    if binary is None:
        return None
    setpriv = shutil.which("setpriv", path="/usr/bin:/bin") if os.geteuid() == 0 else None
    inherited = select_inherited(environ, passed)
    recipes = [BubblewrapSandbox(binary, setpriv, inherited)] if setpriv else []
    recipes.append(BubblewrapSandbox(binary, None, inherited))
    return next((recipe for recipe in recipes if recipe.works()), None)
