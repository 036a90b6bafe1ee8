"""Write the lock files: pins and hashes, no addresses. Run it after changing a dependency: ``make lock``."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("cog", "replicate", "replicate-server")
BUILD = ["hatchling>=1.27", "editables>=0.5"]
DEV = [
    "ruff", "mypy", "import-linter", "pytest", "pytest-timeout", "pytest-xdist", "hypothesis", "types-pyyaml",
]  # fmt: skip


def third_party() -> list[str]:
    """What the packages need from outside, extras included; our own packages left out."""
    found: set[str] = set()
    for package in PACKAGES:
        project = tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text())["project"]
        found.update(project["dependencies"])
        for extra in project.get("optional-dependencies", {}).values():
            found.update(extra)
    return sorted(line for line in found if re.split(r"[\[<>=;~! ]", line)[0] not in PACKAGES)


def compile_lock(requirements: list[str], target: str, *constraints: str) -> None:
    """Resolve to a file with hashes, for every supported platform and Python."""
    command = [
        "uv", "pip", "compile", "-", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-header",
        "--no-emit-index-url", "--no-annotate", "--output-file", target,
    ]  # fmt: skip
    for constraint in constraints:
        command += ["--constraint", constraint]
    subprocess.run(command, input="\n".join(requirements), text=True, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    compile_lock(["uv>=0.9"], "requirements-uv.txt")
    compile_lock([*third_party(), *BUILD], "requirements.txt", "requirements-uv.txt")
    compile_lock(DEV, "requirements-dev.txt", "requirements.txt")
    sys.stdout.write("requirements-uv.txt, requirements.txt and requirements-dev.txt are written\n")
