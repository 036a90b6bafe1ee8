"""The platform as ``make run`` starts it: quickstart with the starter models, in a home of its own."""

from __future__ import annotations

import queue
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import LiveServer, program

ROOT = Path(__file__).parent.parent.parent
QUICKSTART_SECONDS_MAX = 400


def run_quickstart(server: LiveServer, *arguments: str) -> subprocess.Popen[str]:
    """Start quickstart on the server's port and data folder."""
    environment = {name: value for name, value in server.environment.items() if not name.startswith("REPLICATE_")}
    return subprocess.Popen(
        [
            program("replicate-server"), "quickstart", "--port", str(server.port), "--data-dir", str(server.data_dir),
            "--models-dir", str(ROOT / "models"), *arguments,
        ],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.fixture(scope="session")
def quickstarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A platform that quickstart started; yields when it has shown its first result."""
    server = LiveServer(tmp_path_factory.mktemp("quickstart"))
    process = run_quickstart(server)
    lines: queue.Queue[str | None] = queue.Queue()

    def drain() -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                server.output.append(line)
                lines.put(line)
        lines.put(None)

    drainer = threading.Thread(target=drain, daemon=True)
    drainer.start()
    try:
        while (line := lines.get(timeout=QUICKSTART_SECONDS_MAX)) is not None and "Try next" not in line:
            pass
        assert process.poll() is None, "".join(server.output)
        server.token = (server.data_dir / "token").read_text().strip()
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        drainer.join()
