"""Installing requirements that have no wheel: whoever wrote them runs code to build them, so uv runs isolated as models do.

Owns a folder for each installation, in which uv keeps a cache of its own: a build that writes into the cache of all others
would choose what their environments hold. Decides nothing about environments.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from replicate_server.engine.cgroups import ControlGroups, Limits
from replicate_server.engine.interpreters import Interpreter
from replicate_server.engine.processes import enter_groups
from replicate_server.engine.sandbox import BubblewrapSandbox, Installation
from replicate_server.engine.sandbox.launch import NOBODY
from replicate_server.engine.uv import Confine

_PREFIX = ".building-"
# Where packages come from. Build code can read them: an index whose address carries a password should not be used with it.
_INDEX_VARIABLES = (
    "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX", "UV_INDEX_STRATEGY",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SourceBuilds:
    """Isolates uv."""

    sandbox: BubblewrapSandbox
    folder: Path
    """Where the temporary folders are made: beside the environments, on their disk."""
    allows_network: bool
    groups: ControlGroups
    limits: Limits

    @contextlib.contextmanager
    def confine(self, interpreter: Interpreter, *, writable: Path | None) -> Iterator[Confine]:
        """Give what isolates uv for one installation.

        Args:
            interpreter: The Python that builds run with.
            writable: The environment to be filled, or None. It belongs to the build's user until the end.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary_dir = Path(tempfile.mkdtemp(dir=self.folder, prefix=_PREFIX))
        # bubblewrap, a root without rights over the files of others, has to enter it too.
        temporary_dir.chmod(0o755)
        folders = [writable] if writable is not None else []
        group = self.groups.create(temporary_dir.name.removeprefix("."), self.limits)

        def confine(argv: list[str], variables: dict[str, str]) -> tuple[list[str], dict[str, str]]:
            command, selected = self.sandbox.build_installation(
                Installation(
                    argv=tuple(argv),
                    variables=select_index_variables(variables),
                    interpreter=interpreter,
                    read_only=local_indexes(variables),
                    writable=tuple(folders),
                    temporary_dir=temporary_dir,
                    allows_network=self.allows_network,
                )
            )
            return enter_groups(command, group.join_files if group is not None else ()), selected

        try:
            self._give([temporary_dir, *folders], NOBODY)
            yield confine
        finally:
            if group is not None:
                # Its processes ended with the sandbox's first one; what is not gone yet, the next start sweeps.
                group.kill()
                group.remove()
            self._give(folders, os.geteuid())
            shutil.rmtree(temporary_dir, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what a killed server left."""
        for left in self.folder.glob(f"{_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)

    def _give(self, folders: list[Path], owner: int) -> None:
        """Change the owner of everything below folders, following no link. In a user namespace files are the server's anyway."""
        if self.sandbox.setpriv is None:
            return
        for folder in folders:
            for _, names, files, descriptor in os.fwalk(folder):
                os.fchown(descriptor, owner, owner)
                for name in (*names, *files):
                    os.chown(name, owner, owner, dir_fd=descriptor, follow_symlinks=False)


def select_index_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """What uv needs of an environment to find packages, with a cache of its own and copies instead of links."""
    selected = {name: environ[name] for name in _INDEX_VARIABLES if name in environ}
    return {**selected, "UV_CACHE_DIR": "/tmp/uv-cache", "UV_LINK_MODE": "copy", "UV_PYTHON_DOWNLOADS": "never"}  # noqa: S108


def local_indexes(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Folders of this machine that the environment names as package indexes."""
    named = " ".join(environ.get(name, "") for name in _INDEX_VARIABLES if "INDEX" in name or "LINKS" in name)
    paths = []
    for word in named.replace(",", " ").split():
        # uv also takes NAME=ADDRESS.
        address = urlsplit(word.rpartition("=")[2])
        if address.scheme in ("", "file") and Path(path := unquote(address.path)).is_absolute() and Path(path).is_dir():
            paths.append(path)
    return tuple(dict.fromkeys(paths))
