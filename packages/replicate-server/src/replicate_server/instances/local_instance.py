"""One running copy of a version on this machine: the states it goes through, and what it tells its observer.

``starting → ready → gone``; every way ends with ``exited``. Nothing a worker says is passed on unless it is about a prediction
that runs here, and nothing at all once the instance counts as lost (promise J3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from cog.worker.protocol import (
    Cancel,
    Described,
    Done,
    Log,
    Metric,
    Output,
    OutputFile,
    Ping,
    Pong,
    Predict,
    Ready,
    Setup,
    SetupFailed,
    Shutdown,
)

from replicate_server.domain.ids import InstanceId, PredictionId
from replicate_server.instances.liveness import Liveness, Verdict
from replicate_server.instances.scratch import OutputRejected
from replicate_server.instances.worker_process import BuildLaunch, LaunchFailed, WorkerProcess
from replicate_server.ports.engine import InstanceObserver, InstanceSpec, PackageBroken, Work


class _State(Enum):
    STARTING = auto()
    READY = auto()
    GONE = auto()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an instance may take for what, in seconds."""

    cancel_grace: float
    stop_grace: float
    lease: float


@dataclass(slots=True)
class _Running:
    """What is remembered of a prediction between its start and its end."""

    canceling: asyncio.TimerHandle | None = None
    is_canceled: bool = False
    is_copying: bool = False
    """Whether its input files are still on their way; the worker has not heard of it yet."""
    failure: str | None = None
    """Set when an output was refused: the prediction fails with this, whatever the worker reports."""


@dataclass(frozen=True, slots=True)
class PreparedWorker:
    """A worker process that only needs to be started."""

    process: WorkerProcess
    build_launch: BuildLaunch


PrepareWorker = Callable[["LocalInstance"], Awaitable[PreparedWorker]]


class LocalInstance:
    """Implements `replicate_server.ports.engine.Instance`."""

    def __init__(
        self,
        spec: InstanceSpec,
        observer: InstanceObserver,
        *,
        patience: Patience,
        prepare: PrepareWorker,
        gone: Callable[[LocalInstance], None],
    ) -> None:
        """Begin to start.

        Args:
            spec: What is wanted.
            observer: Hears of it.
            patience: Time limits.
            prepare: Builds the environment and decides the launch; `PackageBroken` fails the setup.
            gone: Called before ``exited``, to give back what the engine holds for this instance.
        """
        self._spec = spec
        self._observer = observer
        self._patience = patience
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._state = _State.STARTING
        self._worker: WorkerProcess | None = None
        self._running: dict[str, _Running] = {}
        self._liveness = Liveness(patience.lease, self._loop.time())
        self._ticking: asyncio.TimerHandle | None = None
        self._is_lost = False
        self._setup_answered = False
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._side_tasks: set[asyncio.Task[None]] = set()
        self._setup_limit = self._loop.call_later(spec.setup_timeout_seconds, self._setup_timed_out)
        self._starting = self._loop.create_task(self._start(prepare))
        # A task that is canceled before its first step runs none of its own handlers.
        self._starting.add_done_callback(lambda _: self._end_without_process())

    @property
    def id(self) -> InstanceId:
        """Its id, unique for ever."""
        return self._spec.instance_id

    # --- what the scheduler asks ---------------------------------------------------------------------------------------

    def predict(self, work: Work) -> None:
        """Start a prediction in a free slot. Returns at once; everything else comes through the observer."""
        worker = self._worker
        if worker is None or self._state is not _State.READY:
            return  # Its end has been or will be told by ``exited``; there is nobody to run it.
        running = self._running[work.prediction_id] = _Running()
        if work.files:
            running.is_copying = True
            self._in_background(self._predict_with_files(worker, work, running))
        else:
            worker.send(Predict(id=work.prediction_id, input=dict(work.input), context=dict(work.context)))

    def cancel(self, prediction_id: PredictionId) -> None:
        """Ask the code to stop; kill the instance if it has not ended within the grace (promise J6)."""
        worker, running = self._worker, self._running.get(prediction_id)
        if worker is None or running is None or running.is_canceled:
            return
        running.is_canceled = True
        if not running.is_copying:
            self._send_cancel(worker, prediction_id, running)

    def discard_files(self, prediction_id: PredictionId) -> None:
        """Remove the prediction's scratch folder, if it has one."""
        scratch = self._worker.scratch if self._worker is not None else None
        if scratch is None or not scratch.has_files(prediction_id):
            return

        def discard() -> None:
            scratch.discard(prediction_id)
            if self._state is _State.GONE:
                scratch.close()

        self._in_background(asyncio.to_thread(discard))

    async def stop(self) -> None:
        """End the instance: politely first, by force after the grace. ``exited`` is called before this returns."""
        if self._state is _State.READY and self._worker is not None:
            self._worker.send(Shutdown())
            await asyncio.wait([self._ended], timeout=self._patience.stop_grace)
        self._kill("stopped")
        await asyncio.shield(self._ended)
        if self._side_tasks:
            await asyncio.wait(self._side_tasks)

    # --- what the worker says -------------------------------------------------------------------------------------------

    def ready(self, message: Ready) -> None:
        """Setup succeeded."""
        if self._state is _State.STARTING and not self._setup_answered:
            self._setup_answered = True
            self._setup_limit.cancel()
            self._state = _State.READY
            self._liveness = Liveness(self._patience.lease, self._loop.time())
            self._tick()
            self._observer.ready(self.id, max(1, message.slots))

    def setup_failed(self, message: SetupFailed) -> None:
        """The author's code failed before it was ready."""
        if message.traceback:
            self._observer.setup_logged(self.id, message.traceback.rstrip("\n") + "\n")
        self._fail_setup(message.error)
        self._loop.call_later(self._patience.stop_grace, self._kill, "it did not exit after its setup had failed")

    def described(self, message: Described) -> None:
        """Not asked for here; a worker that says so is ignored."""

    def log(self, message: Log) -> None:
        """A line of a prediction, or of setup."""
        if self._is_lost:
            return
        if message.id is None:
            if self._state is _State.STARTING:
                self._observer.setup_logged(self.id, message.text)
        elif message.id in self._running:
            self._observer.logged(self.id, message)

    def output(self, message: Output) -> None:
        """A yielded value; its files are moved to where the model cannot change them."""
        running = self._running.get(message.id)
        if self._is_lost or running is None or running.failure is not None:
            return
        if message.files:
            try:
                message = replace(message, files=self._take_files(message.id, message.files))
            except OutputRejected as error:
                running.failure = str(error)
                self.cancel(PredictionId(message.id))
                return
        self._observer.output(self.id, message)

    def metric(self, message: Metric) -> None:
        """A recorded metric."""
        if not self._is_lost and message.id in self._running:
            self._observer.metric(self.id, message)

    def done(self, message: Done) -> None:
        """A prediction ended."""
        if self._is_lost:
            return
        running = self._running.pop(message.id, None)
        if running is None:
            return
        if running.canceling is not None:
            running.canceling.cancel()
        if message.files and running.failure is None:
            try:
                message = replace(message, files=self._take_files(message.id, message.files))
            except OutputRejected as error:
                running.failure = str(error)
        if running.failure is not None:
            message = Done(id=message.id, status="failed", predict_seconds=message.predict_seconds, error=running.failure)
        self._observer.done(self.id, message)

    def pong(self, message: Pong) -> None:
        """It lives."""
        self._liveness.heard(self._loop.time())

    def broken(self, error: BaseException) -> None:
        """It does not speak the protocol; nothing it may still do can be trusted."""
        self._kill(f"it broke the instance protocol: {error}")

    # --- start and end --------------------------------------------------------------------------------------------------

    async def _start(self, prepare: PrepareWorker) -> None:
        """Build, launch, send the setup message. Canceled only while there is no process yet."""
        try:
            prepared = await prepare(self)
            # From here to the process there is no await: whoever finds a worker finds a process to kill.
            self._worker = prepared.process
            await prepared.process.start(prepared.build_launch, self)
        except (PackageBroken, LaunchFailed) as error:
            self._fail_setup(str(error))
            self._end("never started")
        except Exception as error:  # noqa: BLE001 - whatever went wrong, an instance ends
            self._loop.call_exception_handler({"message": "an instance could not be started", "exception": error})
            self._fail_setup("the platform could not start the instance")
            self._end("never started")
        else:
            self._send_setup(prepared.process)

    def _end_without_process(self) -> None:
        if self._worker is None:
            self._end("never started")

    def _send_setup(self, worker: WorkerProcess) -> None:
        package = self._spec.version.package
        worker.send(
            Setup(
                runner=package.runner,
                source_dir=worker.source_dir,
                scratch_dir=worker.work_dir,
                concurrency_max=package.concurrency_max,
            )
        )

    def wrote(self, text: str) -> None:
        """Text that no line of the protocol carried: the sandbox's or the interpreter's own last words."""
        if self._state is _State.STARTING:
            self._observer.setup_logged(self.id, text if text.endswith("\n") else text + "\n")

    def exited(self, reason: str) -> None:
        """The process and all its children are gone."""
        if not self._setup_answered:
            self._fail_setup(f"the instance ended during setup: {reason}")
        self._end(reason)

    def _setup_timed_out(self) -> None:
        self._fail_setup(f"setup took longer than {self._spec.setup_timeout_seconds:g} s")
        self._kill("setup took too long")

    def _fail_setup(self, error: str) -> None:
        if not self._setup_answered:
            self._setup_answered = True
            self._setup_limit.cancel()
            self._observer.setup_failed(self.id, error)

    def _end(self, reason: str) -> None:
        """The last step of every path."""
        if self._state is _State.GONE:
            return
        self._state = _State.GONE
        self._setup_limit.cancel()
        if self._ticking is not None:
            self._ticking.cancel()
        for running in self._running.values():
            if running.canceling is not None:
                running.canceling.cancel()
        self._running.clear()
        self._gone(self)
        try:
            self._observer.exited(self.id, reason)
        finally:
            # Whatever the observer does with it: who waits in `stop` must not wait for ever.
            self._ended.set_result(None)

    def _kill(self, cause: str) -> None:
        """End it by force, whether it has a process by now or not."""
        if self._worker is None:
            self._starting.cancel()
        elif self._state is not _State.GONE:
            self._worker.kill(cause)

    # --- details --------------------------------------------------------------------------------------------------------

    async def _predict_with_files(self, worker: WorkerProcess, work: Work, running: _Running) -> None:
        """Copy the files in, off the loop, then start; or end at once if it was canceled meanwhile."""
        try:
            values = await asyncio.to_thread(worker.open_scratch.copy_inputs, work.prediction_id, work.input, work.files)
        except (OSError, LookupError, ValueError) as error:
            self.done(Done(id=work.prediction_id, status="failed", error=f"an input file could not be brought in: {error}"))
            return
        running.is_copying = False
        if running.is_canceled:
            self.done(Done(id=work.prediction_id, status="canceled"))
        elif work.prediction_id in self._running:
            worker.send(Predict(id=work.prediction_id, input=values, context=dict(work.context)))

    def _send_cancel(self, worker: WorkerProcess, prediction_id: str, running: _Running) -> None:
        worker.send(Cancel(id=prediction_id))
        grace = self._patience.cancel_grace
        cause = f"prediction {prediction_id} did not stop within {grace:g} s of being canceled"
        running.canceling = self._loop.call_later(grace, self._kill, cause)

    def _take_files(self, prediction_id: str, files: list[OutputFile]) -> list[OutputFile]:
        if self._worker is None:
            raise OutputRejected("an output file came from nowhere")
        take = self._worker.open_scratch.take_output
        return [replace(file, path=take(prediction_id, file.path)) for file in files]

    def _tick(self) -> None:
        """Ask for a sign of life, and judge the silence so far."""
        worker, now = self._worker, self._loop.time()
        if self._state is not _State.READY or worker is None:
            return
        verdict = self._liveness.tick(now)
        if verdict is not Verdict.ALIVE:
            activity = worker.activity()
            self._liveness.sampled(now, cpu_ticks=activity.cpu_ticks, is_stopped=activity.is_stopped)
            verdict = self._liveness.judge(now)
        if verdict is Verdict.LOST:
            self._is_lost = True
            self._kill(f"unresponsive for {self._patience.lease:g} s")
            return
        worker.send(Ping())
        self._ticking = self._loop.call_later(self._liveness.next_tick_seconds(now), self._tick)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._side_tasks.add(task)
        task.add_done_callback(self._side_tasks.discard)
