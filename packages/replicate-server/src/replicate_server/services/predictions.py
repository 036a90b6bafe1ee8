"""Predictions: create, look at, list, cancel and follow them. What the API offers; it runs nothing itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from replicate_server.domain.errors import NotFound
from replicate_server.domain.ids import ModelId, PredictionId, VersionId, build_prediction_id, build_secret_text
from replicate_server.domain.lifecycle import Status, is_terminal
from replicate_server.domain.records import Account, Claim, Event, Page, Prediction, Standing, Version, WebhookSubscription
from replicate_server.ports.clock import Clock, Randomness
from replicate_server.ports.events import EventHub
from replicate_server.ports.store import NOTHING, Consequences, PredictionFilter, PredictionStore, StorageUnavailable
from replicate_server.scheduler.scheduler import Scheduler
from replicate_server.services.idempotency import Turn

LIST_PAGE = 100
"""Predictions on a page (reference http-api §1.8)."""
SYNC_MARGIN = 1 / 30
"""Part of a wait kept back, so that the answer of a wait of 60 s is on its way after 58 (reference http-api §2.3)."""
_SHAPES_REMEMBERED = 10_000

InputValidator = Callable[[Version, Mapping[str, Any]], Mapping[str, Any]]
"""Returns the input to be run, or raises `InvalidInput`."""


@dataclass(frozen=True)
class CreatePrediction:
    """A wish for a prediction. Who may run the version was checked when it was resolved."""

    account: Account
    version: Version
    input: Mapping[str, Any]
    webhook: WebhookSubscription | None = None
    wait_seconds: float | None = None
    """Set: answer when it has ended, at the latest after so long."""
    cancel_after_seconds: float | None = None
    deployment: str | None = None
    hardware: str | None = None
    """What a deployment asks for; None: the hardware of the version's model."""
    source: str = "api"
    turn: Turn | None = None
    """Set: the request has an Idempotency-Key, which is stored in one transaction with the prediction."""


class StreamShape(NamedTuple):
    """What a version's output schema says about streaming."""

    streams: bool
    carries_files: bool


def stream_shape(version: Version) -> StreamShape:
    """Whether a version's output is an iterator, and whether of files (reference http-api §2.5)."""
    components = version.openapi_schema.get("components") or {}
    output = (components.get("schemas") or {}).get("Output") or {}
    streams = output.get("type") == "array" and output.get("x-cog-array-type") == "iterator"
    items = output.get("items") or {}
    return StreamShape(streams, streams and items.get("format") == "uri")


def as_created(prediction: Prediction) -> Prediction:
    """A prediction as its create answered it, whatever has become of it since."""
    return replace(
        prediction,
        status=Status.STARTING,
        output=None,
        error=None,
        logs="",
        metrics={},
        started_at=None,
        completed_at=None,
        attempt=0,
        claim=None,
        instance_id=None,
    )


class PredictionService:
    """The use cases around predictions."""

    def __init__(
        self,
        store: PredictionStore,
        hub: EventHub,
        scheduler: Scheduler,
        clock: Clock,
        randomness: Randomness,
        validate: InputValidator,
        *,
        wait_seconds_max: float = 60.0,
    ) -> None:
        self._store = store
        self._hub = hub
        self._scheduler = scheduler
        self._dispatcher = scheduler.dispatcher
        self._clock = clock
        self._randomness = randomness
        self._validate = validate
        self._wait_seconds_max = wait_seconds_max
        self._shapes: dict[VersionId, StreamShape] = {}

    async def create(self, request: CreatePrediction) -> Prediction:
        """Store a prediction and, where a slot is free, start it at once.

        It returns after the prediction is on disk: a caller that got an answer never loses it. When the caller waits, the answer
        is the terminal prediction, or at the time-out the prediction as it was created: ``starting`` without output, whatever it
        has done since, because clients take any other status for the end (reference http-api §2.3).

        Raises:
            InvalidInput: If the input breaks the version's schema.
            QueueFull: If too many are queued.
            Unavailable: If the server is shutting down.
            StorageUnavailable: If it cannot be stored.
        """
        version = request.version
        checked = self._validate(version, request.input)
        now = self._clock.now()
        claim = self._dispatcher.reserve(version, now)
        prediction = self._build(request, checked, claim, now)
        self._scheduler.run_counts.add(prediction.model_id)
        if request.wait_seconds is None:
            await self._admit(prediction, version, request.turn, is_held_back=False)
            return prediction
        expected = self._hub.expect_finished(prediction.id)
        is_held_back = claim is not None and request.turn is None and self._may_hold_back(prediction, version)
        try:
            await self._admit(prediction, version, request.turn, is_held_back=is_held_back)
        except BaseException as error:
            expected.cancel()
            if isinstance(error, Exception):
                self._hub.abandoned(prediction.id, error)
            raise
        ended = await self._hub.wait_expected(
            prediction.id, expected, timeout_seconds=self._patience_seconds(request.wait_seconds)
        )
        if ended is not None:
            return ended
        if is_held_back:
            await self._dispatcher.settle(prediction.id)
            # Its failure may have come between the end of the wait and now, when nobody listened.
            if await self._store.prediction(prediction.id) is None:
                raise StorageUnavailable("the prediction could not be stored")
        return prediction

    async def repeat_create(self, account: Account, prediction_id: PredictionId, *, wait_seconds: float | None) -> Prediction:
        """What `create` answered for a prediction that exists: as it was created, or as it ended if the caller waits for that.

        Raises:
            NotFound: If it was deleted since.
        """
        prediction = await self.get(account, prediction_id)
        if wait_seconds is not None:
            if not is_terminal(prediction.status):
                await self._hub.wait_finished(prediction.id, timeout_seconds=self._patience_seconds(wait_seconds))
                prediction = await self.get(account, prediction_id)
            if is_terminal(prediction.status):
                return prediction
        return as_created(prediction)

    def _patience_seconds(self, wait_seconds: float) -> float:
        return min(wait_seconds, self._wait_seconds_max) * (1 - SYNC_MARGIN)

    async def _admit(self, prediction: Prediction, version: Version, turn: Turn | None, *, is_held_back: bool) -> None:
        """Hand a prediction to the dispatcher and return when it is on disk, or when the recorder will see to that.

        The dispatcher comes first and the insert is submitted before the loop turns, so the store applies the insert before
        anything that the run leads to, and the code runs while the insert is being committed (docs/decisions/0040).
        """
        consequences = NOTHING if turn is None else Consequences(key=turn.build_key(self._clock, prediction_id=prediction.id))
        if prediction.claim is None:
            self._dispatcher.enqueue(version)
            try:
                await self._store.create_prediction(prediction, consequences)
            except Exception:
                self._dispatcher.not_queued()
                raise
            self._dispatcher.queued(version)
        elif is_held_back:
            self._dispatcher.run_claimed(version, prediction, is_held_back=True)
        else:
            self._dispatcher.run_claimed(version, prediction, is_held_back=False)
            try:
                await self._store.create_prediction(prediction, consequences)
            except Exception:
                self._dispatcher.not_stored(prediction.id)
                raise
        if turn is not None:
            turn.recorded()
        if prediction.deadline_at is not None:
            self._scheduler.wake_expirer()

    def _may_hold_back(self, prediction: Prediction, version: Version) -> bool:
        is_plain = prediction.stream_token is None and prediction.webhook is None and prediction.deadline_at is None
        return is_plain and self._dispatcher.may_hold_back(version)

    def _build(self, request: CreatePrediction, checked: Mapping[str, Any], claim: Claim | None, now: datetime) -> Prediction:
        version = request.version
        shape = self._shapes.get(version.id)
        if shape is None:
            if len(self._shapes) >= _SHAPES_REMEMBERED:
                self._shapes.clear()
            shape = self._shapes[version.id] = stream_shape(version)
        after = request.cancel_after_seconds
        return Prediction(
            id=build_prediction_id(self._randomness(16)),
            account_id=request.account.id,
            model_id=version.model_id,
            model=version.model,
            version_id=version.id,
            status=Status.STARTING,
            input=checked,
            created_at=now,
            source=request.source,
            deployment=request.deployment,
            hardware=request.hardware or version.hardware,
            deadline_at=now + timedelta(seconds=after) if after is not None else None,
            webhook=request.webhook,
            stream_token=build_secret_text(self._randomness(32)) if shape.streams else None,
            is_file_stream=shape.carries_files,
            attempt=0 if claim is None else 1,
            claim=claim,
        )

    async def get(self, account: Account, prediction_id: str) -> Prediction:
        """Load one of the caller's predictions as it stands.

        Raises:
            NotFound: If there is none of this id, or it is another account's.
        """
        prediction = await self._store.prediction(PredictionId(prediction_id))
        if prediction is None or prediction.account_id != account.id:
            raise NotFound
        return prediction

    async def standing(self, prediction: Prediction) -> Standing | None:
        """Where a prediction stands in the queue, or runs; None when it has ended."""
        return None if is_terminal(prediction.status) else await self._scheduler.standing(prediction)

    async def list(self, filters: PredictionFilter, cursor: str | None) -> Page[Prediction]:
        """One page of an account's predictions, newest first.

        Raises:
            CursorInvalid: If the cursor is not one of ours.
        """
        return await self._store.list_predictions(filters, cursor=cursor, limit=LIST_PAGE)

    async def cancel(self, account: Account, prediction_id: str) -> Prediction:
        """Cancel one of the caller's predictions; one that has ended is returned unchanged.

        Raises:
            NotFound: If there is none of this id, or it is another account's.
        """
        prediction = await self.get(account, prediction_id)
        if is_terminal(prediction.status):
            return prediction
        return await self._scheduler.cancel(prediction)

    def is_running(self, model_id: ModelId, version_id: VersionId) -> bool:
        """Whether a prediction of a version runs here now; its row may not be stored yet."""
        running = (run.recorder.prediction for run in self._dispatcher.runs())
        return any((prediction.model_id, prediction.version_id) == (model_id, version_id) for prediction in running)

    async def by_stream(self, stream_token: str) -> Prediction:
        """The prediction behind a stream URL, whose token is all the permission it needs.

        Raises:
            NotFound: If no prediction has this token.
        """
        prediction = await self._store.prediction_by_stream(stream_token)
        if prediction is None:
            raise NotFound
        return prediction

    def events(self, prediction: Prediction, *, after: int) -> AsyncIterator[Sequence[Event]]:
        """Follow a prediction's events after a sequence number until ``done``; an empty batch is a heartbeat."""
        return self._hub.read(prediction.id, after=after)
