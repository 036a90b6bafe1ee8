"""``make run ONCE=1`` as a newcomer meets it: a first start, a second one, and the ways in which it cannot start."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import run_quickstart
from tests.live import LiveServer, program

QUICKSTART_SECONDS_MAX = 400


def run_once(server: LiveServer) -> tuple[int, str]:
    """Run quickstart to its end; returns the exit status and what it printed."""
    process = run_quickstart(server, "--once")
    printed, _ = process.communicate(timeout=QUICKSTART_SECONDS_MAX)
    return process.returncode, printed


@pytest.mark.slow
def test_the_first_start_publishes_everything_and_the_second_one_nothing(tmp_path: Path) -> None:
    server = LiveServer(tmp_path)
    status, first = run_once(server)
    assert status == 0, first
    token = (server.data_dir / "token").read_text().strip()
    assert first.count(token) == 1
    assert first.count(": published as starter/") == 4
    assert "Milo" in first.partition("$ .venv/bin/replicate run starter/story")[2].partition("The platform runs at")[0]
    assert len(re.findall(r"^  \.venv/bin/replicate ", first, re.MULTILINE)) == 3

    status, second = run_once(server)
    assert status == 0, second
    assert token not in second
    assert "Publishing" not in second
    assert "Milo" in second


@pytest.mark.slow
def test_the_command_line_finds_the_server_that_quickstart_started(quickstarted: LiveServer) -> None:
    environment = {name: value for name, value in quickstarted.environment.items() if not name.startswith("REPLICATE_")}
    listed = subprocess.run(
        [program("replicate"), "models", "list"], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert {"story", "speak", "embed", "remove-background"} <= {model["name"] for model in json.loads(listed.stdout)}


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    server = LiveServer(tmp_path)
    with socket.create_server(("127.0.0.1", server.port)):
        status, printed = run_once(server)
    assert status == 1
    assert printed == f"replicate-server: Port {server.port} is taken; choose another one with --port (make run: PORT=).\n"
    assert not server.data_dir.exists()


def test_a_folder_in_use_is_one_clear_line(quickstarted: LiveServer) -> None:
    other = LiveServer(quickstarted.folder)
    status, printed = run_once(other)
    assert (status, printed.count("\n")) == (1, 1)
    assert "is in use by process" in printed


def test_an_interrupt_ends_it_quietly(tmp_path: Path) -> None:
    server = LiveServer(tmp_path)
    server.start()
    assert server.process is not None
    server.process.send_signal(signal.SIGINT)
    assert server.stop() == 0
    assert server.output[-1] == "Stopping: what runs is finished first. Stop again to drop it.\n"
