"""Answering a `Describe` message: the model's schema, without running its ``setup()``."""

from __future__ import annotations

import os

from cog.loading import concurrency_of, is_async, load_runner
from cog.worker.capture import OutputCapture
from cog.worker.connection import Connection
from cog.worker.failures import format_traceback, named_error
from cog.worker.protocol import Describe, Described, Message, SetupFailed

EXIT_DESCRIBE_FAILED = 1


def describe(message: Describe, connection: Connection) -> int:
    """Import the runner, send its description (or `SetupFailed`) after its logs, and return the exit status."""
    capture = OutputCapture(lambda logs: connection.send(*logs))
    answer: Message
    try:
        answer = _describe(message)
    except BaseException as error:  # noqa: BLE001 - whatever an author's module raises is a failed description
        answer = SetupFailed(error=named_error(error), traceback=format_traceback(error))
    connection.send(*capture.drain(), answer)
    return 0 if isinstance(answer, Described) else EXIT_DESCRIBE_FAILED


def _describe(message: Describe) -> Described:
    from cog.schema import describe_runner

    source_dir = os.path.abspath(message.source_dir)
    os.chdir(source_dir)
    loaded = load_runner(message.runner, source_dir)
    training = load_runner(message.train, source_dir) if message.train else None
    method = loaded.method_of(loaded.target)
    return Described(
        openapi_schema=describe_runner(loaded, training), concurrency_max=concurrency_of(method), is_async=is_async(method)
    )
