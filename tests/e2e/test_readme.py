"""The README's tour, command by command, as a newcomer runs it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import LiveServer

README = (Path(__file__).parent.parent.parent / "README.md").read_text()
TOUR = re.findall(r"<!-- tour.*?-->\n```(\w+)\n(.*?)```", README, re.DOTALL)


def run_block(language: str, block: str, server: LiveServer, folder: Path) -> str:
    """Run one block with this server's port and token in place of the README's; returns what it printed."""
    text = block.replace(":8000", f":{server.port}").replace("data/token", str(server.data_dir / "token"))
    text = text.replace("$PWD/.venv/bin", str(Path(sys.executable).parent))
    interpreters = {"sh": ["bash", "-euo", "pipefail", "-c", text], "python": [sys.executable, "-c", text]}
    environment = {
        name: value for name, value in server.environment.items() if language == "python" or not name.startswith("REPLICATE_")
    }
    completed = subprocess.run(
        interpreters[language], env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


def test_the_tour_has_its_three_blocks() -> None:
    assert [language for language, _ in TOUR] == ["sh", "python", "sh"]


def test_the_command_line_tour_runs(quickstarted: LiveServer, tmp_path: Path) -> None:
    printed = run_block(*TOUR[0], quickstarted, tmp_path)
    assert "local" in printed
    assert "starter/story" in printed
    assert [path.suffix for path in tmp_path.glob("*.wav")] == [".wav"]


def test_the_python_tour_runs(quickstarted: LiveServer, tmp_path: Path) -> None:
    assert run_block(*TOUR[1], quickstarted, tmp_path).endswith("True\n")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_tour_runs(quickstarted: LiveServer, tmp_path: Path) -> None:
    assert '"status":"succeeded"' in run_block(*TOUR[2], quickstarted, tmp_path)
