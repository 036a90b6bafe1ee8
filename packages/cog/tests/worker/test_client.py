"""The asyncio client against a scripted peer, and once against a real worker."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from cog.worker.client import WorkerClient, connect
from cog.worker.protocol import Cancel, Done, Log, Message, Output, Pong, Predict, ProtocolError, Ready, Setup, encode

pytestmark = pytest.mark.anyio


class Recorder:
    """A listener that keeps everything and says when a message has come."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.errors: list[BaseException] = []
        self._arrived = asyncio.Event()

    def _keep(self, message: Any) -> None:
        self.messages.append(message)
        self._arrived.set()

    ready = setup_failed = described = log = output = metric = done = pong = _keep

    def broken(self, error: BaseException) -> None:
        self.errors.append(error)
        self._arrived.set()

    async def wait_for(self, kind: type) -> Any:
        while not any(isinstance(message, kind) for message in self.messages):
            self._arrived.clear()
            await asyncio.wait_for(self._arrived.wait(), 20)
        return self.messages[-1]


@pytest.fixture
async def pair() -> AsyncIterator[tuple[WorkerClient, Recorder, socket.socket]]:
    ours, theirs = socket.socketpair()
    recorder = Recorder()
    client = await connect(ours, recorder)
    with theirs:
        yield client, recorder, theirs
    client.close()
    await client.closed


Pair = tuple[WorkerClient, Recorder, socket.socket]


async def test_messages_are_delivered_in_order_also_when_they_arrive_in_pieces(pair: Pair) -> None:
    client, recorder, worker = pair
    sent: list[Message] = [Log(text="é\n", id="p"), Output(id="p", index=0, value="x"), Done(id="p", status="succeeded")]
    for byte in b"".join(encode(message) for message in sent):
        worker.send(bytes([byte]))
    await recorder.wait_for(Done)
    assert recorder.messages == sent
    assert client.is_connected


async def test_what_is_sent_is_one_line_for_each_message(pair: Pair) -> None:
    client, _, worker = pair
    client.send(Predict(id="p", input={"a": "\n"}))
    client.send(Cancel(id="p"))
    expected = encode(Predict(id="p", input={"a": "\n"})) + encode(Cancel(id="p"))
    assert worker.recv(1 << 16) == expected
    assert expected.count(b"\n") == 2


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b'{"type":"unknown"}\n', b'{"type":"done"}\n', b"[]\n", b'{"type":"predict","id":"p"}\n']
)
async def test_a_line_that_is_not_of_a_worker_breaks_the_connection_once(pair: Pair, line: bytes) -> None:
    client, recorder, worker = pair
    worker.sendall(encode(Pong(nonce=1)) + line + encode(Pong(nonce=2)))
    await asyncio.wait_for(client.closed, 20)
    assert [type(error) for error in recorder.errors] == [ProtocolError]
    assert recorder.messages == [Pong(nonce=1)]
    assert not client.is_connected


async def test_a_closed_connection_is_told_after_every_message_was_delivered(pair: Pair) -> None:
    client, recorder, worker = pair
    worker.sendall(encode(Log(text="last words\n")))
    worker.close()
    await asyncio.wait_for(client.closed, 20)
    assert recorder.messages == [Log(text="last words\n")]
    client.send(Cancel(id="p"))


async def test_a_listener_that_raises_is_reported_and_the_rest_is_delivered(pair: Pair) -> None:
    client, recorder, worker = pair
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    client._handlers[Log] = lambda message: recorder.messages[99]
    worker.sendall(encode(Log(text="x")) + encode(Pong(nonce=5)))
    assert await recorder.wait_for(Pong) == Pong(nonce=5)
    assert isinstance(reported[0]["exception"], IndexError)


async def test_the_client_runs_a_real_worker(write_model: Callable[..., Path], tmp_path: Path) -> None:
    folder = write_model(predict="def double(n: int) -> int: return 2 * n")
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-m", "cog.worker", "--fd", str(theirs.fileno())]
        process = await asyncio.to_thread(lambda: subprocess.Popen(command, pass_fds=[theirs.fileno()]))
    recorder = Recorder()
    client = await connect(ours, recorder)
    client.send(Setup(runner="predict.py:double", source_dir=str(folder), scratch_dir=str(tmp_path)))
    assert isinstance(await recorder.wait_for(Ready), Ready)
    client.send(Predict(id="p", input={"n": 21}))
    assert (await recorder.wait_for(Done)).output == 42
    client.close()
    await asyncio.wait_for(client.closed, 20)
    assert await asyncio.to_thread(process.wait, 20) == 70
