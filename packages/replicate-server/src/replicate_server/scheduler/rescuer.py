"""Rescues claims that nobody serves: those of a server that died, found when this one starts, and those whose lease ran out."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from replicate_server.domain.ids import HolderId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Prediction
from replicate_server.ports.store import ClaimRef, Consequences, Outcome
from replicate_server.scheduler.dispatcher import Dispatcher
from replicate_server.scheduler.invariants import known
from replicate_server.scheduler.outcomes import (
    AfterLoss,
    Loss,
    build_done_event,
    conclude,
    decide_after_loss,
    interruption_error,
)
from replicate_server.scheduler.progress import load_progress
from replicate_server.scheduler.scribe import RecordingDesk

logger = logging.getLogger(__name__)

_PAGE = 500
_ORPHANS_MAX = 10_000
_RELEASES_PER_ATTEMPT = 10
"""A claim that was never marked as processing is released without counting. A prediction that brings the server down so early
that the mark is never written must still end some day: after this many claims for each attempt it counts like a started one."""
_LOST_SERVER = "the server ended while it ran"


class Rescuer:
    """Requeues orphaned predictions within their budget, and fails the others with a cause (promise J2, J4)."""

    def __init__(self, desk: RecordingDesk, dispatcher: Dispatcher, holder: HolderId) -> None:
        self._desk = desk
        self._dispatcher = dispatcher
        self._holder = holder

    async def rescue_at_start(self) -> int:
        """Rescue every claim of earlier processes. The data folder is this process's alone, so no lease is waited for."""
        count = 0
        while orphans := await self._desk.store.claimed_by_others(self._holder, limit=_PAGE):
            await self._rescue(orphans)
            count += len(orphans)
        if count:
            logger.info("rescued %d predictions of a server that ended", count)
        return count

    async def tick(self) -> None:
        """Rescue claims whose lease ran out, except those that are alive here."""
        expired = await self._desk.store.expired_claims(self._desk.clock.now(), limit=_PAGE)
        await self._rescue(self._not_alive(expired))
        if self._dispatcher.may_have_orphans and not self._dispatcher.is_claiming:
            await self._rescue_orphans()

    async def _rescue_orphans(self) -> None:
        """Find claims of this process that it does not know of, after a write failed half-way."""
        self._dispatcher.may_have_orphans = False
        try:
            await self._find_orphans()
        except BaseException:
            # Nobody else would look: the lease of these claims is renewed with all others.
            self._dispatcher.may_have_orphans = True
            raise

    async def _find_orphans(self) -> None:
        # No holder has the empty name, so these are the claims of all.
        claimed = await self._desk.store.claimed_by_others(HolderId(""), limit=_ORPHANS_MAX)
        if self._dispatcher.is_claiming:
            # Some of them may be on their way to the dispatcher.
            self._dispatcher.may_have_orphans = True
            return
        own = [prediction for prediction in claimed if known(prediction.claim).holder == self._holder]
        orphans = self._not_alive(own)
        if orphans:
            logger.warning("rescuing %d claims that a failed write left behind", len(orphans))
            await self._rescue(orphans)
            self._dispatcher.requeued({prediction.version_id for prediction in orphans})

    def _not_alive(self, predictions: Iterable[Prediction]) -> list[Prediction]:
        alive = {run.recorder.prediction.id for run in self._dispatcher.runs()}
        return [prediction for prediction in predictions if prediction.id not in alive]

    async def _rescue(self, orphans: Iterable[Prediction]) -> None:
        unstarted: list[ClaimRef] = []
        for prediction in orphans:
            claim = ClaimRef(prediction.id, known(prediction.claim).token)
            if prediction.cancel_requested_at is None and self._was_surely_short(prediction):
                unstarted.append(claim)
            else:
                await self._rescue_started(prediction, claim)
        if unstarted:
            await self._desk.store.release_claims(unstarted)

    def _was_surely_short(self, prediction: Prediction) -> bool:
        """Whether it never came to be marked as processing: not started, or started so shortly before that nothing was shown."""
        claims_max = self._desk.options.prediction_attempts_max * _RELEASES_PER_ATTEMPT
        return prediction.status is Status.STARTING and known(prediction.claim).token < claims_max

    async def _rescue_started(self, prediction: Prediction, claim: ClaimRef) -> None:
        loss = Loss(
            attempt=prediction.attempt,
            attempts_max=self._desk.options.prediction_attempts_max,
            has_output=await self._desk.store.has_output_events(prediction.id),
            is_cancel_requested=prediction.cancel_requested_at is not None,
            reason=_LOST_SERVER,
        )
        match decide_after_loss(loss):
            case AfterLoss.REQUEUE:
                await self._desk.store.requeue_prediction(claim)
            case AfterLoss.FAIL:
                await self._finish(prediction, claim, Status.FAILED, interruption_error(_LOST_SERVER))
            case AfterLoss.CANCEL:
                await self._finish(prediction, claim, Status.CANCELED, None)

    async def _finish(self, prediction: Prediction, claim: ClaimRef, status: Status, error: str | None) -> None:
        progress = await load_progress(self._desk.store, prediction.id)
        outcome = Outcome(
            status=status,
            completed_at=max(self._desk.clock.now(), prediction.started_at or prediction.created_at),
            started_at=prediction.started_at,
            output=progress.outputs or None,
            error=error,
            logs="".join(progress.logs),
            metrics=progress.metrics,
        )
        record = conclude(prediction, outcome)
        streams = prediction.stream_token is not None
        events = (build_done_event(prediction.id, progress.last_sequence + 1, outcome),) if streams else ()
        messages = self._desk.composer.compose("completed", record) if prediction.webhook is not None else ()
        consequences = Consequences(events=events, messages=messages)
        if await self._desk.store.finish_prediction(claim, outcome, consequences):
            self._desk.tell(prediction.id, consequences)
            self._desk.hub.finished(record)
