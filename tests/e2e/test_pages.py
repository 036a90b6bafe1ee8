"""The marked blocks of the pages, run as a reader runs them, against the platform that quickstart started.

A block counts when ``<!-- tour -->`` stands above it. Options: ``file=PATH`` saves it instead, ``prints=TEXT`` is what must come
out, ``fails`` expects a status other than 0, ``python=official`` takes the official client's interpreter, ``own-server`` gives it
another port than the running server's. The blocks of a page share a folder and, as in one terminal, what they export.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.live import LiveServer, free_port
from tests.official_client import official_python

ROOT = Path(__file__).parent.parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "packages" / "replicate-server" / "README.md",
    *sorted((ROOT / "docs" / "tutorial").glob("*.md")),
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
]
BLOCK = re.compile(r"^<!-- tour(?P<options>.*?)-->\n+```(?P<language>\w+)\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)
BLOCK_SECONDS_MAX = 120


@dataclass(frozen=True)
class Block:
    """One marked block of a page."""

    language: str
    text: str
    options: dict[str, str]


def read_blocks(page: Path) -> list[Block]:
    """The marked blocks of a page, in order."""
    return [
        Block(found["language"], found["text"], dict(word.partition("=")[::2] for word in shlex.split(found["options"])))
        for found in BLOCK.finditer(page.read_text(encoding="utf-8"))
    ]


@dataclass
class Reader:
    """Somebody who follows a page in one terminal, in a folder that looks like the checkout."""

    server: LiveServer
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    other_port: int = field(default_factory=free_port)
    own_port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        given = {name: value for name, value in self.server.environment.items() if not name.startswith("REPLICATE_")}
        binaries = Path(sys.executable).parent
        self.environment = {**given, "PATH": f"{binaries}:{given['PATH']}"}
        for name, target in {"data": self.server.data_dir, ".venv": binaries.parent, "models": ROOT / "models"}.items():
            (self.folder / name).symlink_to(target)

    def follow(self, block: Block) -> None:
        """Save or run a block, and compare what came out."""
        port = self.own_port if "own-server" in block.options else self.server.port
        text = re.sub(r"\b8000\b", str(port), block.text)
        text = re.sub(r"\b9000\b", str(self.other_port), text)
        if "file" in block.options:
            path = self.folder / block.options["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        completed = self.run(block, text)
        assert (completed.returncode != 0) == ("fails" in block.options), completed.stdout
        assert block.options.get("prints", "") in completed.stdout

    def run(self, block: Block, text: str) -> subprocess.CompletedProcess[str]:
        """Run a block in its language; what a shell exports stays for the next one."""
        exported = self.folder / ".exported"
        python = official_python() if block.options.get("python") == "official" else sys.executable
        commands = {
            "sh": ["bash", "-euo", "pipefail", "-c", f"{text}\nenv -0 > {exported}"],
            "python": [python, "-W", "ignore", "-c", text],
        }
        completed = subprocess.run(
            commands[block.language], env=self.environment, cwd=self.folder, check=False, timeout=BLOCK_SECONDS_MAX,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        if exported.exists():
            self.environment = dict(entry.partition("=")[::2] for entry in exported.read_text().split("\0") if entry)
            exported.unlink()
        return completed


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_a_page_does_what_it_says(page: Path, quickstarted: LiveServer, tmp_path: Path) -> None:
    blocks = read_blocks(page)
    assert blocks, "nothing of this page is run"
    reader = Reader(quickstarted, tmp_path)
    for block in blocks:
        reader.follow(block)
