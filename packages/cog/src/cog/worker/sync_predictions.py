"""Running predictions of a sync runner: one after the other, the model's code in the main thread."""

from __future__ import annotations

import time
from collections.abc import Iterator as IteratorType
from typing import Any, Callable, List, Optional, Tuple

from cog.errors import CancelationException
from cog.scope import OUTSIDE, Scope, set_process_scope
from cog.worker.capture import OutputCapture
from cog.worker.coercion import close_files
from cog.worker.connection import Connection
from cog.worker.failures import cancel, fail, traceback_logs
from cog.worker.interruption import Interruption
from cog.worker.output_files import OutputFiles, is_stream
from cog.worker.output_values import to_json_value
from cog.worker.protocol import Done, Log, Message, Metric, Output, Predict
from cog.worker.setting_up import ReadyRunner


class SyncPredictions:
    """The one slot of a sync runner."""

    def __init__(
        self, *, runner: ReadyRunner, connection: Connection, capture: OutputCapture, interruption: Interruption, scratch_dir: str
    ) -> None:
        self._runner = runner
        self._connection = connection
        self._capture = capture
        self._interruption = interruption
        self._scratch_dir = scratch_dir

    def run(self, request: Predict) -> None:
        """Run one prediction to its end; its `Done` has been sent when this returns."""
        prediction_id = request.id
        set_process_scope(Scope(prediction_id, request.context, self._metric_sink(prediction_id)))
        self._capture.assign(prediction_id)
        self._interruption.begin(prediction_id)
        started = time.perf_counter()
        done = Done(id=prediction_id, status="succeeded")
        failure: Optional[BaseException] = None
        try:
            self._perform(request, done)
        except BaseException as error:  # noqa: BLE001 - the worker survives whatever a model raises, exits included
            failure = error
        done.predict_seconds = time.perf_counter() - started
        if self._interruption.end() or isinstance(failure, CancelationException):
            cancel(done)
        elif failure is not None:
            fail(done, failure)
        self._finish(done)

    def _finish(self, done: Done) -> None:
        """Send what is left of the logs, then the end, in one piece."""
        logs: List[Log] = self._capture.drain()
        self._capture.assign(None)
        set_process_scope(OUTSIDE)
        if done.traceback:
            logs += traceback_logs(done.traceback, done.id)
        messages: Tuple[Message, ...] = (*logs, done)
        self._connection.send(*messages)

    def _perform(self, request: Predict, done: Done) -> None:
        """Call the model and put what it gives into ``done``, or send it as it comes."""
        arguments = self._runner.inputs.read(request.input)
        files = OutputFiles(self._scratch_dir, request.id)
        method = self._runner.method
        try:
            result = self._interruption.guard(lambda: method(**arguments))
            if isinstance(result, IteratorType) and not is_stream(result):
                done.is_iterator = True
                self._stream(result, request.id, files)
            else:
                done.output = to_json_value(result, files)
                done.files = files.take()
        finally:
            close_files(arguments)

    def _stream(self, iterator: Any, prediction_id: str, files: OutputFiles) -> None:
        """Send every yielded value at once."""
        step: Callable[[], Any] = iterator.__next__
        index = 0
        try:
            while True:
                try:
                    value = self._interruption.guard(step)
                except StopIteration:
                    return
                converted = to_json_value(value, files)
                self._send_output(Output(id=prediction_id, index=index, value=converted, files=files.take()))
                index += 1
        except CancelationException:
            _throw_into(iterator)
            raise
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()

    def _send_output(self, output: Output) -> None:
        # What was written before a value was yielded comes before it.
        self._connection.send(*self._capture.drain(), output)

    def _metric_sink(self, prediction_id: str) -> Callable[[str, Any, str], None]:
        def send(name: str, value: Any, mode: str) -> None:
            message = Metric(
                id=prediction_id, name=name, value=to_json_value(value, OutputFiles(self._scratch_dir, prediction_id)), mode=mode
            )
            self._interruption.shield(lambda: self._connection.send(message))

        return send


def _throw_into(iterator: Any) -> None:
    """Let a generator that was between two values clean up, when the interruption did not reach its code."""
    throw = getattr(iterator, "throw", None)
    if throw is not None and getattr(iterator, "gi_frame", None) is not None:
        throw(CancelationException("the prediction was canceled"))
