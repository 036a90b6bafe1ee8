"""Control groups: memory and process limits of an instance, its out-of-memory count, and a way to end everything in it.

Speaks version 2 (one tree) and version 1 (a tree for each controller), below the server's own group, so that limits set on the
server hold for its instances too. Where nothing is writable, `ControlGroups.create` returns None and the sandbox limits what it
can.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from replicate_server.engine.processes import is_alive, process_tree

ROOT = Path("/sys/fs/cgroup")
_PREFIX = "replicate"
_SERVER_GROUP = "replicate-server"
_CONTROLLERS = ("memory", "pids")


@dataclass(frozen=True, slots=True)
class Limits:
    """What an instance may use."""

    memory_bytes: int
    processes_max: int


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """The group of one instance: one folder for each hierarchy it is in."""

    folders: tuple[Path, ...]
    limits: Limits

    @property
    def join_files(self) -> list[str]:
        """Files into which a process writes ``0`` to enter."""
        return [str(folder / "cgroup.procs") for folder in self.folders]

    def members(self) -> list[int]:
        """The processes inside, in the server's numbering."""
        found: dict[int, None] = {}
        for folder in self.folders:
            with contextlib.suppress(OSError):
                found.update(dict.fromkeys(int(line) for line in (folder / "cgroup.procs").read_text().split()))
        return list(found)

    def out_of_memory_kills(self) -> int:
        """How many processes the kernel has killed here for want of memory."""
        for folder in self.folders:
            for name in ("memory.events", "memory.oom_control"):
                for key, value in _read_pairs(folder / name):
                    if key == "oom_kill":
                        return value
        return 0

    def kill(self) -> None:
        """Kill every member. New ones may appear while we look: call it until `members` is empty."""
        for folder in self.folders:
            with contextlib.suppress(OSError), (folder / "cgroup.kill").open("r+") as file:
                file.write("1")
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def remove(self) -> bool:
        """Remove the folders; False while a member is still on its way out."""
        for folder in self.folders:
            with contextlib.suppress(FileNotFoundError):
                try:
                    folder.rmdir()
                except OSError:
                    return False
        return True


@dataclass(frozen=True, slots=True)
class ControlGroups:
    """Where groups can be made."""

    bases: tuple[Path, ...]
    """Folders below which each instance gets one; empty when nothing is writable."""
    is_version_2: bool

    def create(self, instance_id: str, limits: Limits) -> ControlGroup | None:
        """Make the group of an instance, or None where that is not possible."""
        folders = []
        try:
            for base in self.bases:
                folder = base / f"{_PREFIX}-{os.getpid()}-{instance_id}"
                folder.mkdir()
                folders.append(folder)
                for name, value, is_required in self._files(folder, limits):
                    with contextlib.nullcontext() if is_required else contextlib.suppress(OSError):
                        (folder / name).write_text(value)
        except OSError:
            for folder in folders:
                with contextlib.suppress(OSError):
                    folder.rmdir()
            return None
        return ControlGroup(tuple(folders), limits) if folders else None

    def sweep(self) -> int:
        """End and remove what a server that is dead left behind; returns how many groups were found."""
        count = 0
        for base in self.bases:
            for folder in base.glob(f"{_PREFIX}-[0-9]*-*"):
                owner = int(folder.name.split("-")[1])
                if is_alive(owner):
                    continue
                count += 1
                group = ControlGroup((folder,), Limits(0, 0))
                for _ in range(100):
                    group.kill()
                    if group.remove():
                        break
        return count

    def _files(self, folder: Path, limits: Limits) -> Iterator[tuple[str, str, bool]]:
        """Each limit as file, value, and whether the group is useless without it."""
        memory, processes = str(limits.memory_bytes), str(limits.processes_max)
        if self.is_version_2:
            yield "memory.max", memory, True
            yield "memory.swap.max", "0", False
            yield "memory.oom.group", "1", False
            yield "pids.max", processes, False
        elif folder.parent == self.bases[0]:
            yield "memory.limit_in_bytes", memory, True
            yield "memory.memsw.limit_in_bytes", memory, False
        else:
            yield "pids.max", processes, True


def find_control_groups(root: Path = ROOT, membership: str | None = None) -> ControlGroups:
    """Look where this server may make groups; tries it.

    Args:
        root: The mount point.
        membership: The text of ``/proc/self/cgroup``; read when None.
    """
    text = Path("/proc/self/cgroup").read_text() if membership is None else membership
    own = {name: path for _, names, path in (line.split(":", 2) for line in text.splitlines()) for name in names.split(",")}
    if (root / "cgroup.controllers").exists():
        base = _below(root, own.get("", "/"))
        return ControlGroups((base,) if _prepare_version_2(base) else (), is_version_2=True)
    bases = [_below(root / controller, own[controller]) for controller in _CONTROLLERS if controller in own]
    usable = [base for base in bases if _is_writable(base)]
    # Memory first, and no group at all without it: `_files` relies on it.
    return ControlGroups(tuple(usable) if usable and usable[0].is_relative_to(root / "memory") else (), is_version_2=False)


def memory_limit(root: Path = ROOT, membership: str | None = None) -> int | None:
    """The memory limit set on this server's own group or one above it; None when there is none."""
    text = Path("/proc/self/cgroup").read_text() if membership is None else membership
    own = {name: path for _, names, path in (line.split(":", 2) for line in text.splitlines()) for name in names.split(",")}
    found = []
    for top, name, file in ((root, "", "memory.max"), (root / "memory", "memory", "memory.limit_in_bytes")):
        folder = _below(top, own.get(name, "/"))
        for level in (folder, *folder.parents):
            with contextlib.suppress(OSError, ValueError):
                found.append(int((level / file).read_text()))
            if level == top:
                break
    # Version 1 writes "no limit" as a number near 2**63.
    limits = [value for value in found if 0 < value < 2**60]
    return min(limits, default=None)


def _below(top: Path, path: str) -> Path:
    """A group's folder. In a container the path may be the host's and not exist here: then the mount is our own group."""
    folder = top / path.strip().lstrip("/")
    return folder if folder.is_dir() else top


def _is_writable(folder: Path) -> bool:
    """Whether a group can be made here: the mount may be read-only whatever the mode bits say."""
    probe = folder / f"{_PREFIX}-probe-{os.getpid()}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError:
        return False
    return True


def _prepare_version_2(base: Path) -> bool:
    """Let groups below ``base`` have controllers.

    A group with processes of its own cannot: then the server moves into one below, but only if nobody else's processes are there.
    """
    try:
        enabled = (base / "cgroup.subtree_control").read_text().split()
        if not set(_CONTROLLERS) <= set(enabled):
            members = {int(line) for line in (base / "cgroup.procs").read_text().split()}
            if not members <= set(process_tree(os.getpid())):
                return False
            server = base / _SERVER_GROUP
            server.mkdir(exist_ok=True)
            for pid in members:
                (server / "cgroup.procs").write_text(str(pid))
            (base / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in _CONTROLLERS))
    except (OSError, ValueError):
        return False
    return _is_writable(base)


def _read_pairs(path: Path) -> list[tuple[str, int]]:
    """Lines of ``name number``; nothing when there is no such file."""
    try:
        words = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return []
    return [(pair[0], int(pair[1])) for pair in words if len(pair) == 2 and pair[1].isdigit()]
