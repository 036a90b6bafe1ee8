"""What this machine offers and what each gap costs, as findings for `replicate-server doctor`.

Looks and tries, and changes nothing that stays. Presentation is the command line's.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import httpx

from replicate_server.engine.cgroups import find_control_groups
from replicate_server.engine.gpus import find_gpus
from replicate_server.engine.interpreters import Interpreters
from replicate_server.engine.machine import available_memory_bytes
from replicate_server.engine.sandbox import find_bubblewrap
from replicate_server.engine.sandbox.process import find_process_sandbox
from replicate_server.engine.uv import UvMissing, cache_dir, find_uv
from replicate_server.instances.exits import format_bytes

_DISK_FREE_BYTES_WANTED = 5 * 1024**3
_MEMORY_BYTES_WANTED = 2 * 1024**3
_FSYNC_SECONDS_WANTED = 0.020
_FSYNC_TRIES = 5
_ANSWER_TIMEOUT_SECONDS = 0.5
_VERSION_TIMEOUT_SECONDS = 10.0
_LAST_PRIVILEGED_PORT = 1023


class Standing(StrEnum):
    """How a check ended."""

    OK = "ok"
    GAP = "gap"
    """It works without, at a cost."""
    ERROR = "error"
    """The server cannot work like this."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    name: str
    status: Standing
    what: str
    """What was found."""
    cost: str = ""
    """What a gap costs; "" when there is none."""
    advice: str = ""
    """What to do about it."""


def diagnose(*, data_dir: Path, host: str, port: int, environ: Mapping[str, str] | None = None) -> list[Finding]:
    """Run every check, one after the other; takes about a second. Blocks.

    Args:
        data_dir: Where the server keeps its data; its nearest existing parent is examined when it does not exist yet.
        host: The address the server would listen on.
        port: The port it would listen on; 0 takes any.
        environ: The environment to look in; the process's own when None.
    """
    environ = dict(os.environ) if environ is None else environ
    folder = next(path for path in (data_dir.resolve(), *data_dir.resolve().parents) if path.exists())
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _check_pythons(environ),
        lambda: _check_uv(environ, folder),
        lambda: _check_sandbox(environ),
        _check_control_groups,
        lambda: _check_gpus(environ),
        lambda: _check_disk(folder),
        _check_memory,
        lambda: _check_port(host, port),
    )
    return [finding for check in checks for finding in check()]


def _check_pythons(environ: Mapping[str, str]) -> Iterator[Finding]:
    found = Interpreters(environ).available()
    names = ", ".join(item.version for item in found)
    if len(found) > 1:
        yield Finding("python versions", Standing.OK, names)
    else:
        cost = "models that name another python_version cannot run here"
        yield Finding(
            "python versions", Standing.GAP, names or "none", cost, "install more versions, for example with pyenv or uv"
        )


def _check_uv(environ: Mapping[str, str], folder: Path) -> Iterator[Finding]:
    try:
        binary = find_uv(environ)
        version = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_SECONDS, check=True
        )
    except (UvMissing, OSError, subprocess.SubprocessError) as error:
        yield Finding("uv", Standing.ERROR, str(error), "no model environment can be built", "pip install uv")
        return
    yield Finding("uv", Standing.OK, f"{version.stdout.strip()} ({binary})")
    cache = cache_dir(environ, data_dir=folder)
    yield Finding("uv cache", Standing.OK, f"{cache} (files are linked from there, not copied)")


def _check_sandbox(environ: Mapping[str, str]) -> Iterator[Finding]:
    bubblewrap = find_bubblewrap(environ)
    if bubblewrap is not None:
        how = "with a user of its own" if bubblewrap.setpriv else "in a user namespace"
        yield Finding("sandbox", Standing.OK, f"bubblewrap works, {how}")
        return
    installed = shutil.which("bwrap", path=environ.get("PATH"))
    advice = "allow user namespaces for bubblewrap on this machine" if installed else "install the package bubblewrap"
    what = "bubblewrap is installed but does not work" if installed else "bubblewrap is not installed"
    for gap in find_process_sandbox(environ).gaps:
        yield Finding("sandbox", Standing.GAP, what, gap, advice)


def _check_control_groups() -> Iterator[Finding]:
    groups = find_control_groups()
    if groups.bases:
        version = 2 if groups.is_version_2 else 1
        yield Finding("control groups", Standing.OK, f"version {version}, writable at {groups.bases[0]}")
        return
    cost = "memory is limited for each process instead of each instance, and running out of it shows as an allocation error"
    advice = "run the server as root or in a group of its own: systemd-run --user --scope -p Delegate=yes replicate-server serve"
    yield Finding("control groups", Standing.GAP, "not writable for this user", cost, advice)


def _check_gpus(environ: Mapping[str, str]) -> Iterator[Finding]:
    gpus = find_gpus(environ)
    if gpus:
        yield Finding("gpus", Standing.OK, ", ".join(f"{gpu.index}: {gpu.name}" for gpu in gpus))
    else:
        advice = "install the NVIDIA driver with nvidia-smi, if the machine has such a GPU"
        yield Finding("gpus", Standing.GAP, "none found", "models that need a GPU cannot run here", advice)


def _check_disk(folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    what = f"{format_bytes(free)} free at {folder}"
    if free < _DISK_FREE_BYTES_WANTED:
        cost = "environments and files may not fit"
        yield Finding("disk space", Standing.GAP, what, cost, f"free at least {format_bytes(_DISK_FREE_BYTES_WANTED)}")
    else:
        yield Finding("disk space", Standing.OK, what)
    try:
        seconds = measure_fsync_seconds(folder)
    except OSError as error:
        yield Finding(
            "disk writes", Standing.ERROR, f"{folder}: {error.strerror}", "nothing can be stored", "choose another --data-dir"
        )
        return
    what = f"{seconds * 1000:.1f} ms to put a write on disk"
    if seconds > _FSYNC_SECONDS_WANTED:
        cost = "each prediction waits for the disk, more so one at a time"
        yield Finding("disk writes", Standing.GAP, what, cost, "put the data folder on a faster disk")
    else:
        yield Finding("disk writes", Standing.OK, what)


def measure_fsync_seconds(folder: Path) -> float:
    """The median time of a small write that is forced to disk."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_FSYNC_TRIES):
            file.write(b"0" * 4096)
            started = time.perf_counter()
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - started)
    return sorted(times)[_FSYNC_TRIES // 2]


def _check_memory() -> Iterator[Finding]:
    memory = available_memory_bytes()
    if memory < _MEMORY_BYTES_WANTED:
        yield Finding("memory", Standing.GAP, format_bytes(memory), "few models fit", "use a machine with more memory")
    else:
        yield Finding("memory", Standing.OK, format_bytes(memory))


def _check_port(host: str, port: int) -> Iterator[Finding]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as trying:
        trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trying.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE and _answers(host, port):
                yield Finding("port", Standing.OK, f"{host}:{port} is taken by a server of this kind, which answers")
                return
            advice = "choose another port with --port or REPLICATE_SERVER_PORT" + (
                " above 1023" if 0 < port <= _LAST_PRIVILEGED_PORT else ""
            )
            yield Finding("port", Standing.ERROR, f"{host}:{port}: {error.strerror}", "the server cannot listen there", advice)
            return
    yield Finding("port", Standing.OK, f"{host}:{port} is free" if port else f"{host}: any free port")


def _answers(host: str, port: int) -> bool:
    """Whether one of our servers is what has taken a port."""
    address = f"http://[{host}]:{port}/healthz" if ":" in host else f"http://{host}:{port}/healthz"
    try:
        # A proxy of the environment knows nothing of this machine's own addresses.
        answer = httpx.get(address, timeout=_ANSWER_TIMEOUT_SECONDS, trust_env=False)
        return bool(answer.json() == {"status": "ok"})
    except (httpx.HTTPError, ValueError):
        return False
