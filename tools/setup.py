"""Set up the checkout: a virtual environment in .venv with everything pinned and hash-checked.

Needs nothing but CPython 3.11 or newer. Installs uv into .venv when the machine has none on its PATH. Run it as
``python3 tools/setup.py [--dev]``; it does nothing when the environment already matches the lock files.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PACKAGES = ("packages/cog", "packages/replicate", "packages/replicate-server")
PYTHON_MIN = (3, 11)


def fail(message: str) -> None:
    """Print one clear line and stop."""
    sys.exit(f"setup: {message}")


def say(message: str) -> None:
    """Show progress on standard error."""
    print(f"setup: {message}", file=sys.stderr, flush=True)


def run(*command: str | Path) -> None:
    """Run one command; stop with its own words when it fails."""
    completed = subprocess.run([str(part) for part in command], cwd=ROOT, check=False)
    if completed.returncode:
        fail(f"`{' '.join(Path(str(command[0])).name if i == 0 else str(part) for i, part in enumerate(command))}` failed")


def lock_files(*, dev: bool) -> list[Path]:
    """The lock files an environment is made from."""
    return [ROOT / "requirements.txt", *([ROOT / "requirements-dev.txt"] if dev else [])]


def fingerprint(*, dev: bool) -> str:
    """A digest of everything the environment depends on."""
    digest = hashlib.sha256(f"{sys.version_info[:3]} {ROOT}".encode())
    for path in [*lock_files(dev=dev), *(ROOT / package / "pyproject.toml" for package in PACKAGES)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_current(stamp: Path, *, dev: bool) -> bool:
    """Whether the environment was made from the present lock files; one made for development serves every purpose."""
    if not stamp.exists():
        return False
    recorded = stamp.read_text().split()
    return fingerprint(dev=True) in recorded or (not dev and fingerprint(dev=False) in recorded)


def find_uv() -> Path:
    """Where uv is: on PATH, or in .venv, installed there from requirements-uv.txt when missing."""
    found = shutil.which("uv")
    if found:
        return Path(found)
    inside = ENVIRONMENT / "bin" / "uv"
    if not inside.exists():
        say("installing uv into .venv")
        run(ENVIRONMENT / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--require-hashes", "-r", ROOT / "requirements-uv.txt")  # fmt: skip
    return inside


def main() -> None:
    """Make .venv match the lock files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="install what tests and linters need too")
    dev: bool = parser.parse_args().dev
    if sys.version_info < PYTHON_MIN:
        wanted = ".".join(map(str, PYTHON_MIN))
        fail(f"Python {wanted} or newer is needed, this is {sys.version.split()[0]}: try PYTHON=python3.12 make …")
    stamp = ENVIRONMENT / "setup-stamp"
    if is_current(stamp, dev=dev):
        return
    if not (ENVIRONMENT / "bin" / "python").exists():
        say(f"creating .venv with Python {sys.version.split()[0]}")
        try:
            venv.create(ENVIRONMENT, with_pip=True)
        except (OSError, subprocess.CalledProcessError):
            shutil.rmtree(ENVIRONMENT, ignore_errors=True)
            fail("this Python cannot make virtual environments; on Debian: apt-get install python3-venv")
    uv = find_uv()
    count = sum(path.read_text().count("==") for path in lock_files(dev=dev))
    say(f"installing {count} locked packages; the first time they are downloaded")
    os.environ.pop("VIRTUAL_ENV", None)
    python = ENVIRONMENT / "bin" / "python"
    run(uv, "pip", "install", "--quiet", "--python", python, "--compile-bytecode", "--require-hashes",
        *(part for path in lock_files(dev=dev) for part in ("-r", path)))  # fmt: skip
    run(uv, "pip", "install", "--quiet", "--python", python, "--no-deps", "--no-build-isolation",
        *(part for package in PACKAGES for part in ("-e", f"./{package}")))  # fmt: skip
    # Where PYTHONDONTWRITEBYTECODE is set nothing would ever be cached, and every start would cost a second more.
    run(python, "-m", "compileall", "-q", *(f"{package}/src" for package in PACKAGES))
    stamp.write_text(f"{fingerprint(dev=dev)}\n")
    say("done")


if __name__ == "__main__":
    main()
