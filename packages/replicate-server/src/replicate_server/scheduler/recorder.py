"""The recorder: turns what one claimed prediction does into the fewest store writes that keep the promises.

A recorder is a plain object. It holds a task only while it has something to write, and writes one thing at a time in order: the
row itself (when it was held back), the cancel mark, events, the processing mark, and last the ending. Each shows the claim.
A refused one means that the claim was lost, and then the recorder says nothing more (promise J3).

It does not choose instances and knows no queue: `scheduler.dispatcher` owns it. See docs/decisions/0041 and 0043.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from enum import Enum

from cog.worker.protocol import Done, Metric, Output

from replicate_server.domain.ids import InstanceId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Prediction
from replicate_server.ports.store import ClaimRef, StorageUnavailable
from replicate_server.scheduler.invariants import known
from replicate_server.scheduler.progress import Progress
from replicate_server.scheduler.scribe import FinalWrite, RecordingDesk, Result, Scribe

logger = logging.getLogger(__name__)

_RETRY_SECONDS_FIRST = 0.05
_RETRY_SECONDS_MAX = 2.0


class Ending(Enum):
    """The last write about a claim."""

    OUTCOME = "outcome"
    """The prediction ended."""
    RELEASE = "release"
    """Never started: back to the queue, the attempt not counted."""
    REQUEUE = "requeue"
    """Its instance was lost: back to the queue, the attempt counted."""
    DROPPED = "dropped"
    """The claim was lost, or the row could never be stored: nothing is written."""


GIVING_BACK = frozenset({Ending.RELEASE, Ending.REQUEUE})
"""Endings after which the prediction is queued again."""


class Recorder:
    """Records one claimed prediction from its claim to the end of that claim."""

    __slots__ = (
        "_desk",
        "_ended",
        "_has_given_up",
        "_is_cancel_marked",
        "_is_closed",
        "_is_marked",
        "_is_stored",
        "_placed",
        "_ref",
        "_result",
        "_scribe",
        "_task",
        "_wants_writing",
        "cancel_requested_at",
        "ending",
        "is_watched",
        "prediction",
    )

    def __init__(
        self,
        desk: RecordingDesk,
        prediction: Prediction,
        ended: Callable[[Recorder], None],
        *,
        is_stored: bool,
        progress: Progress | None = None,
    ) -> None:
        """Begin with a prediction that carries a claim.

        Args:
            desk: What all recorders share.
            prediction: As claimed.
            ended: Called once, when the ending is on disk or the claim turned out to be lost.
            is_stored: Whether its row was submitted to the store already; otherwise the recorder does that, at the latest when
                `appear` is called (docs/decisions/0041).
            progress: What an earlier attempt left in the event log.
        """
        self._desk = desk
        self._ended = ended
        self._scribe = Scribe(desk, prediction, progress)
        self._ref = ClaimRef(prediction.id, known(prediction.claim).token)
        self._is_stored = is_stored
        self._placed: asyncio.Future[None] | None = None
        self._is_marked = False
        self._is_closed = False
        self._has_given_up = False
        self._is_cancel_marked = prediction.cancel_requested_at is not None
        self._wants_writing = prediction.stream_token is not None
        self._result: Result | None = None
        self._task: asyncio.Task[None] | None = None
        self.is_watched = False
        """Whether `Laggards` will call `appear`."""
        self.prediction = prediction
        self.cancel_requested_at = prediction.cancel_requested_at
        self.ending: Ending | None = None
        """How the claim ends, as soon as that is decided; from then on everything else is ignored."""

    # --- what happens to it -------------------------------------------------------------------------------------------

    @property
    def started_at(self) -> datetime | None:
        """When its code was started; None before."""
        return self._scribe.started_at

    @property
    def has_output(self) -> bool:
        """Whether this attempt yielded anything."""
        return self._scribe.has_output

    @property
    def instance_id(self) -> InstanceId | None:
        """Where its code was started; None before."""
        return self._scribe.instance_id

    def started(self, at: datetime, instance_id: InstanceId) -> None:
        """Its code is being started."""
        self._scribe.instance_id = instance_id
        self._scribe.started_at = at
        if self._wants_writing and self.prediction.webhook is not None:
            self._wake()

    def logged(self, text: str) -> None:
        """The code wrote text."""
        if self.ending is None:
            self._scribe.logged(text)
            self._wake_if_wanted()

    def yielded(self, message: Output) -> bool:
        """The code yielded a value. False when its output is at fault and the code should be stopped."""
        if self.ending is not None:
            return True
        is_fine = self._scribe.yielded(message)
        self._wake_if_wanted()
        return is_fine

    def measured(self, message: Metric) -> None:
        """The code recorded a metric."""
        if self.ending is None:
            self._scribe.measured(message)
            self._wake_if_wanted()

    def done(self, message: Done, now: datetime) -> None:
        """The code ended."""
        self.conclude(Result(Status(message.status), now, message.error, message))

    def conclude(self, result: Result) -> None:
        """The prediction ends with this result, unless its ending was decided before."""
        if self.ending is None:
            self._result = result
            self._end(Ending.OUTCOME)

    def release(self) -> None:
        """Give the claim back: the code was never started."""
        self._end(Ending.RELEASE)

    def requeue(self) -> None:
        """Give the claim back after the instance was lost."""
        self._end(Ending.REQUEUE)

    def drop(self) -> None:
        """Say nothing more: the claim was lost or the row never stored."""
        self.ending = Ending.DROPPED
        self._close(Ending.DROPPED)

    def request_cancel(self, at: datetime) -> None:
        """Remember on disk that it is to be canceled."""
        if self.cancel_requested_at is None:
            self.cancel_requested_at = at
            self.prediction = replace(self.prediction, cancel_requested_at=at)
            self._wake()

    def appear(self) -> None:
        """Write what was put off: the row if it was held back, and that it is processing."""
        if self.ending is None:
            self._wants_writing = True
            self._wake()

    async def until_placed(self) -> None:
        """Return when its row is on disk, or when that turned out to be impossible; the store knows which."""
        if self._is_stored or self._is_closed:
            return
        if self._placed is None:
            self._placed = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._placed])

    async def flush(self) -> None:
        """Return when nothing is left to be written now. The caller bounds the wait."""
        if self._task is not None:
            await asyncio.wait([self._task])

    # --- writing ------------------------------------------------------------------------------------------------------

    def _end(self, ending: Ending) -> None:
        if self.ending is None:
            self.ending = ending
            self._wake()

    def _wake_if_wanted(self) -> None:
        # Only a stream has readers who wait for each event; others are written when the prediction turns out to take a while.
        if self._wants_writing:
            self._wake()

    def _wake(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write_all())

    async def _write_all(self) -> None:
        retry_seconds = _RETRY_SECONDS_FIRST
        while (write := self._next_write()) is not None:
            try:
                if not await write():
                    await self._yield_claim()
            except Exception as error:
                logger.exception("a write about prediction %s failed", self.prediction.id)
                if not self._survives(error):
                    break
                await asyncio.sleep(retry_seconds)
                retry_seconds = min(retry_seconds * 2, _RETRY_SECONDS_MAX)
        self._task = None

    def _survives(self, error: Exception) -> bool:
        """Whether a failed write is to be tried again."""
        if not self._is_stored:
            # A held-back row: its caller still waits and is told, so nothing was promised to anybody.
            self._desk.hub.abandoned(self.prediction.id, error)
            self.drop()
            return False
        if isinstance(error, StorageUnavailable):
            # The store is away or full: the write is kept and offered again. Should the server end first, the next one finds a
            # claim without a holder and rescues it.
            return True
        # The store works but will not take this. One more try without the model's words; then the rescuer decides.
        if self._has_given_up:
            self.drop()
            return False
        self._has_given_up = True
        self._scribe.give_up()
        return True

    def _next_write(self) -> Callable[[], Awaitable[bool]] | None:
        if self._is_closed:
            return None
        if self.ending is not None:
            return self._last_write(self.ending)
        if not self._is_stored:
            return self._insert
        if self.cancel_requested_at is not None and not self._is_cancel_marked:
            return self._mark_cancel
        if self._scribe.started_at is not None and self._wants_writing:
            if self._scribe.has_news:
                return self._append
            if not self._is_marked:
                return self._mark_started
        return None

    def _last_write(self, ending: Ending) -> Callable[[], Awaitable[bool]] | None:
        match ending:
            case Ending.OUTCOME:
                return self._write_outcome if self._is_stored else self._insert_outcome
            case Ending.RELEASE:
                return self._release if self._is_stored else self._insert_queued
            case Ending.REQUEUE:
                return self._requeue if self._is_stored else self._insert
            case Ending.DROPPED:
                return None

    async def _insert(self) -> bool:
        await self._desk.store.create_prediction(self.prediction)
        self._is_stored = True
        self._tell_placed()
        return True

    async def _insert_queued(self) -> bool:
        await self._desk.store.create_prediction(replace(self.prediction, claim=None, attempt=0))
        self._close(Ending.RELEASE)
        return True

    async def _insert_outcome(self) -> bool:
        final = await self._finalize()
        await self._desk.store.create_prediction(final.record, final.consequences)
        self._conclude(final)
        return True

    async def _write_outcome(self) -> bool:
        final = await self._finalize()
        if not await self._desk.store.finish_prediction(self._ref, final.outcome, final.consequences):
            return False
        self._conclude(final)
        return True

    async def _finalize(self) -> FinalWrite:
        return await self._scribe.finalize(self.prediction, known(self._result))

    async def _release(self) -> bool:
        await self._desk.store.release_claims([self._ref])
        self._close(Ending.RELEASE)
        return True

    async def _requeue(self) -> bool:
        if not await self._desk.store.requeue_prediction(self._ref):
            return False
        self._close(Ending.REQUEUE)
        return True

    async def _mark_cancel(self) -> bool:
        await self._desk.store.request_cancel(self.prediction.id, at=known(self.cancel_requested_at))
        self._is_cancel_marked = True
        return True

    async def _mark_started(self) -> bool:
        started_at = known(self._scribe.started_at)
        consequences = await self._scribe.gather(self.prediction)
        if not await self._desk.store.start_prediction(self._ref, started_at=started_at, consequences=consequences):
            return False
        self._is_marked = True
        self._scribe.written(self.prediction.id, consequences)
        return True

    async def _append(self) -> bool:
        started_at = known(self._scribe.started_at)
        consequences = await self._scribe.gather(self.prediction)
        if not await self._desk.store.append_events(self._ref, started_at=started_at, consequences=consequences):
            return False
        self._is_marked = True
        self._scribe.written(self.prediction.id, consequences)
        return True

    # --- the end ------------------------------------------------------------------------------------------------------

    def _conclude(self, final: FinalWrite) -> None:
        self._is_stored = True
        self._scribe.written(self.prediction.id, final.consequences)
        self._desk.hub.finished(final.record)
        self._close(Ending.OUTCOME)

    async def _yield_claim(self) -> None:
        """A write was refused. Whoever waits is told what is true; nothing more is written (promise J3)."""
        current = await self._desk.store.prediction(self.prediction.id)
        if current is not None and current.completed_at is not None:
            self._desk.hub.finished(current)
        self.drop()

    def _tell_placed(self) -> None:
        if self._placed is not None and not self._placed.done():
            self._placed.set_result(None)

    def _close(self, ending: Ending) -> None:
        self.ending = ending
        self._is_closed = True
        self._tell_placed()
        if self.prediction.webhook is not None:
            self._desk.composer.forget(self.prediction.id)
        self._ended(self)
