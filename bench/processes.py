"""Starting and ending what is measured: the platform on a data folder of its own, and the peer in an environment of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "r8_" + "b" * 37
START_SECONDS_MAX = 120
LIMITS = ("PREDICTION_CREATES_PER_MINUTE", "PREDICTION_READS_PER_MINUTE", "OTHER_REQUESTS_PER_MINUTE")
"""Raised out of reach, because the bench asks for more than any account may; every request is counted all the same."""
LIMIT = "1000000000"


@dataclass(frozen=True)
class Platform:
    """A running server."""

    base_url: str
    process_id: int
    data_dir: Path

    @property
    def headers(self) -> dict[str, str]:
        """What every request needs."""
        return {"Authorization": f"Bearer {TOKEN}"}

    def publish(self, folder: Path, name: str) -> str:
        """Publish a model folder and return the version id."""
        completed = subprocess.run(
            [program("replicate-server"), "publish", str(folder), name],
            env={**os.environ, "REPLICATE_BASE_URL": self.base_url, "REPLICATE_API_TOKEN": TOKEN},
            capture_output=True,
            text=True,
            check=False,
        )
        if completed.returncode:
            raise RuntimeError(f"publishing {name} failed: {completed.stderr}")
        return completed.stdout.split()[-1]

    def memory_bytes(self) -> int:
        """Resident memory of the server process."""
        for line in Path(f"/proc/{self.process_id}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no VmRSS")


def program(name: str) -> str:
    """A program of the environment that runs this bench."""
    return str(Path(sys.executable).parent / name)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_answering(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return when the URL answers at all.

    Raises:
        RuntimeError: If the process ended or did not answer in time.
    """
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
        else:
            return
    raise RuntimeError(f"{url} did not answer within {START_SECONDS_MAX} s")


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to stop, then make it."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def platform(data_dir: Path, **settings: str) -> Iterator[Platform]:
    """A server on a free port of loopback, ended afterwards."""
    port = free_port()
    environment = {**os.environ, "REPLICATE_SERVER_BOOTSTRAP_TOKEN": TOKEN}
    environment.update({f"REPLICATE_SERVER_{name}": LIMIT for name in LIMITS})
    environment.update({f"REPLICATE_SERVER_{name.upper()}": value for name, value in settings.items()})
    log = (data_dir.parent / f"{data_dir.name}.log").open("ab")
    process = subprocess.Popen(
        [program("replicate-server"), "serve", "--port", str(port), "--data-dir", str(data_dir)],
        env=environment, stdout=log, stderr=log,
    )  # fmt: skip
    try:
        wait_until_answering(f"http://127.0.0.1:{port}/healthz", process)
        yield Platform(f"http://127.0.0.1:{port}", process.pid, data_dir)
    finally:
        end(process)
        log.close()


def peer_python() -> str:
    """The interpreter of LitServe's own environment, made on first use."""
    environment = ROOT / ".cache" / "bench-litserve"
    python = environment / "bin" / "python"
    marker = environment / "complete"
    if not marker.exists():
        uv = program("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)], check=True)
        requirements = ROOT / "bench" / "requirements-litserve.txt"
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", str(requirements)], check=True
        )
        marker.touch()
    return str(python)


@contextlib.contextmanager
def litserve() -> Iterator[str]:
    """LitServe with a no-op model; yields the URL that takes predictions."""
    port = free_port()
    process = subprocess.Popen(
        [peer_python(), str(ROOT / "bench" / "litserve_app.py"), str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        wait_until_answering(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}/predict"
    finally:
        # LitServe's workers are children of their own: the session we started ends with them.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
