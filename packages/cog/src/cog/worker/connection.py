"""The worker's end of the socket: blocking reads on one thread, sends from any thread.

A worker without its server has nobody to work for, so a lost connection ends the process at once, whatever the model's code is
doing.
"""

from __future__ import annotations

import os
import socket
import threading
from typing import Iterator

from cog.worker.lines import LineSplitter
from cog.worker.protocol import Message, encode

RECEIVE_SIZE_BYTES = 1 << 16

EXIT_CONNECTION_LOST = 70
"""The exit status when the server went away; EX_SOFTWARE of sysexits.h, so that it is told from a model's own exits."""


class Connection:
    """A connected stream socket that carries the instance protocol."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._lock = threading.Lock()
        # A forked child must not keep the connection open after its parent died.
        os.register_at_fork(after_in_child=self._socket.close)

    def send(self, *messages: Message) -> None:
        """Send messages in order, in one system call; blocks while the server does not read."""
        self.send_bytes(b"".join(map(encode, messages)) if len(messages) != 1 else encode(messages[0]))

    def send_bytes(self, data: bytes) -> None:
        """Send lines that are already encoded."""
        try:
            with self._lock:
                self._socket.sendall(data)
        except OSError:
            os._exit(EXIT_CONNECTION_LOST)

    def read_lines(self) -> Iterator[bytes]:
        """Every line until the server closes the connection.

        Raises:
            ProtocolError: If a line is too long.
        """
        splitter = LineSplitter()
        receive = self._socket.recv
        while True:
            try:
                chunk = receive(RECEIVE_SIZE_BYTES)
            except OSError:
                return
            if not chunk:
                return
            yield from splitter.feed(chunk)
