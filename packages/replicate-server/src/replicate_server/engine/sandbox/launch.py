"""The values between an instance and its sandbox, and what every sandbox shows of the system. Only looks, changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from replicate_server.engine.interpreters import Interpreter

NOBODY = 65534
"""User and group of model code when the server runs as root."""

SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# What programs need to resolve names, check certificates and find libraries; nothing with secrets in it.
SYSTEM_FILES = tuple(
    f"/etc/{name}"
    for name in (
        "alternatives", "ca-certificates", "fonts", "gai.conf", "host.conf", "hosts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d",
        "localtime", "magic", "mime.types", "nsswitch.conf", "pki", "protocols", "resolv.conf", "services", "ssl", "timezone",
    )
)  # fmt: skip

_VARIABLE_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
# Ours to decide: they tie the worker to its environment and its devices.
_RESERVED_VARIABLES = frozenset(
    {"PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CUDA_VISIBLE_DEVICES", "REPLICATE_INSTANCE_ID", "HOME", "TMPDIR"}
)
# Where certificates are, for sites with their own; the paths lie below /etc/ssl or are not visible.
_INHERITED_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "TZ")


@dataclass(frozen=True, slots=True)
class Launch:
    """One worker process to be started, in host terms."""

    instance_id: str
    interpreter: Interpreter
    environment_dir: Path
    runtime_dir: Path
    source_dir: Path
    folder: Path
    """The instance's own folder; its ``work``, ``tmp`` and ``src`` are the model's to write."""
    socket_fd: int
    variables: Mapping[str, str]
    """From the author's cog.yaml."""
    device_nodes: tuple[str, ...]
    visible_devices: str
    """``CUDA_VISIBLE_DEVICES``: "" hides every GPU."""
    allows_network: bool
    memory_bytes: int | None
    """To be enforced by the sandbox; None when a control group does it."""
    processes_max: int | None
    """To be enforced by the sandbox; None when a control group does it."""

    @property
    def own_source_dir(self) -> Path:
        """The instance's copy of ``source_dir``."""
        return self.folder / "src"

    @property
    def python(self) -> str:
        """The environment's interpreter."""
        return str(self.environment_dir / "bin" / "python")

    @property
    def worker_command(self) -> list[str]:
        """What runs inside."""
        return [self.python, "-m", "cog.worker", "--fd", str(self.socket_fd)]

    @property
    def author_variables(self) -> dict[str, str]:
        """The author's variables that may be set.

        They are set last, when no privileged program can be led astray by ``LD_PRELOAD``.
        """
        return {
            name: value
            for name, value in self.variables.items()
            if _VARIABLE_NAME.match(name) and name not in _RESERVED_VARIABLES and "\0" not in value
        }


@dataclass(frozen=True, slots=True)
class Installation:
    """A program that fills an environment and runs its packages' build code on the way, in host terms."""

    argv: tuple[str, ...]
    """The first is a program on the host; it is shown to the sandbox alone."""
    variables: Mapping[str, str]
    """Its whole environment, but for the folders for temporary files."""
    interpreter: Interpreter
    read_only: tuple[str, ...]
    """What else it may read: local package indexes."""
    writable: tuple[Path, ...]
    """Folders that it may change, at their own paths."""
    temporary_dir: Path
    """Becomes its ``/tmp``."""
    allows_network: bool


@dataclass(frozen=True, slots=True)
class SandboxedCommand:
    """A command line, its environment, and where the model finds its folders."""

    argv: list[str]
    variables: dict[str, str]
    source_dir: str
    """The instance's own copy of the version's files."""
    shared_source_dir: str
    """The version's files themselves, to which large files of the copy are links."""
    work_dir: str
    owner: int | None
    """The host user that model code runs as; None when it is the server's own."""


class Sandbox(Protocol):
    """Builds command lines that isolate."""

    @property
    def name(self) -> str:
        """``bubblewrap`` or ``process``."""
        ...

    @property
    def has_init(self) -> bool:
        """Whether a first process stands between us and the worker: killing it ends all, and it reports signals as 128 + n."""
        ...

    @property
    def gaps(self) -> tuple[str, ...]:
        """What it cannot do on this machine, in sentences for an operator."""
        ...

    def build_command(self, launch: Launch) -> SandboxedCommand:
        """Turn a launch into a command line."""
        ...


def select_inherited(environ: Mapping[str, str], passed: Iterable[str] = ()) -> dict[str, str]:
    """The part of the server's environment that models may have: where certificates are, and what the operator named."""
    return {name: environ[name] for name in (*_INHERITED_VARIABLES, *passed) if name in environ}


def build_variables(launch: Launch, *, temporary_dir: str, runtime_dir: str, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker before the author's own variables. ``inherited`` is what `select_inherited` gave."""
    variables = dict(inherited)
    variables.update(
        PATH=f"{launch.environment_dir}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        VIRTUAL_ENV=str(launch.environment_dir),
        PYTHONPATH=runtime_dir,
        PYTHONUNBUFFERED="1",
        PYTHONNOUSERSITE="1",
        LANG="C.UTF-8",
        USER="nobody",
        LOGNAME="nobody",
        HOME=temporary_dir,
        TMPDIR=temporary_dir,
        CUDA_VISIBLE_DEVICES=launch.visible_devices,
        REPLICATE_INSTANCE_ID=launch.instance_id,
    )
    return variables


def find_existing(paths: tuple[str, ...]) -> list[str]:
    """Those of the paths that this machine has."""
    return [path for path in paths if Path(path).exists()]
