"""The server's end of the instance protocol: an asyncio protocol over a connected Unix socket. Standard library only."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any, Callable, Dict, Optional, Protocol, Type, cast

from cog.worker.lines import LineSplitter
from cog.worker.protocol import (
    Described,
    Done,
    Log,
    Metric,
    Output,
    Pong,
    ProtocolError,
    Ready,
    ServerMessage,
    SetupFailed,
    decode,
    encode,
)  # fmt: skip

__all__ = ["WorkerClient", "WorkerListener", "connect"]

Loads = Callable[[Any], Any]
Dumps = Callable[[Any], bytes]


class WorkerListener(Protocol):
    """What a worker says, one method per message. Called on the loop's thread, in the order the worker sent; must not block.

    An exception of a method is a bug of the listener: it goes to the loop's exception handler and the connection stays open.
    """

    def ready(self, message: Ready) -> None:
        """Set-up succeeded."""
        ...

    def setup_failed(self, message: SetupFailed) -> None:
        """Set-up failed; the worker exits."""
        ...

    def described(self, message: Described) -> None:
        """The answer to a describe message; the worker exits."""
        ...

    def log(self, message: Log) -> None:
        """A line of output."""
        ...

    def output(self, message: Output) -> None:
        """A yielded value."""
        ...

    def metric(self, message: Metric) -> None:
        """A recorded metric."""
        ...

    def done(self, message: Done) -> None:
        """A prediction ended."""
        ...

    def pong(self, message: Pong) -> None:
        """The answer to a ping."""
        ...

    def broken(self, error: BaseException) -> None:
        """The worker sent something that is not the protocol. The connection is closed; no other call follows."""
        ...


class WorkerClient(asyncio.Protocol):
    """One connection to a worker.

    The connection's end is told by `closed`; a worker's exit closes it. `send` after that is ignored: the end is already known.
    """

    def __init__(self, listener: WorkerListener, *, loads: Optional[Loads] = None, dumps: Optional[Dumps] = None) -> None:
        """Make a client; asyncio connects it.

        Args:
            listener: Hears the worker.
            loads: A faster JSON decoder; the standard library's when None.
            dumps: A faster JSON encoder to bytes.
        """
        self._listener = listener
        self._loads: Loads = loads or json.loads
        self._dumps = dumps
        self._splitter = LineSplitter()
        self._transport: Optional[asyncio.Transport] = None
        self._handlers: Dict[Type[Any], Callable[[Any], None]] = {
            Log: listener.log,
            Output: listener.output,
            Done: listener.done,
            Metric: listener.metric,
            Pong: listener.pong,
            Ready: listener.ready,
            SetupFailed: listener.setup_failed,
            Described: listener.described,
        }
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done, without an exception, when the connection is gone; every message before that was delivered."""

    @property
    def is_connected(self) -> bool:
        """Whether messages can still be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, message: ServerMessage) -> None:
        """Queue one message. Never blocks; nothing happens when the connection is gone.

        Raises:
            ValueError: If the message holds a value that JSON lacks.
        """
        line = encode(message, self._dumps)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(line)

    def close(self) -> None:
        """Close the connection; the worker exits at once, whatever it is doing."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio; delivers every message the bytes complete."""
        loads, handlers = self._loads, self._handlers
        try:
            for line in self._splitter.feed(data):
                message = decode(line, loads)
                handler = handlers.get(type(message))
                if handler is None:
                    raise ProtocolError(f"a worker does not send {message.type} messages")
                try:
                    handler(message)
                except Exception as error:  # noqa: BLE001 - see WorkerListener
                    self._report(error)
        except ProtocolError as error:
            self._handlers = {}
            if self._transport is not None:
                self._transport.abort()
            self._listener.broken(error)

    def connection_lost(self, exc: Optional[Exception]) -> None:
        """Called by asyncio."""
        if not self.closed.done():
            self.closed.set_result(None)

    def _report(self, error: BaseException) -> None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": "a worker listener raised", "exception": error, "protocol": self}
        )


async def connect(
    connected: socket.socket, listener: WorkerListener, *, loads: Optional[Loads] = None, dumps: Optional[Dumps] = None
) -> WorkerClient:
    """Speak the protocol on a connected Unix stream socket, which the client owns from here on."""
    connected.setblocking(False)
    loop = asyncio.get_running_loop()
    _, client = await loop.create_unix_connection(lambda: WorkerClient(listener, loads=loads, dumps=dumps), sock=connected)
    return client
