"""The scribe of one prediction: gathers what it said into rows, messages and, last, its outcome.

It ingests output files and composes webhook messages, but it writes nothing to the store: `scheduler.recorder` does, and decides
when.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from cog.worker.protocol import Done, Metric, Output, OutputFile

from replicate_server.domain.ids import InstanceId, PredictionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Event, Prediction, StoredFile, WebhookMessage
from replicate_server.domain.secret_inputs import mask_text, secret_texts
from replicate_server.ports.clock import Clock
from replicate_server.ports.events import EventHub
from replicate_server.ports.store import NOTHING, Consequences, Outcome, PredictionStore
from replicate_server.scheduler.collaborators import OutputIngesting, WebhookComposing
from replicate_server.scheduler.options import SchedulerOptions
from replicate_server.scheduler.outcomes import Showing, build_done_event, conclude, present, total_seconds
from replicate_server.scheduler.progress import Progress
from replicate_server.scheduler.transcript import Transcript, json_size_bytes

logger = logging.getLogger(__name__)

_NO_MESSAGE = "The prediction failed without a message"


@dataclass(frozen=True, slots=True)
class RecordingDesk:
    """What all recorders share."""

    store: PredictionStore
    hub: EventHub
    clock: Clock
    options: SchedulerOptions
    composer: WebhookComposing
    outputs: OutputIngesting
    wake_deliverer: Callable[[], None]

    def tell(self, prediction_id: PredictionId, consequences: Consequences) -> None:
        """These consequences are on disk: wake who reads the events and who posts the messages."""
        if consequences.events:
            self.hub.committed(prediction_id, consequences.events)
        if consequences.messages:
            self.wake_deliverer()


class Result(NamedTuple):
    """How the code ended, as far as it is known before the last files are ingested."""

    status: Status
    at: datetime
    error: str | None = None
    done: Done | None = None


class FinalWrite(NamedTuple):
    """The last write about a prediction."""

    record: Prediction
    outcome: Outcome
    consequences: Consequences


@dataclass(slots=True)
class Draft:
    """Rows gathered for the next write; kept until a write with them succeeded, so that a retry sends the same ones."""

    events: list[Event] = field(default_factory=list)
    files: list[StoredFile] = field(default_factory=list)
    messages: list[WebhookMessage] = field(default_factory=list)

    def consequences(self) -> Consequences:
        """What the store is to write."""
        return Consequences(tuple(self.events), tuple(self.files), tuple(self.messages))


class Scribe:
    """Gathers for one attempt of one prediction."""

    __slots__ = (
        "_desk",
        "_draft",
        "_final",
        "_is_start_told",
        "_secrets",
        "_sequence",
        "_transcript",
        "_written_sequence",
        "fault",
        "instance_id",
        "started_at",
    )

    def __init__(self, desk: RecordingDesk, prediction: Prediction, progress: Progress | None) -> None:
        self._desk = desk
        self._transcript: Transcript | None = None
        self._sequence = self._written_sequence = 0
        self._draft: Draft | None = None
        self._final: FinalWrite | None = None
        self._is_start_told = prediction.webhook is None
        self._secrets = secret_texts(prediction.input)
        self.started_at: datetime | None = None
        """When the code was started; None before."""
        self.instance_id: InstanceId | None = None
        """Where it was started; None before."""
        self.fault: str | None = None
        """Why the platform will fail the prediction whatever its code says, once that is so."""
        if progress is not None:
            self._sequence = self._written_sequence = progress.last_sequence
            self._transcript = self._build_transcript(progress)

    def _build_transcript(self, progress: Progress | None = None) -> Transcript:
        options = self._desk.options
        return Transcript(logs_bytes_max=options.logs_bytes_max, output_bytes_max=options.output_bytes_max, progress=progress)

    @property
    def transcript(self) -> Transcript:
        """What was said; made on first use, because most short predictions say nothing."""
        if self._transcript is None:
            self._transcript = self._build_transcript()
        return self._transcript

    @property
    def has_output(self) -> bool:
        """Whether anything was yielded."""
        return self._transcript is not None and self._transcript.has_output

    @property
    def has_news(self) -> bool:
        """Whether something waits to be written."""
        return self._draft is not None or (self._transcript is not None and self._transcript.has_rows)

    def logged(self, text: str) -> None:
        """The code wrote text."""
        self.transcript.add_log(mask_text(text, self._secrets))

    def measured(self, message: Metric) -> None:
        """The code recorded a metric."""
        self.transcript.add_metric(message)

    def yielded(self, message: Output) -> bool:
        """The code yielded a value; False when the code should be stopped because its output is at fault."""
        if self.fault is None:
            self._guard_size(lambda: self.transcript.add_output(message))
        return self.fault is None

    def _guard_size(self, fits: Callable[[], bool]) -> None:
        try:
            if not fits():
                self.fault = f"The output is larger than {self._desk.options.output_bytes_max} bytes"
        except ValueError as error:
            self.fault = f"The output is {error}"

    def give_up(self) -> None:
        """Its words cannot be written, whatever the reason: forget what is not on disk, and let it fail saying so."""
        self.fault = "The output or the logs could not be stored"
        self._transcript = self._draft = self._final = None
        self._sequence = self._written_sequence

    # --- rows ---------------------------------------------------------------------------------------------------------

    async def gather(self, prediction: Prediction) -> Consequences:
        """What is to be written now: everything said since the last call of `written`."""
        draft = await self._gather(prediction)
        if not (draft.events or draft.files or draft.messages):
            return NOTHING
        self._draft = draft
        return draft.consequences()

    def written(self, prediction_id: PredictionId, consequences: Consequences) -> None:
        """What `gather` or `finalize` gave is on disk."""
        self._draft = None
        if consequences.events:
            self._written_sequence = consequences.events[-1].sequence
        if consequences is not NOTHING:
            self._desk.tell(prediction_id, consequences)

    async def _gather(self, prediction: Prediction) -> Draft:
        draft = self._draft or Draft()
        kinds: set[str] = set()
        if self._transcript is not None and self._transcript.has_rows:
            now = self._desk.clock.now()
            for row in self._transcript.take_rows():
                data = row.data
                if row.files:
                    data = await self._ingest(prediction, data, row.files, draft.files)
                    if self.fault is not None:
                        continue
                if row.kind == "output":
                    self._transcript.outputs.append(data)
                kinds.add(row.kind)
                self._sequence += 1
                draft.events.append(Event(prediction.id, self._sequence, row.kind, data, now))
        if prediction.webhook is not None:
            self._tell_webhook(prediction, draft, kinds)
        return draft

    def _tell_webhook(self, prediction: Prediction, draft: Draft, kinds: set[str]) -> None:
        events = [] if self._is_start_told or self.started_at is None else ["start"]
        events += [event for kind, event in (("output", "output"), ("log", "logs")) if kind in kinds]
        if not events:
            return
        self._is_start_told = self._is_start_told or self.started_at is not None
        shown = self._show(prediction)
        for event in events:
            draft.messages += self._desk.composer.compose(event, shown)

    def _show(self, prediction: Prediction) -> Prediction:
        said = self.transcript
        showing = Showing(
            output=list(said.outputs) if said.outputs else None,
            logs=said.logs,
            metrics=dict(said.metrics),
            started_at=self.started_at,
            instance_id=self.instance_id,
        )
        return present(prediction, Status.PROCESSING, showing)

    async def _ingest(self, prediction: Prediction, value: Any, files: Sequence[OutputFile], stored: list[StoredFile]) -> Any:
        try:
            value, rows = await self._desk.outputs.ingest(prediction, value, files)
        except Exception as error:
            # Whatever the disk or the blob store says becomes the prediction's error: the caller can act on it, and the
            # instance goes on serving others.
            logger.exception("an output file of prediction %s could not be stored", prediction.id)
            self.fault = f"An output file could not be stored: {error}"
            return None
        stored.extend(rows)
        return value

    # --- the outcome --------------------------------------------------------------------------------------------------

    async def finalize(self, prediction: Prediction, result: Result) -> FinalWrite:
        """Build the last write, once: a retry writes the very same rows."""
        if self._final is None:
            done = result.done
            is_plain = self._transcript is None and prediction.webhook is None and (done is None or not done.files)
            draft = None if is_plain else await self._gather(prediction)
            outcome = await self._build_outcome(prediction, result, draft)
            record = conclude(prediction, outcome)
            self._final = FinalWrite(record, outcome, self._final_consequences(record, outcome, draft))
        return self._final

    def _final_consequences(self, record: Prediction, outcome: Outcome, draft: Draft | None) -> Consequences:
        streams = record.stream_token is not None
        if draft is None and not streams:
            return NOTHING
        draft = draft or Draft()
        if streams:
            draft.events.append(build_done_event(record.id, self._sequence + 1, outcome))
        else:
            # Nobody can read the events of a prediction without a stream once its outcome holds the whole log.
            draft.events.clear()
        if record.webhook is not None:
            draft.messages += self._desk.composer.compose("completed", record)
        return draft.consequences()

    async def _build_outcome(self, prediction: Prediction, result: Result, draft: Draft | None) -> Outcome:
        done, started_at = result.done, self.started_at
        completed_at = result.at if started_at is None else max(result.at, started_at)
        output = await self._final_output(prediction, done, draft)
        status, error = result.status, result.error
        if self.fault is not None:
            status, error, output = Status.FAILED, self.fault, None
        said = self._transcript
        metrics = dict(said.metrics) if said is not None else {}
        if started_at is not None:
            metrics["predict_time"] = done.predict_seconds if done is not None else (completed_at - started_at).total_seconds()
            metrics["total_time"] = total_seconds(prediction, completed_at)
        return Outcome(
            status=status,
            completed_at=completed_at,
            started_at=started_at,
            output=output,
            error=mask_text(error or _NO_MESSAGE, self._secrets) if status is Status.FAILED else None,
            logs=said.logs if said is not None else "",
            metrics=metrics,
            instance_id=self.instance_id,
        )

    async def _final_output(self, prediction: Prediction, done: Done | None, draft: Draft | None) -> Any:
        if done is None or done.is_iterator:
            outputs = self._transcript.outputs if self._transcript is not None else []
            is_whole = done is not None and done.status == "succeeded"
            return list(outputs) if outputs or is_whole else None
        output = done.output
        # A number is never too long; asking for its size would only cost time.
        if output is not None and not isinstance(output, int | float):
            self._guard_size(lambda: json_size_bytes(output) <= self._desk.options.output_bytes_max)
        if done.files and draft is not None and self.fault is None:
            output = await self._ingest(prediction, output, done.files, draft.files)
        return output
