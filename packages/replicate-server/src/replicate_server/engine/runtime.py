"""The model runtime: a copy of the ``cog`` package for instances, apart from the server's own packages.

An instance sees this copy on its ``PYTHONPATH`` and nothing else of the server. The folder is named by the digest of its files,
so an upgraded server makes a new one and running instances keep theirs.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import cog

_COMPILE_TIMEOUT_SECONDS = 60.0


def _source_files(package: Path) -> list[Path]:
    """The files of the package that matter, in a fixed order."""
    return sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def install_runtime(runtime_dir: Path, *, package: Path | None = None) -> Path:
    """Copy the ``cog`` package below ``runtime_dir`` unless that very copy is there; safe when several servers do it at once.

    Returns:
        The folder to put on ``PYTHONPATH``.
    """
    package = package or Path(cog.__file__).parent
    digest = hashlib.sha256()
    for path in _source_files(package):
        digest.update(f"{path.relative_to(package)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    target = runtime_dir / digest.hexdigest()[:32]
    if not target.exists():
        runtime_dir.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=runtime_dir, prefix=".building-"))
        shutil.copytree(package, building / "cog", ignore=shutil.ignore_patterns("__pycache__"))
        building.chmod(0o755)
        try:
            building.rename(target)
        except OSError:  # Another server was faster: its copy is the same.
            shutil.rmtree(building)
    return target


def compile_runtime(runtime: Path, interpreter: str, minor_version: str) -> None:
    """Write bytecode for one interpreter version, once; instances see the folder read-only and could not.

    Blocks: call it off the loop. Bytecode only saves time, so a failure is not an error.
    """
    marker = runtime / f".compiled-{minor_version}"
    if marker.exists():
        return
    command = [interpreter, "-I", "-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command.append(str(runtime / "cog"))
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_COMPILE_TIMEOUT_SECONDS, env={}, umask=0o022)
    except (OSError, subprocess.SubprocessError):
        return
    os.close(os.open(marker, os.O_CREAT | os.O_WRONLY, 0o644))
