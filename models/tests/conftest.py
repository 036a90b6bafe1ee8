"""Runs the starter models as the platform does: each lock in an environment of its own, each model in a real worker.

Environments are kept in ``.cache/models`` by the digest of their lock, so that only the first run downloads anything.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from cog.worker import protocol

REPOSITORY = Path(__file__).resolve().parents[2]
STARTER = REPOSITORY / "models" / "starter"
ANSWER_SECONDS_MAX = 120.0

OpenModel = Callable[[str], "RunningModel"]


@dataclass
class Outcome:
    """What one prediction came to."""

    status: str
    output: Any = None
    chunks: list[Any] = field(default_factory=list)
    file: Path = Path()
    error: str | None = None
    logs: str = ""


class RunningModel:
    """One worker process with one starter model, after its ``setup()``."""

    def __init__(self, name: str, scratch: Path) -> None:
        self.folder = STARTER / name
        self.python = environment_of(self.folder)
        self.scratch = scratch
        here, there = socket.socketpair()
        here.settimeout(ANSWER_SECONDS_MAX)
        with there:
            self._process = subprocess.Popen(
                [self.python, "-m", "cog.worker", "--fd", str(there.fileno())],
                pass_fds=[there.fileno()],
                cwd=scratch,
                env={"PYTHONPATH": str(REPOSITORY / "packages" / "cog" / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
            )
        self._socket, self._lines = here, here.makefile("rb")
        self._send(protocol.Setup(runner="predict.py:Predictor", source_dir=str(self.folder), scratch_dir=str(scratch)))
        ready = self._read_until(protocol.Ready, protocol.SetupFailed)[-1]
        assert isinstance(ready, protocol.Ready), ready
        self.setup_seconds: float = ready.setup_seconds

    def predict(self, **values: Any) -> Outcome:
        """Run one prediction to its end."""
        self._send(protocol.Predict(id=uuid.uuid4().hex, input=values))
        messages = self._read_until(protocol.Done)
        done = cast(protocol.Done, messages[-1])
        return Outcome(
            status=done.status,
            output=done.output,
            chunks=[message.value for message in messages if isinstance(message, protocol.Output)],
            file=self.scratch.joinpath(*(item.path for item in done.files)),
            error=done.error,
            logs="".join(message.text for message in messages if isinstance(message, protocol.Log)),
        )

    def example(self) -> dict[str, Any]:
        """The input of ``example.json``, with ``@`` values as paths."""
        values = json.loads((self.folder / "example.json").read_text())["input"]
        return {name: self._local(value) for name, value in values.items()}

    def evaluate(self, code: str, *arguments: str | Path) -> Any:
        """Run code in the model's environment and folder; it prints JSON."""
        command = [self.python, "-B", "-c", code, *arguments]
        return json.loads(subprocess.run(command, cwd=self.folder, check=True, capture_output=True).stdout)

    def close(self) -> None:
        """Let the worker end by itself, and wait for it."""
        self._send(protocol.Shutdown())
        self._process.wait(ANSWER_SECONDS_MAX)
        self._lines.close()
        self._socket.close()

    def _local(self, value: Any) -> Any:
        return str(self.folder / value[1:]) if isinstance(value, str) and value.startswith("@") else value

    def _send(self, message: protocol.ServerMessage) -> None:
        self._socket.sendall(protocol.encode(message))

    def _read_until(self, *kinds: type[Any]) -> list[protocol.Message]:
        messages: list[protocol.Message] = []
        while not messages or not isinstance(messages[-1], kinds):
            messages.append(protocol.decode(self._lines.readline()))
        return messages


def find_uv() -> str:
    """The uv on PATH, or the one set-up put beside this interpreter."""
    return shutil.which("uv") or str(Path(sys.executable).with_name("uv"))


def environment_of(folder: Path) -> Path:
    """The interpreter of the model's environment, made when it is not there yet."""
    lock = folder / "requirements.txt"
    digest = hashlib.sha256(f"{sys.version_info[:3]}".encode() + lock.read_bytes()).hexdigest()[:20]
    environment = REPOSITORY / ".cache" / "models" / digest
    if not environment.exists():
        # Made under another name first: a run that was interrupted leaves nothing that looks complete.
        building = environment.with_name(f"{digest}.{uuid.uuid4().hex}")
        python = building / "bin" / "python"
        subprocess.run([find_uv(), "venv", "--quiet", "--python", sys.executable, building], check=True)
        subprocess.run([find_uv(), "pip", "sync", "--quiet", "--require-hashes", "--python", python, lock], check=True)
        try:
            building.rename(environment)
        except OSError:  # another test process was faster
            shutil.rmtree(building)
    return environment / "bin" / "python"


@pytest.fixture(scope="session")
def open_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenModel]:
    """Start a model by its name, once a session."""
    running: dict[str, RunningModel] = {}

    def start(name: str) -> RunningModel:
        if name not in running:
            running[name] = RunningModel(name, tmp_path_factory.mktemp(name))
        return running[name]

    yield start
    for model in running.values():
        model.close()
