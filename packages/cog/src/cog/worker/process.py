"""The life of a worker process: first message, set-up, predictions, exit.

Two threads matter. A reading thread owns the receiving side of the socket: it answers pings, forwards cancels and queues the
rest, so that neither waits for the model. The main thread runs the model's code, because signals and many libraries insist on it.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from queue import SimpleQueue
from typing import Any, Callable, Dict, Optional, Type, Union

from cog.worker.capture import OutputCapture
from cog.worker.connection import EXIT_CONNECTION_LOST, Connection
from cog.worker.failures import format_traceback, named_error
from cog.worker.interruption import Interruption
from cog.worker.protocol import (
    Cancel,
    Describe,
    Message,
    Ping,
    Pong,
    Predict,
    ProtocolError,
    Ready,
    Setup,
    SetupFailed,
    Shutdown,
    decode,
)  # fmt: skip

EXIT_SETUP_FAILED = 1
EXIT_GRACE_SECONDS = 2.0
"""How long the model's own exit handlers and threads may hold up a polite exit."""


class Worker:
    """One process, one connection, one runner."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # The descriptor itself is about to be captured; what the process says as it dies must not end in its own pipe.
        self._last_words = os.dup(2)
        faulthandler.enable(self._last_words)
        self._interruption = Interruption()
        self._inbox: SimpleQueue[Union[Message, None]] = SimpleQueue()
        self._handlers: Dict[Type[Any], Callable[[Any], None]] = {
            Setup: self._inbox.put,
            Describe: self._inbox.put,
            Shutdown: self._inbox.put,
            Predict: self._receive_predict,
            Cancel: self._receive_cancel,
            Ping: lambda message: connection.send(Pong(nonce=message.nonce)),
        }

    def run(self) -> int:
        """Serve the connection; returns the exit status."""
        threading.Thread(target=self._read_for_ever, name="cog-reader", daemon=True).start()
        first = self._inbox.get()
        if isinstance(first, Describe):
            from cog.worker.describing import describe

            return describe(first, self._connection)
        if isinstance(first, Setup):
            return self._serve(first)
        raise ProtocolError("the first message must be setup or describe")

    def _read_for_ever(self) -> None:
        handlers = self._handlers
        try:
            for line in self._connection.read_lines():
                message = decode(line)
                handlers[type(message)](message)
        except (ProtocolError, KeyError) as error:
            os.write(self._last_words, f"cog worker: {error}\n".encode())
        # Nobody is left to work for, and the model's code may not return for hours.
        os._exit(EXIT_CONNECTION_LOST)

    def _receive_predict(self, message: Predict) -> None:
        self._interruption.expect(message.id)
        self._inbox.put(message)

    def _receive_cancel(self, message: Cancel) -> None:
        self._interruption.request(message.id)

    def _serve(self, message: Setup) -> int:
        capture = OutputCapture(lambda logs: self._connection.send(*logs))
        started = time.perf_counter()
        failure: Optional[SetupFailed] = None
        try:
            from cog.worker.setting_up import set_up

            runner = set_up(message)
        except BaseException as error:  # noqa: BLE001 - whatever an author's module raises is a failed set-up
            failure = SetupFailed(error=named_error(error), traceback=format_traceback(error))
        logs = capture.drain()
        if failure is not None:
            self._connection.send(*logs, failure)
            return EXIT_SETUP_FAILED
        ready = Ready(slots=runner.slots, setup_seconds=time.perf_counter() - started, is_async=runner.is_async)
        if runner.is_async:
            from cog.worker.async_predictions import AsyncPredictions

            concurrent = AsyncPredictions(
                runner=runner, connection=self._connection, capture=capture, scratch_dir=message.scratch_dir
            )
            self._receive_via(concurrent)
            concurrent.serve(*logs, ready)
            return 0
        from cog.worker.sync_predictions import SyncPredictions

        predictions = SyncPredictions(
            runner=runner,
            connection=self._connection,
            capture=capture,
            interruption=self._interruption,
            scratch_dir=message.scratch_dir,
        )
        self._interruption.install()
        self._connection.send(*logs, ready)
        while True:
            request = self._inbox.get()
            if not isinstance(request, Predict):
                return 0
            predictions.run(request)

    def _receive_via(self, concurrent: Any) -> None:
        """Hand predictions and cancels to the event loop instead of the queue."""
        self._handlers[Predict] = concurrent.receive_predict
        self._handlers[Cancel] = concurrent.receive_cancel
        self._handlers[Shutdown] = concurrent.receive_shutdown


def exit_politely(status: int) -> None:
    """Leave through the model's exit handlers, but not for longer than a moment."""
    timer = threading.Timer(EXIT_GRACE_SECONDS, os._exit, (status,))
    timer.daemon = True
    timer.start()
    sys.exit(status)
