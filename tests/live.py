"""A real server for tests: its own process, its own data folder, a free port of loopback. Owns starting, killing and publishing.

It waits for the line that the server prints when it is ready, never for time.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import httpx

TOKEN = "r8_" + "t" * 37
MODELS = Path(__file__).parent / "models"
READY_SECONDS_MAX = 60
LIMITS = ("PREDICTION_CREATES_PER_MINUTE", "PREDICTION_READS_PER_MINUTE", "OTHER_REQUESTS_PER_MINUTE")
"""Lifted unless a test sets them: load and crash tests ask for more than any account may."""


def program(name: str) -> str:
    """A program of the environment that runs the tests."""
    return str(Path(sys.executable).parent / name)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class LiveServer:
    """One server on one data folder; may be killed and started again on the same port."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    token: str = TOKEN
    process: subprocess.Popen[str] | None = None
    output: list[str] = field(default_factory=list)
    drainer: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def data_dir(self) -> Path:
        """Its data folder."""
        return self.folder / "data"

    @property
    def environment(self) -> dict[str, str]:
        """What a client program needs: the address, the token, and a home of its own."""
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("REPLICATE_")}
        return {
            **inherited,
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "REPLICATE_BASE_URL": self.base_url,
            "REPLICATE_API_TOKEN": self.token,
        }

    def start(self) -> None:
        """Start the server and return when it says that it listens."""
        lifted = {f"REPLICATE_SERVER_{name}": "0" for name in LIMITS}
        settings = {f"REPLICATE_SERVER_{name.upper()}": value for name, value in self.settings.items()}
        self.process = subprocess.Popen(
            [program("replicate-server"), "serve", "--port", str(self.port), "--data-dir", str(self.data_dir)],
            env={**self.environment, "REPLICATE_SERVER_BOOTSTRAP_TOKEN": self.token, **lifted, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines: queue.Queue[str | None] = queue.Queue()
        self.drainer = threading.Thread(target=self._drain, args=(self.process, lines), daemon=True)
        self.drainer.start()
        while (line := lines.get(timeout=READY_SECONDS_MAX)) is not None:
            if "Listening on" in line:
                return
        raise RuntimeError("the server ended before it listened:\n" + "".join(self.output))

    def _drain(self, process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.output.append(line)
                lines.put(line)
        lines.put(None)

    def _join(self) -> None:
        assert self.drainer is not None
        self.drainer.join()

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self._join()

    def stop(self) -> int:
        """Ask it to end and return its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self._join()
        return status

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run ``replicate-server`` or another program of the environment as its user would."""
        completed = subprocess.run(
            [program(arguments[0]), *arguments[1:]],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if check and completed.returncode:
            raise RuntimeError(f"{' '.join(arguments)} failed with {completed.returncode}:\n{completed.stdout}{completed.stderr}")
        return completed

    def publish(self, folder: str | Path, name: str, *, token: str | None = None) -> str:
        """Publish a folder (a name means one of tests/models) and return the version id."""
        completed = subprocess.run(
            [program("replicate-server"), "publish", str(MODELS / folder), name],
            env={**self.environment, "REPLICATE_API_TOKEN": token or self.token},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if completed.returncode:
            raise RuntimeError(f"publishing {name} failed:\n{completed.stdout}{completed.stderr}")
        return completed.stdout.split()[-1]

    def client(self) -> httpx.Client:
        """An HTTP client with the token; the caller closes it."""
        headers = {"Authorization": f"Bearer {self.token}"}
        # No certificate is ever looked at on loopback, and reading them all takes longer than starting an instance.
        return httpx.Client(base_url=self.base_url, headers=headers, timeout=90, verify=False, trust_env=False)
