# ruff: noqa: T201, TID251, BLE001, B008 - a model prints, waits and does what it should not.
# mypy: disable-error-code="override"
"""A model whose input names what it does: everything an engine must cope with, each in a few lines."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path as HostPath

from cog import BasePredictor, Input, Path


def echo(text: str, file: Path | None) -> object:
    print("echoing")
    return text


def describe_self(text: str, file: Path | None) -> object:
    return {
        "effective_capabilities": int(HostPath("/proc/self/status").read_text().split("CapEff:")[1].split()[0], 16),
        "devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "author": os.environ.get("AUTHOR_VARIABLE"),
        "server_packages": [name for name in ("starlette", "msgspec", "sqlalchemy") if importable(name)],
    }


def look_around(text: str, file: Path | None) -> object:
    import getpass
    import pwd
    import tempfile

    cache = HostPath("~/.cache/library").expanduser()
    cache.mkdir(parents=True)
    (cache / "weights").write_text("cached")
    with tempfile.NamedTemporaryFile() as temporary:
        temporary.write(b"x")
    return {"names": [getpass.getuser(), pwd.getpwuid(os.getuid()).pw_name], "passed": os.environ.get("PASSED_VARIABLE")}


def importable(name: str) -> bool:
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def upper_file(text: str, file: Path | None) -> object:
    assert file is not None
    target = HostPath(file).with_suffix(".out")
    target.write_text(file.read_text().upper())
    return Path(target)


def wait_politely(text: str, file: Path | None) -> object:
    print("waiting", flush=True)
    while True:
        time.sleep(0.02)


def ignore_cancel(text: str, file: Path | None) -> object:
    while True:
        try:
            print("waiting", flush=True)
            time.sleep(60)
        except BaseException:
            continue


def hold_interpreter(text: str, file: Path | None) -> object:
    print("computing", flush=True)
    # One call into C that never lets another Python thread run.
    deadline = time.monotonic() + float(text)
    total = 0
    while time.monotonic() < deadline:
        total += sum(range(20_000_000))
    return "computed"


def leave(text: str, file: Path | None) -> object:
    os._exit(int(text))


def crash(text: str, file: Path | None) -> object:
    return ctypes.string_at(0)


def kill_self(text: str, file: Path | None) -> object:
    os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def eat_memory(text: str, file: Path | None) -> object:
    eaten = bytearray(int(text) * 1024**2)
    for offset in range(0, len(eaten), 4096):
        eaten[offset] = 1
    return "eaten"


def read_file(text: str, file: Path | None) -> object:
    return HostPath(text).read_text()[:10]


def write_file(text: str, file: Path | None) -> object:
    HostPath(text).write_text("escaped")
    return "written"


def write_beside_code(text: str, file: Path | None) -> object:
    HostPath("checkpoints").mkdir()
    HostPath("checkpoints/weights").write_text("downloaded")
    here = HostPath(__file__)
    here.write_text(here.read_text() + "\n# changed in place")
    return HostPath("checkpoints/weights").read_text()


def list_folder(text: str, file: Path | None) -> object:
    return sorted(os.listdir())


def list_processes(text: str, file: Path | None) -> object:
    return len([name for name in os.listdir("/proc") if name.isdigit()])


def spawn_escaping_child(text: str, file: Path | None) -> object:
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"],
        start_new_session=True,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.readline()
    return "spawned"


def connect(text: str, file: Path | None) -> object:
    import socket

    with socket.create_connection(("127.0.0.1", int(text)), timeout=5):
        return "connected"


class Predictor(BasePredictor):
    def setup(self) -> None:
        print("setting up")

    def predict(self, action: str, text: str = Input(default=""), file: Path = Input(default=None)) -> object:
        return globals()[action](text, file)


class Streaming(BasePredictor):
    def predict(self, count: int) -> Iterator[str]:
        for number in range(count):
            yield f"part {number}"


class FailingSetup(BasePredictor):
    def setup(self) -> None:
        print("about to fail")
        raise RuntimeError("no weights here")

    def predict(self) -> str:
        return ""


class EndlessSetup(BasePredictor):
    def setup(self) -> None:
        print("never done", flush=True)
        time.sleep(600)

    def predict(self) -> str:
        return ""


class LeavingSetup(BasePredictor):
    def setup(self) -> None:
        os._exit(7)

    def predict(self) -> str:
        return ""
