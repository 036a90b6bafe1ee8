"""Check the types of every test folder, each in a run of its own.

Test folders are no packages (two may hold files of one name, such as conftest.py), so one run over all of them would mix them up.
Runs side by side; prints what mypy finds and fails when it found anything.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_folders() -> list[Path]:
    """Folders that hold test files, the shared live tests left out: those are one tree of their own."""
    roots = [*sorted(ROOT.glob("packages/*/tests")), ROOT / "models" / "tests"]
    return sorted({path.parent for root in roots for path in root.rglob("*.py") if "data" not in path.parts})


def check(folder: Path) -> str:
    """Run mypy on the files of one folder; returns its findings, "" when there are none."""
    files = [str(path.relative_to(ROOT)) for path in sorted(folder.glob("*.py"))]
    sources = [ROOT / "packages" / name / "src" for name in ("cog", "replicate", "replicate-server")]
    # A folder whose path is no module name (packages/replicate-server/…) is a root of its own; others are found from here.
    own_root = [folder] if folder.is_relative_to(ROOT / "packages") else []
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--cache-dir", str(ROOT / ".mypy_cache" / "tests"), *files]
    environment = {**os.environ, "MYPYPATH": ":".join(map(str, [*sources, *own_root]))}
    completed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return completed.stdout + completed.stderr if completed.returncode else ""


def main() -> None:
    """Report every finding."""
    with ThreadPoolExecutor(2) as pool:
        findings = [found for found in pool.map(check, test_folders()) if found]
    sys.stdout.write("".join(findings))
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
