"""Processes of this machine: starting one under the event loop, hearing of its end, and looking at what it and its children do.

Knows nothing of models. Everything is called on the event loop's thread; starting blocks for one or two milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TEXT_BYTES_KEPT = 16 * 1024
_READ_SIZE_BYTES = 64 * 1024
# Enters control groups, then becomes the program: the group must hold before the first instruction of the sandbox, and a shell
# costs 1 ms where an interpreter costs 10.
_JOIN_SCRIPT = 'n=$1; shift; while [ "$n" -gt 0 ]; do echo 0 > "$1" || exit 126; shift; n=$((n-1)); done; exec "$@"'


@dataclass(frozen=True, slots=True)
class Activity:
    """What a group of processes did so far."""

    cpu_ticks: int
    is_stopped: bool
    """Whether one of them is stopped by a signal (state T)."""


class ChildProcess:
    """A started process. ``exited`` is called once, after all its text was read and it was waited for."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        variables: Mapping[str, str],
        join_files: Sequence[str],
        inherited_fd: int,
        wrote: Callable[[str], None],
        exited: Callable[[int], None],
    ) -> None:
        """Start it.

        Args:
            argv: The program and its arguments.
            variables: Its whole environment.
            join_files: ``cgroup.procs`` files of the groups to enter first.
            inherited_fd: The one descriptor it gets besides the standard ones.
            wrote: Called with text from its standard output and error.
            exited: Called with the return code, negative for a signal.
        """
        self._loop = asyncio.get_running_loop()
        self._wrote = wrote
        self._exited = exited
        self._text, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(writer, True)
        try:
            self._process = subprocess.Popen(
                enter_groups(argv, join_files),
                env=dict(variables),
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                pass_fds=(inherited_fd,),
                start_new_session=True,
            )
        except BaseException:
            os.close(self._text)
            raise
        finally:
            os.close(writer)
        self.pid = self._process.pid
        self._loop.add_reader(self._text, self._read_text)
        self._watch_exit()

    def kill(self) -> None:
        """Send SIGKILL to the process and its process group, if it still runs."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.kill()

    def _watch_exit(self) -> None:
        """Hear of the end through a pidfd, which any event loop can watch; elsewhere a thread waits."""
        if hasattr(os, "pidfd_open"):
            self._pidfd = os.pidfd_open(self.pid)
            self._loop.add_reader(self._pidfd, self._end_seen)
        else:
            waiting = self._loop.run_in_executor(None, self._process.wait)
            waiting.add_done_callback(lambda _: self._finish())

    def _end_seen(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._finish()

    def _finish(self) -> None:
        status = self._process.wait()
        self._read_text()
        self._close_text()
        self._exited(status)

    def _read_text(self) -> None:
        """Pass on what was written; a bounded amount at a time, so that a flood cannot hold the loop."""
        if self._text < 0:
            return
        try:
            data = os.read(self._text, _READ_SIZE_BYTES)
        except BlockingIOError:
            return
        if data:
            self._wrote(data[-_TEXT_BYTES_KEPT:].decode("utf-8", "replace"))
        else:
            self._close_text()

    def _close_text(self) -> None:
        if self._text >= 0:
            self._loop.remove_reader(self._text)
            os.close(self._text)
            self._text = -1


def enter_groups(argv: Sequence[str], join_files: Sequence[str]) -> list[str]:
    """A command line that enters control groups first, by their ``cgroup.procs`` files."""
    return ["/bin/sh", "-c", _JOIN_SCRIPT, "sh", str(len(join_files)), *join_files, *argv] if join_files else list(argv)


def is_alive(pid: int) -> bool:
    """Whether a process of this number exists."""
    return Path(f"/proc/{pid}").exists()


def _read_stat(pid: str) -> list[str] | None:
    """The fields of ``/proc/<pid>/stat`` after the name, which may itself hold spaces and parentheses; None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def process_tree(root: int) -> list[int]:
    """A process and all its descendants, parents first. Looks at every process of the machine: some milliseconds."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _read_stat(name)) is not None:
            children.setdefault(int(fields[1]), []).append(int(name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def marked_processes(name: str, value: str) -> list[int]:
    """Processes that were started with a variable of this value in their environment and did not replace it."""
    wanted = f"{name}={value}".encode()
    found = []
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            with contextlib.suppress(OSError):
                if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    found.append(int(pid))
    return found


def sample_activity(pids: Iterable[int]) -> Activity:
    """Add up the processor time of processes and see whether one is stopped."""
    ticks = 0
    is_stopped = False
    for pid in pids:
        fields = _read_stat(str(pid))
        if fields is not None:
            ticks += int(fields[11]) + int(fields[12])
            is_stopped = is_stopped or fields[0] in "Tt"
    return Activity(ticks, is_stopped)


def kill_processes(pids: Iterable[int]) -> None:
    """Send SIGKILL to each that still exists."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
