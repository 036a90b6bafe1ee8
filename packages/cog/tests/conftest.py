"""Real workers for tests: model folders written on the fly, and a blocking driver that speaks the instance protocol."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cog.worker.lines import LineSplitter
from cog.worker.protocol import Cancel, Done, Log, Message, Metric, Output, Predict, Ready, Setup, Shutdown, decode, encode

SOURCE = Path(__file__).resolve().parent.parent / "src"
PYTHON_VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
WAIT_SECONDS_MAX = 20.0
"""A test that waits longer has found a worker that hangs."""


def find_interpreter(version: str) -> str | None:
    """A CPython of that version: this one, one on PATH, or one of pyenv's."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates = [str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python"))]
    on_path = shutil.which(f"python{version}")
    for candidate in [*candidates, *([on_path] if on_path else [])]:
        # A version manager's shim is on PATH for versions that are not installed, too.
        answer = subprocess.run(
            [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True, check=False
        )
        if answer.stdout.strip() == version:
            return candidate
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for ``each_python`` runs on every interpreter that is there; the others are skipped with their name."""
    if "each_python" in metafunc.fixturenames:
        parameters = []
        for version in PYTHON_VERSIONS:
            found = find_interpreter(version)
            marks = [] if found else [pytest.mark.skip(reason=f"no CPython {version} on PATH or under pyenv")]
            parameters.append(pytest.param(found, id=version, marks=marks))
        metafunc.parametrize("each_python", parameters)


@dataclass
class Ending:
    """Everything a worker said of one prediction, in order."""

    messages: list[Message] = field(default_factory=list)

    @property
    def done(self) -> Done:
        """The last message."""
        last = self.messages[-1]
        assert isinstance(last, Done)
        return last

    def text(self, source: str = "stdout") -> str:
        """Its log."""
        return "".join(item.text for item in self.messages if isinstance(item, Log) and item.source == source)

    @property
    def outputs(self) -> list[Any]:
        """Its yielded values."""
        return [item.value for item in self.messages if isinstance(item, Output)]

    @property
    def metrics(self) -> list[tuple[str, Any, str]]:
        """Its metrics."""
        return [(item.name, item.value, item.mode) for item in self.messages if isinstance(item, Metric)]


class WorkerDriver:
    """One worker process and the server's end of its socket."""

    def __init__(self, python: str, folder: Path, scratch_dir: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.scratch_dir = scratch_dir
        ours, theirs = socket.socketpair()
        self._socket = ours
        self._socket.settimeout(WAIT_SECONDS_MAX)
        self._splitter = LineSplitter()
        self._received: list[Message] = []
        with theirs:
            self.process = subprocess.Popen(
                [python, "-m", "cog.worker", "--fd", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1", **environment},
            )

    def send(self, *messages: Message) -> None:
        """Send messages in one piece."""
        self.send_raw(b"".join(encode(message) for message in messages))

    def send_raw(self, data: bytes) -> None:
        """Send bytes."""
        self._socket.sendall(data)

    def receive(self) -> Message:
        """The next message."""
        while not self._received:
            chunk = self._socket.recv(1 << 16)
            if not chunk:
                raise EOFError("the worker closed the connection")
            self._received += [decode(line) for line in self._splitter.feed(chunk)]
        return self._received.pop(0)

    def receive_until(self, is_last: Callable[[Message], bool]) -> list[Message]:
        """Messages up to the one that matters."""
        messages = [self.receive()]
        while not is_last(messages[-1]):
            messages.append(self.receive())
        return messages

    def set_up(self, runner: str = "predict.py:Predictor", **more: Any) -> list[Message]:
        """Send set-up; everything up to `Ready` or `SetupFailed`."""
        self.send(Setup(runner=runner, source_dir=str(self.folder), scratch_dir=str(self.scratch_dir), **more))
        return self.receive_until(lambda message: not isinstance(message, Log))

    def start(self, prediction_id: str = "p", context: dict[str, str] | None = None, **values: Any) -> None:
        """Start a prediction."""
        self.send(Predict(id=prediction_id, input=values, context=context or {}))

    def finish(self, prediction_id: str = "p") -> Ending:
        """Wait for a prediction's end. Messages of others in between are dropped."""
        messages = self.receive_until(lambda message: isinstance(message, Done) and message.id == prediction_id)
        return Ending([message for message in messages if getattr(message, "id", None) == prediction_id])

    def predict(self, prediction_id: str = "p", **values: Any) -> Ending:
        """Run a prediction to its end."""
        self.start(prediction_id, **values)
        return self.finish(prediction_id)

    def wait_for_log(self, text: str) -> None:
        """Wait until the model has printed a line."""
        self.receive_until(lambda message: isinstance(message, Log) and text in message.text)

    def cancel(self, prediction_id: str = "p") -> Ending:
        """Cancel a prediction and wait for its end."""
        self.send(Cancel(id=prediction_id))
        return self.finish(prediction_id)

    def hang_up(self) -> int:
        """Close the connection; the exit status."""
        self._socket.close()
        return self.process.wait(WAIT_SECONDS_MAX)

    def shut_down(self) -> int:
        """Ask the worker to leave; the exit status."""
        self.send(Shutdown())
        return self.process.wait(WAIT_SECONDS_MAX)

    def close(self) -> None:
        """End the process, however it is."""
        self._socket.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def write_model(tmp_path: Path) -> Callable[..., Path]:
    """Writes files of a model folder: ``write_model(predict=source)`` makes ``predict.py``."""

    def write(**sources: str) -> Path:
        folder = tmp_path / "model"
        folder.mkdir(exist_ok=True)
        for name, source in sources.items():
            (folder / f"{name}.py").write_text(textwrap.dedent(source))
        return folder

    return write


StartWorker = Callable[..., WorkerDriver]


@pytest.fixture
def start_worker(tmp_path: Path, write_model: Callable[..., Path]) -> Iterator[StartWorker]:
    """Starts a worker on the source of a ``predict.py``; ``is_ready=False`` leaves set-up to the test."""
    drivers: list[WorkerDriver] = []
    scratch_dir = tmp_path / "scratch"
    scratch_dir.mkdir()

    def start(
        source: str, *, python: str = sys.executable, is_ready: bool = True, environment: Any = None, **setup: Any
    ) -> WorkerDriver:
        driver = WorkerDriver(python, write_model(predict=source), scratch_dir, environment or {})
        drivers.append(driver)
        if is_ready:
            last = driver.set_up(**setup)[-1]
            assert isinstance(last, Ready), last
        return driver

    yield start
    for driver in drivers:
        driver.close()


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio."""
    return "asyncio"
