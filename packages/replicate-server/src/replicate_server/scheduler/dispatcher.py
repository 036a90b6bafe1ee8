"""The dispatcher: binds queued predictions to free slots, the moment both exist. Event-driven; it never polls.

It owns the claimed predictions of this process (`Run`) from the claim to the end of the claim. It starts and stops no instance
(`scheduler.fleet` does) and decides nothing about capacity (`scheduler.decide` does). See docs/decisions/0040 and 0042.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import tempfile
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cog.worker.protocol import Done

from replicate_server.domain.errors import QueueFull, Unavailable
from replicate_server.domain.ids import HolderId, PredictionId, VersionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Claim, Prediction, Version
from replicate_server.domain.secret_inputs import open_input
from replicate_server.ports.engine import Work
from replicate_server.scheduler.collaborators import InputLocalizing
from replicate_server.scheduler.invariants import known
from replicate_server.scheduler.laggards import Laggards
from replicate_server.scheduler.lanes import InstanceState, Lane, Lanes, PooledInstance, Run
from replicate_server.scheduler.outcomes import AfterLoss, Loss, decide_after_loss, interruption_error
from replicate_server.scheduler.progress import Progress, load_progress
from replicate_server.scheduler.recorder import GIVING_BACK, Ending, Recorder
from replicate_server.scheduler.scribe import RecordingDesk, Result

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What a dispatcher works with."""

    desk: RecordingDesk
    lanes: Lanes
    holder: HolderId
    inputs: InputLocalizing
    inputs_dir: str
    """Existing folder for the input files of running predictions."""
    wake_planner: Callable[[], None]


class Dispatcher:
    """Claims, starts, cancels and loses predictions of this process."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._desk = dispatch.desk
        self._options = dispatch.desk.options
        self._lanes = dispatch.lanes
        self._holder = dispatch.holder
        self._inputs = dispatch.inputs
        self._inputs_dir = dispatch.inputs_dir
        self._wake_planner = dispatch.wake_planner
        self._runs: dict[PredictionId, Run] = {}
        self._lease = timedelta(seconds=self._options.lease_seconds)
        self._laggards = Laggards(self._options.mark_seconds)
        self._cancel_when_claimed: dict[PredictionId, Result] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._emptied: asyncio.Event | None = None
        self.may_have_orphans = False
        """Whether claims of this process may be in the store without a run here, because a write failed half-way. The lease of
        the whole process is renewed, so such a claim would never expire by itself; the rescuer looks for it."""
        self.queued_count = 0
        """Unclaimed predictions in the store, as far as this process knows; the planner corrects it."""

    # --- admission ----------------------------------------------------------------------------------------------------

    def reserve(self, version: Version, now: datetime) -> Claim | None:
        """A claim for a prediction about to be created, if it could start now or very soon and nothing older waits.

        The caller must call `run_claimed` before it awaits anything.

        Raises:
            Unavailable: If the server is shutting down.
            QueueFull: If it would have to wait and the queue is at its limit.
        """
        if self._is_closed:
            raise Unavailable("The server is shutting down", headers={"Retry-After": "5"})
        lane = self._lanes.of(version)
        if not lane.may_have_queued and not lane.is_claiming:
            instance = lane.pick_free() if not lane.backlog else None
            if instance is None and len(lane.backlog) < lane.backlog_max(self._options):
                instance = lane.serving()[0]
            if instance is not None:
                return Claim(self._holder, instance.id, 1, now + self._lease)
        if self.queued_count >= self._options.queue_length_max:
            raise QueueFull(
                f"{self.queued_count} predictions are queued, which is the limit; try again later", headers={"Retry-After": "5"}
            )
        return None

    def may_hold_back(self, version: Version) -> bool:
        """Whether a prediction of this version usually ends so soon that its row can be written together with its outcome."""
        return self._lanes.of(version).is_fast(self._options)

    def run_claimed(self, version: Version, prediction: Prediction, *, is_held_back: bool) -> None:
        """Run a prediction that was born claimed: now, or after the ones in the backlog.

        Args:
            version: Its version.
            prediction: The record; unless held back, the caller submits it to the store before it awaits anything else.
            is_held_back: Whether the recorder is to write the row, with the outcome when that comes soon enough.
        """
        lane = self._lanes.of(version)
        run = Run(Recorder(self._desk, prediction, self._ended, is_stored=not is_held_back), lane)
        self._runs[prediction.id] = run
        instance = lane.pick_free() if not lane.backlog else None
        if instance is not None:
            self._place(run, instance, prediction.created_at)
            return
        lane.backlog.append(run)
        if is_held_back:
            self._laggards.watch(run.recorder)

    def enqueue(self, version: Version) -> None:
        """The insert of a queued row of this version is about to be submitted, before the loop turns. Followed by `queued`."""
        self.queued_count += 1
        lane = self._lanes.of(version)
        lane.may_have_queued = True
        lane.claim_again = True
        if lane.serving():
            self.feed(lane)

    def queued(self, version: Version) -> None:
        """A row of this version is queued, on disk: where no instance is, the planner should look."""
        if not self._lanes.of(version).instances:
            self._wake_planner()

    def not_queued(self) -> None:
        """The row announced by `enqueue` could not be written."""
        self.queued_count = max(0, self.queued_count - 1)

    def requeued(self, versions: Collection[VersionId]) -> None:
        """Rows of these versions were put back into the queue by somebody else."""
        for lane in self._lanes.all():
            if lane.version.id in versions:
                self.enqueue(lane.version)
        self._wake_planner()

    def not_stored(self, prediction_id: PredictionId) -> None:
        """The row of a prediction given to `run_claimed` could not be written: stop its code and say nothing."""
        run = self._runs.get(prediction_id)
        if run is not None:
            self._stop_code(run)
            run.recorder.drop()

    async def settle(self, prediction_id: PredictionId) -> None:
        """Return when a held-back prediction is in the store, or could not be: the caller looks."""
        run = self._runs.get(prediction_id)
        if run is not None:
            run.recorder.appear()
            await run.recorder.until_placed()

    # --- feeding slots ------------------------------------------------------------------------------------------------

    def feed(self, lane: Lane, now: datetime | None = None) -> None:
        """Fill free slots from the backlog, and the backlog from the store."""
        if self._is_closed:
            return
        backlog = lane.backlog
        while backlog and (instance := lane.pick_free()) is not None:
            self._place(backlog.popleft(), instance, now or self._desk.clock.now())
        if lane.may_have_queued and not lane.is_claiming:
            wish = lane.claim_wish(self._options)
            if wish > 0:
                lane.is_claiming = True
                self._spawn(self._claim(lane, wish))

    def feed_all(self) -> None:
        """Feed every lane: what the planner does each tick, so that a failed claim is tried again."""
        for lane in self._lanes.all():
            if lane.serving():
                self.feed(lane)

    async def _claim(self, lane: Lane, claims_max: int) -> None:
        lane.claim_again = False
        is_claimed = False
        try:
            is_claimed = await self._claim_some(lane, claims_max)
        except Exception:
            self.may_have_orphans = True
            logger.exception("claiming predictions of %s failed; the planner tries again", lane.version.model)
        finally:
            lane.is_claiming = False
        if not lane.serving():
            self.release_backlog(lane)
        elif is_claimed:
            self.feed(lane)

    async def _claim_some(self, lane: Lane, claims_max: int) -> bool:
        serving = lane.serving()
        if not serving:
            return False
        claimed = await self._desk.store.claim_predictions(
            lane.version.id,
            claims_max=claims_max,
            holder=self._holder,
            instance_id=serving[0].id,
            expires_at=self._desk.clock.now() + self._lease,
        )
        self.queued_count = max(0, self.queued_count - len(claimed))
        if len(claimed) < claims_max and not lane.claim_again:
            lane.may_have_queued = False
        for prediction in claimed:
            progress = await load_progress(self._desk.store, prediction.id) if prediction.attempt > 1 else None
            self._adopt(lane, prediction, progress)
        return True

    def _adopt(self, lane: Lane, prediction: Prediction, progress: Progress | None) -> None:
        run = Run(Recorder(self._desk, prediction, self._ended, is_stored=True, progress=progress), lane)
        self._runs[prediction.id] = run
        canceled = self._cancel_when_claimed.pop(prediction.id, None)
        if canceled is None and prediction.cancel_requested_at is not None:
            canceled = Result(Status.CANCELED, self._desk.clock.now())
        if canceled is not None:
            run.recorder.conclude(canceled)
        elif lane.serving() and not self._is_closed:
            lane.backlog.append(run)
        else:
            run.recorder.release()

    def _place(self, run: Run, instance: PooledInstance, now: datetime) -> None:
        prediction = run.recorder.prediction
        run.instance = instance
        instance.running[prediction.id] = run
        if self._inputs.has_files(instance.version, prediction.input):
            run.preparing = self._spawn(self._prepare(run, instance))
        else:
            self._start_code(run, instance, Work(prediction.id, open_input(prediction.input)), now)

    def _start_code(self, run: Run, instance: PooledInstance, work: Work, now: datetime) -> None:
        run.recorder.started(now, instance.id)
        known(instance.handle).predict(work)
        self._laggards.watch(run.recorder)

    async def _prepare(self, run: Run, instance: PooledInstance) -> None:
        prediction = run.recorder.prediction
        try:
            run.folder = await asyncio.to_thread(tempfile.mkdtemp, prefix=f"{prediction.id}-", dir=self._inputs_dir)
            files = await self._inputs.localize(prediction, instance.version, run.folder)
        except Exception as error:  # noqa: BLE001 - whatever went wrong becomes the prediction's error
            logger.info("the input files of prediction %s could not be brought: %s", prediction.id, error)
            run.preparing = None
            now = self._desk.clock.now()
            self._vacate(run, instance, now)
            run.instance = None
            run.recorder.conclude(Result(Status.FAILED, now, str(error)))
            self.feed(run.lane)
            return
        run.preparing = None
        if run.instance is instance:
            work = Work(prediction.id, open_input(prediction.input), files)
            self._start_code(run, instance, work, self._desk.clock.now())

    # --- what instances report ----------------------------------------------------------------------------------------

    def done(self, instance: PooledInstance, message: Done) -> None:
        """The code of a prediction ended: its slot is free from now on, before the outcome is written."""
        run = instance.running.get(PredictionId(message.id))
        if run is None:
            return
        now = self._desk.clock.now()
        instance.served += 1
        self._vacate(run, instance, now)
        run.lane.observe_run(message.predict_seconds)
        self.feed(run.lane, now)
        run.recorder.done(message, now)

    def instance_lost(self, lane: Lane, instance: PooledInstance, reason: str) -> None:
        """An instance ended while predictions ran on it. It must have left its lane."""
        now = self._desk.clock.now()
        for run in list(instance.running.values()):
            recorder = run.recorder
            if recorder.started_at is None:
                self._stop_code(run)
                recorder.release()
                continue
            self._vacate(run, instance, now)
            loss = Loss(
                attempt=recorder.prediction.attempt,
                attempts_max=self._options.prediction_attempts_max,
                has_output=recorder.has_output,
                is_cancel_requested=recorder.cancel_requested_at is not None,
                reason=reason,
            )
            match decide_after_loss(loss):
                case AfterLoss.REQUEUE:
                    recorder.requeue()
                case AfterLoss.FAIL:
                    recorder.conclude(Result(Status.FAILED, now, interruption_error(reason)))
                case AfterLoss.CANCEL:
                    recorder.conclude(Result(Status.CANCELED, now))
        if not lane.serving():
            self.release_backlog(lane)

    def release_backlog(self, lane: Lane) -> None:
        """Nothing will take this lane's unstarted claims soon: give them back."""
        while lane.backlog:
            lane.backlog.popleft().recorder.release()

    # --- ending early -------------------------------------------------------------------------------------------------

    def end_early(self, prediction_id: PredictionId, *, unstarted: Status, now: datetime) -> bool:
        """Cancel a prediction that is claimed here.

        Args:
            prediction_id: Which.
            unstarted: How it ends if its code was never started: canceled, or aborted by its deadline. Started code is
                asked to stop.
            now: The time of the request.

        Returns:
            False when it is not claimed here, or on its way back to the queue.
        """
        run = self._runs.get(prediction_id)
        if run is None or run.recorder.ending in GIVING_BACK:
            return False
        recorder = run.recorder
        if recorder.ending is not None:
            return True
        if recorder.started_at is not None:
            recorder.request_cancel(now)
            self._stop_code(run)
            return True
        self._stop_code(run)
        recorder.conclude(Result(unstarted, now))
        self.feed(run.lane)
        return True

    async def until_given_back(self, prediction_id: PredictionId, *, timeout_seconds: float) -> None:
        """Return when a prediction on its way back to the queue is there; at once for any other."""
        run = self._runs.get(prediction_id)
        if run is not None and run.recorder.ending in GIVING_BACK:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_seconds):
                    await run.recorder.flush()

    def end_when_claimed(self, prediction_id: PredictionId, result: Result) -> None:
        """A claim of this prediction is on its way: end it on arrival instead of running it."""
        self._cancel_when_claimed[prediction_id] = result

    def withdraw_ending(self, prediction_id: PredictionId) -> None:
        """Take `end_when_claimed` back."""
        self._cancel_when_claimed.pop(prediction_id, None)

    @property
    def is_claiming(self) -> bool:
        """Whether a claim is under way whose predictions are not among the runs yet."""
        return any(lane.is_claiming for lane in self._lanes.all())

    def run_of(self, prediction_id: PredictionId) -> Run | None:
        """A prediction that is claimed here."""
        return self._runs.get(prediction_id)

    def runs(self) -> list[Run]:
        """Everything claimed here."""
        return list(self._runs.values())

    # --- endings ------------------------------------------------------------------------------------------------------

    def _vacate(self, run: Run, instance: PooledInstance, now: datetime) -> None:
        """Free the slot of a run."""
        del instance.running[run.recorder.prediction.id]
        instance.used_at = now
        if not instance.running and instance.state is InstanceState.DRAINING:
            self._wake_planner()

    def _stop_code(self, run: Run) -> None:
        """Ask started code to stop; take what was not started out of the way."""
        instance = run.instance
        prediction_id = run.recorder.prediction.id
        if instance is None:
            if run in run.lane.backlog:
                run.lane.backlog.remove(run)
        elif run.recorder.started_at is not None:
            if prediction_id in instance.running and instance.handle is not None:
                instance.handle.cancel(prediction_id)
        else:
            if run.preparing is not None:
                run.preparing.cancel()
                run.preparing = None
            self._vacate(run, instance, self._desk.clock.now())
            run.instance = None

    def _ended(self, recorder: Recorder) -> None:
        """The end of a claim is on disk, or the claim was lost."""
        run = self._runs.get(recorder.prediction.id)
        if run is None or run.recorder is not recorder:
            return
        del self._runs[recorder.prediction.id]
        if not self._runs and self._emptied is not None:
            self._emptied.set()
        if recorder.ending is Ending.DROPPED:
            self.may_have_orphans = True
            self._stop_code(run)
        elif run.instance is not None and run.instance.handle is not None:
            run.instance.handle.discard_files(recorder.prediction.id)
        if run.folder is not None:
            self._spawn(self._remove_folder(run.folder))
        if recorder.ending in GIVING_BACK:
            self.enqueue(run.lane.version)
            self.queued(run.lane.version)

    async def _remove_folder(self, folder: str) -> None:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- closing ------------------------------------------------------------------------------------------------------

    def close_admission(self) -> None:
        """Refuse new predictions, start no more, and give back what was claimed ahead."""
        self._is_closed = True
        for lane in self._lanes.all():
            self.release_backlog(lane)

    async def drain(self, timeout_seconds: float) -> bool:
        """Wait until nothing is claimed here any more, at most so long; whether that came true. Needs `close_admission` first."""
        if not self._runs:
            return True
        self._emptied = asyncio.Event()
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._emptied.wait()
        except TimeoutError:
            return False
        return True
