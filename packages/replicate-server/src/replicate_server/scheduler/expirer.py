"""Ends predictions whose time is up: a deadline of their own (`Cancel-After`), or the longest run time the operator allows."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from replicate_server.domain.ids import PredictionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Prediction
from replicate_server.scheduler.dispatcher import Dispatcher
from replicate_server.scheduler.scribe import RecordingDesk, Result
from replicate_server.scheduler.unclaimed import UnclaimedEnder

_PAGE = 500


class Expirer:
    """Looks at deadlines each tick. Before the start a deadline aborts, afterwards it cancels (promise J7)."""

    def __init__(self, desk: RecordingDesk, dispatcher: Dispatcher, ender: UnclaimedEnder) -> None:
        self._desk = desk
        self._dispatcher = dispatcher
        self._ender = ender

    async def tick(self) -> datetime | None:
        """End what is overdue; returns the next deadline of an active prediction."""
        now = self._desk.clock.now()
        self._stop_long_runs(now)
        seen: set[PredictionId] = set()
        while overdue := await self._desk.store.overdue_predictions(now, limit=_PAGE):
            # Together, so that one commit ends many.
            await asyncio.gather(*(self._expire(prediction, now) for prediction in overdue))
            ids = {prediction.id for prediction in overdue}
            # Code that is being stopped stays overdue for a while; a page of nothing else waits for the next tick.
            if len(overdue) < _PAGE or ids == seen:
                break
            seen = ids
        upcoming = await self._desk.store.next_deadline()
        # A deadline in the past belongs to code that is being stopped: the normal tick suffices for it.
        return upcoming if upcoming is not None and upcoming > now else None

    async def _expire(self, prediction: Prediction, now: datetime) -> None:
        if not self._dispatcher.end_early(prediction.id, unstarted=Status.ABORTED, now=now) and prediction.claim is None:
            await self._ender.end(prediction, Result(Status.ABORTED, now))

    def _stop_long_runs(self, now: datetime) -> None:
        started_before = now - timedelta(seconds=self._desk.options.prediction_timeout_seconds)
        for run in self._dispatcher.runs():
            started_at = run.recorder.started_at
            if started_at is not None and started_at <= started_before:
                self._dispatcher.end_early(run.recorder.prediction.id, unstarted=Status.ABORTED, now=now)
