"""Running predictions of an async runner: one task each, on one event loop, up to the number of slots at once.

The reading thread calls the ``receive_`` methods; everything else happens on the loop's thread, which is the main thread.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import time
from collections.abc import AsyncIterator as AsyncIteratorType
from collections.abc import Iterator as IteratorType
from typing import Any, Callable, Dict, List, Optional, cast

from cog.scope import Scope, task_scope
from cog.worker.capture import OutputCapture
from cog.worker.coercion import close_files
from cog.worker.connection import Connection
from cog.worker.event_loop import event_loop
from cog.worker.failures import cancel, fail, traceback_logs
from cog.worker.output_files import OutputFiles, is_stream
from cog.worker.output_values import to_json_value
from cog.worker.protocol import Cancel, Done, Log, Message, Metric, Output, Predict, Shutdown
from cog.worker.setting_up import ReadyRunner
from cog.worker.task_output import TaskOutput, TaskStream


class RunningPrediction:
    """What the loop knows of one prediction."""

    def __init__(self, request: Predict) -> None:
        self.request = request
        self.done = Done(id=request.id, status="succeeded")
        self.task: Optional[asyncio.Task[None]] = None
        self.is_cancel_requested = False
        self.is_in_model_code = False
        """Cancelling the task outside the model's code would lose the end of the prediction."""


class AsyncPredictions:
    """The slots of an async runner."""

    def __init__(self, *, runner: ReadyRunner, connection: Connection, capture: OutputCapture, scratch_dir: str) -> None:
        self._runner = runner
        self._connection = connection
        self._capture = capture
        self._scratch_dir = scratch_dir
        self._loop = event_loop()
        self._running: Dict[str, RunningPrediction] = {}
        self._is_stopping = False
        self._output = TaskOutput(lambda logs: connection.send(*logs))

    def serve(self, *first: Message) -> None:
        """Send the first messages, then run until `receive_shutdown` and the last prediction's end."""
        sys.stdout = cast(Any, TaskStream(self._output, self._capture.stdout, "stdout"))
        sys.stderr = cast(Any, TaskStream(self._output, self._capture.stderr, "stderr"))
        self._connection.send(*first)
        while not (self._is_stopping and not self._running):
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt):
                continue  # raised by a task the model started: not the worker's end

    def receive_predict(self, message: Predict) -> None:
        """Start a prediction; called from the reading thread."""
        self._loop.call_soon_threadsafe(self._start, message)

    def receive_cancel(self, message: Cancel) -> None:
        """Cancel a prediction; called from the reading thread."""
        self._loop.call_soon_threadsafe(self._cancel, message.id)

    def receive_shutdown(self, message: Shutdown) -> None:
        """Stop when idle; called from the reading thread."""
        self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        self._is_stopping = True
        if not self._running:
            self._loop.stop()

    def _start(self, request: Predict) -> None:
        prediction = RunningPrediction(request)
        earlier = self._reassign_native_output(lambda: self._running.__setitem__(request.id, prediction))
        if earlier:
            self._connection.send(*earlier)
        self._output.open(request.id)
        prediction.task = self._loop.create_task(self._run(prediction))

    def _cancel(self, prediction_id: str) -> None:
        prediction = self._running.get(prediction_id)
        if prediction is None or prediction.is_cancel_requested:
            return
        prediction.is_cancel_requested = True
        if prediction.is_in_model_code and prediction.task is not None:
            prediction.task.cancel()

    async def _run(self, prediction: RunningPrediction) -> None:
        request, done = prediction.request, prediction.done
        task_scope.set(Scope(request.id, request.context, self._metric_sink(request.id)))
        started = time.perf_counter()
        failure: Optional[BaseException] = None
        was_canceled = prediction.is_cancel_requested
        if not was_canceled:
            prediction.is_in_model_code = True
            try:
                await self._perform(request, done)
            except BaseException as error:  # noqa: BLE001 - the worker survives whatever a model raises, exits included
                failure = error
            prediction.is_in_model_code = False
            was_canceled = prediction.is_cancel_requested
        done.predict_seconds = time.perf_counter() - started
        if was_canceled:
            cancel(done)
        elif failure is not None:
            fail(done, failure)
        self._finish(prediction)

    def _finish(self, prediction: RunningPrediction) -> None:
        done = prediction.done
        logs: List[Log] = self._reassign_native_output(lambda: self._running.pop(done.id, None))
        logs += self._output.close(done.id)
        if done.traceback:
            logs += traceback_logs(done.traceback, done.id)
        self._connection.send(*logs, done)
        if self._is_stopping and not self._running:
            self._loop.stop()

    def _reassign_native_output(self, change: Callable[[], Any]) -> List[Log]:
        """Change the set of running predictions; native output belongs to a prediction only while it runs alone.

        Returns:
            The lines written before the change, attributed as they were then; the caller sends them.
        """
        logs = self._capture.drain()
        change()
        self._capture.assign(next(iter(self._running)) if len(self._running) == 1 else None)
        return logs

    async def _perform(self, request: Predict, done: Done) -> None:
        """Call the model and put what it gives into ``done``, or send it as it comes."""
        arguments = self._runner.inputs.read(request.input)
        files = OutputFiles(self._scratch_dir, request.id)
        try:
            result = self._runner.method(**arguments)
            if inspect.isawaitable(result):
                result = await result
            if isinstance(result, AsyncIteratorType):
                done.is_iterator = True
                await self._stream(result, request.id, files)
            elif isinstance(result, IteratorType) and not is_stream(result):
                done.is_iterator = True
                await self._stream(_iterate(result), request.id, files)
            else:
                done.output = to_json_value(result, files)
                done.files = files.take()
        finally:
            close_files(arguments)

    async def _stream(self, values: Any, prediction_id: str, files: OutputFiles) -> None:
        index = 0
        try:
            async for value in values:
                converted = to_json_value(value, files)
                self._connection.send(Output(id=prediction_id, index=index, value=converted, files=files.take()))
                index += 1
        finally:
            close = getattr(values, "aclose", None)
            if close is not None:
                await close()

    def _metric_sink(self, prediction_id: str) -> Callable[[str, Any, str], None]:
        def send(name: str, value: Any, mode: str) -> None:
            converted = to_json_value(value, OutputFiles(self._scratch_dir, prediction_id))
            self._connection.send(Metric(id=prediction_id, name=name, value=converted, mode=mode))

        return send


async def _iterate(values: Any) -> Any:
    """A sync iterator as an async one; the loop gets its turn between two values."""
    for value in values:
        yield value
        await asyncio.sleep(0)
