"""Everyday programs with the official JavaScript client, unmodified, against the live server."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Published
from tests.official_client import ENVIRONMENTS

HERE = Path(__file__).parent / "node"
FOLDER = ENVIRONMENTS / "node-replicate-1.4.0"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or shutil.which("npm") is None, reason="node and npm are not on this machine"
)

Run = Callable[[str], list[str]]


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The client's modules, installed on first use from its lock."""
    if not (FOLDER / "complete").exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, FOLDER / name)
        command = ["npm", "ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=FOLDER, check=True, timeout=300)
        (FOLDER / "complete").touch()
    return FOLDER / "node_modules"


@pytest.fixture
def node(node_modules: Path, published: Published) -> Run:
    """Runs a program and returns the lines it printed."""

    def run(program: str) -> list[str]:
        references = {"ECHO": published.reference("echo"), "ECHO_VERSION": published.versions["echo"]}
        completed = subprocess.run(
            ["node", str(HERE / f"{program}.cjs")],
            env={**published.server.environment, **references, "NODE_PATH": str(node_modules)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert completed.returncode == 0, completed.stderr
        return completed.stdout.splitlines()

    return run


def test_run_returns_outputs_and_throws_errors(node: Run) -> None:
    said = "you said: a cat"
    assert node("run") == [said, said, said, "Prediction failed: no such colour", "422"]


def test_a_stream_keeps_its_lines_and_ends_with_done(node: Run) -> None:
    events = [json.loads(line) for line in node("stream")]
    assert events == [
        ["output", "one\ntwo ", "one\ntwo ", True],
        ["output", "three ", "three ", True],
        ["done", "{}", "", True],
    ]


def test_records_are_created_listed_and_deleted(node: Run) -> None:
    described = f"5 bytes, sha256 {hashlib.sha256(b'hello').hexdigest()}"
    lines = ["local", "true true", "true", "canceled", "succeeded", "true", "greeting true", described]
    assert node("records") == lines


def test_the_signature_of_a_webhook_is_checked(node: Run) -> None:
    assert node("webhook") == ["true false succeeded"]
