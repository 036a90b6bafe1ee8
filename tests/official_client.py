"""The official 1.x SDK in an environment of its own, made from its lock on first use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.live import program

HERE = Path(__file__).parent
LOCK = HERE / "compat" / "requirements-replicate-1.txt"
ENVIRONMENTS = HERE.parent / ".cache" / "compat"
"""Where official clients are installed, each on first use."""
FOLDER = ENVIRONMENTS / "replicate-1.0.7"


def official_python() -> str:
    """The interpreter of that environment."""
    python = FOLDER / "bin" / "python"
    if not (FOLDER / "complete").exists():
        uv = program("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(FOLDER)], check=True)
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", str(LOCK)], check=True
        )
        (FOLDER / "complete").touch()
    return str(python)
