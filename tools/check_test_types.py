"""Check the types of every test folder and of every starter model, each in a run of its own.

They are no packages (two may hold files of one name, such as conftest.py or predict.py), so one run over all of them would mix
them up. The libraries of models are not installed here, and what comes from them is not checked.
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


def model_folders() -> list[Path]:
    """The starter models: what their instances run, not the programs that trained them."""
    return sorted(path.parent for path in ROOT.glob("models/starter/*/predict.py"))


def check(folder: Path) -> str:
    """Run mypy on the files of one folder; returns its findings, "" when there are none."""
    files = [str(path.relative_to(ROOT)) for path in sorted(folder.glob("*.py"))]
    sources = [ROOT / "packages" / name / "src" for name in ("cog", "replicate", "replicate-server")]
    # A folder whose path is no module name (packages/replicate-server/…) is a root of its own; others are found from here.
    is_model = folder.is_relative_to(ROOT / "models" / "starter")
    own_root = [folder] if folder.is_relative_to(ROOT / "packages") or is_model else []
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--cache-dir", str(ROOT / ".mypy_cache" / "tests"), *files]
    if is_model:
        command.append("--ignore-missing-imports")
    environment = {**os.environ, "MYPYPATH": ":".join(map(str, [*sources, *own_root]))}
    completed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return completed.stdout + completed.stderr if completed.returncode else ""


def main() -> None:
    """Report every finding."""
    with ThreadPoolExecutor(2) as pool:
        findings = [found for found in pool.map(check, [*test_folders(), *model_folders()]) if found]
    sys.stdout.write("".join(findings))
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
