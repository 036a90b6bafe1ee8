"""Ends predictions that nobody has claimed: canceled or aborted while queued, or failed with the setup of their version."""

from __future__ import annotations

from replicate_server.domain.records import Prediction
from replicate_server.ports.store import Consequences, Outcome
from replicate_server.scheduler.dispatcher import Dispatcher
from replicate_server.scheduler.outcomes import build_done_event, conclude
from replicate_server.scheduler.progress import Progress, load_progress
from replicate_server.scheduler.scribe import RecordingDesk, Result


class UnclaimedEnder:
    """Writes outcomes of queued predictions, with everything that follows from them in the same transaction."""

    def __init__(self, desk: RecordingDesk, dispatcher: Dispatcher) -> None:
        self._desk = desk
        self._dispatcher = dispatcher

    async def end(self, prediction: Prediction, result: Result, *, logs: str = "") -> bool:
        """End a queued prediction; False, and nothing is written, when it is claimed or ended already.

        Args:
            prediction: As read from the store.
            result: How it ends.
            logs: Text to be added to what earlier attempts logged, such as the setup log of its version.
        """
        progress = await load_progress(self._desk.store, prediction.id) if prediction.attempt > 0 else Progress()
        outcome = Outcome(
            status=result.status,
            completed_at=max(result.at, prediction.created_at),
            error=result.error,
            logs="".join([*progress.logs, logs]),
            metrics=progress.metrics,
        )
        record = conclude(prediction, outcome)
        events = (
            (build_done_event(prediction.id, progress.last_sequence + 1, outcome),) if prediction.stream_token is not None else ()
        )
        messages = self._desk.composer.compose("completed", record) if prediction.webhook is not None else ()
        consequences = Consequences(events=events, messages=messages)
        if not await self._desk.store.finish_unclaimed(prediction.id, outcome, consequences):
            return False
        self._dispatcher.queued_count = max(0, self._dispatcher.queued_count - 1)
        self._desk.tell(prediction.id, consequences)
        self._desk.hub.finished(record)
        self._desk.composer.forget(prediction.id)
        return True
