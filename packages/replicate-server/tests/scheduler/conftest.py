"""A whole heart for tests: the real SQLite store, hub, scheduler and service around a fake engine and a clock that tests move."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cog.worker.protocol import OutputFile
from replicate_server.domain.ids import AccountId, FileId, ModelId, PredictionId, VersionId
from replicate_server.domain.records import (
    Account,
    Event,
    Model,
    Package,
    Prediction,
    StoredFile,
    Version,
    WebhookMessage,
    WebhookSubscription,
)
from replicate_server.engine.fake import ANY_VERSION, FakeEngine, FakeModel
from replicate_server.events import LocalEventHub
from replicate_server.scheduler.options import SchedulerOptions
from replicate_server.scheduler.scheduler import Scheduler, SchedulerParts
from replicate_server.services.predictions import CreatePrediction, PredictionService
from replicate_server.store import SqlStore, open_store

START = datetime(2026, 1, 1, tzinfo=UTC)
STREAMING = {
    "components": {"schemas": {"Output": {"type": "array", "items": {"type": "string"}, "x-cog-array-type": "iterator"}}}
}
ACCOUNT = Account(AccountId("acct_1"), "ada", "Ada", "user", START)
STRANGER = Account(AccountId("acct_2"), "eve", "Eve", "user", START)
MODEL = Model(ModelId("model_1"), ACCOUNT.id, "ada", "echo", "public", START)


class ManualClock:
    """Moves when told, and by a microsecond at each look so that creations keep their order."""

    def __init__(self) -> None:
        self._now = START

    def now(self) -> datetime:
        self._now += timedelta(microseconds=1)
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class CountingRandomness:
    """Unlike bytes without surprise; one for a whole test, so that two servers in it never make the same id."""

    def __init__(self) -> None:
        self._counter = itertools.count(1)

    def __call__(self, count: int) -> bytes:
        return next(self._counter).to_bytes(count, "big")


class EagerComposer:
    """Composes every subscribed event; the body is a small JSON text."""

    def compose(self, event: str, prediction: Prediction) -> list[WebhookMessage]:
        webhook = prediction.webhook
        if webhook is None or event not in webhook.events:
            return []
        body = json.dumps({"status": prediction.status, "output": prediction.output, "logs": prediction.logs}).encode()
        identity = f"msg_{prediction.id}_{event}_{len(body)}_{len(prediction.logs)}"
        return [WebhookMessage(identity, prediction.account_id, prediction.id, event, webhook.url, body, START, START)]

    def forget(self, prediction_id: PredictionId) -> None:
        pass


class LinkingOutputs:
    """Puts a URL where the file was and remembers the file."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def ingest(self, prediction: Prediction, value: Any, files: Sequence[OutputFile]) -> tuple[Any, list[StoredFile]]:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        rows = [
            StoredFile(
                id=FileId(f"file-{prediction.id}-{file.name}"),
                account_id=prediction.account_id,
                name=file.name,
                content_type="text/plain",
                size_bytes=1,
                sha256="",
                md5="",
                blob_key="b",
                created_at=START,
                prediction_id=prediction.id,
                delivery_token=f"token-{prediction.id}-{file.name}",
            )
            for file in files
        ]
        return f"http://here/delivery/{files[0].name}", rows


class NamedInputs:
    """Brings the file named by the input ``file``; ``error`` makes it fail, ``gate`` makes it wait."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.begun = asyncio.Event()
        self.folders: list[str] = []

    def has_files(self, version: Version, input: Mapping[str, Any]) -> bool:
        return "file" in input

    async def localize(self, prediction: Prediction, version: Version, folder: str) -> dict[str, str]:
        self.folders.append(folder)
        self.begun.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return {"/file": f"{folder}/{prediction.input['file']}"}


def build_version(letter: str = "a", *, schema: Mapping[str, Any] | None = None, is_gpu: bool = False) -> Version:
    package = Package("predict.py:Predictor", (), "3.11", "", is_gpu=is_gpu)
    return Version(VersionId(letter * 64), MODEL.id, "ada", "echo", START, "0.1", schema or {}, b"{}", package)


VERSIONS = {
    **{letter: build_version(letter) for letter in "abcdef"},
    "stream": build_version("9", schema=STREAMING),
    "gpu": build_version("8", is_gpu=True),
}
DEFAULTS = SchedulerOptions(tick_seconds=3600, lease_seconds=36000, shutdown_grace_seconds=0, setup_retry_seconds=0)


class Heart:
    """One server process without HTTP."""

    def __init__(self, store: SqlStore, engine: FakeEngine, options: SchedulerOptions, world: World) -> None:
        self.store = store
        self.engine = engine
        self.clock = world.clock
        self.inputs = world.inputs
        self.outputs = world.outputs
        self.hub = LocalEventHub(store, heartbeat_seconds=30)
        self.scheduler = Scheduler(
            SchedulerParts(
                store=store,
                hub=self.hub,
                engine=engine,
                clock=world.clock,
                randomness=world.randomness,
                composer=EagerComposer(),
                outputs=self.outputs,
                inputs=self.inputs,
                inputs_dir=str(world.folder),
                wake_deliverer=lambda: None,
            ),
            options,
        )
        self.service = PredictionService(
            store, self.hub, self.scheduler, world.clock, world.randomness, lambda version, given: given, wait_seconds_max=60
        )

    async def create(self, version: Version | None = None, **fields: Any) -> Prediction:
        given = fields.pop("input", {"text": "hello"})
        return await self.service.create(CreatePrediction(ACCOUNT, version or VERSIONS["a"], given, **fields))

    async def run(self, version: Version | None = None, **fields: Any) -> Prediction:
        """Create and wait for the end."""
        return await self.create(version, wait_seconds=30, **fields)

    async def warm_then_hold(self, models: dict[VersionId, FakeModel]) -> None:
        """Have one warm instance with claims ahead, and hold what it runs from now on."""
        await self.run()
        await self.tick()
        await self.run()
        models[ANY_VERSION].is_held = True

    async def subscribed(self, version: Version | None = None, **fields: Any) -> Prediction:
        webhook = WebhookSubscription("http://here/hook", frozenset({"start", "output", "logs", "completed"}))
        return await self.create(version, webhook=webhook, **fields)

    async def look(self, prediction: Prediction) -> Prediction:
        return await self.service.get(ACCOUNT, prediction.id)

    async def ended(self, prediction: Prediction) -> Prediction:
        found = await self.hub.wait_finished(prediction.id, timeout_seconds=30)
        assert found is not None
        return found

    async def events(self, prediction: Prediction, *, after: int = 0) -> list[Event]:
        return [event async for batch in self.service.events(prediction, after=after) for event in batch]

    async def tick(self) -> None:
        """Let the planner and the expirer look now."""
        await self.scheduler._plan()
        await self.scheduler._expire()

    async def appear(self, prediction: Prediction) -> None:
        """Let what was put off about a running prediction be written now."""
        for run in self.scheduler.dispatcher.runs():
            if run.recorder.prediction.id == prediction.id:
                run.recorder.appear()
                await run.recorder.flush()


class World:
    """What outlives a server: the data folder, time, chance, and everything beside the heart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.randomness = CountingRandomness()
        self.inputs = NamedInputs()
        self.outputs = LinkingOutputs()

    @asynccontextmanager
    async def heart(
        self,
        models: Mapping[VersionId, FakeModel] | None = None,
        *,
        engine: FakeEngine | None = None,
        dies: bool = False,
        **options: Any,
    ) -> AsyncIterator[Heart]:
        """A started server on the data folder.

        Ticks are so far apart that only events and `Heart.tick` make the planner look.

        Args:
            models: How versions behave; echoing when not named.
            engine: Used instead of one made from ``models``.
            dies: End like a killed process: nothing is written any more but what was submitted. Otherwise it is stopped.
            **options: Changes of `SchedulerOptions`.
        """
        before = asyncio.all_tasks()
        store = open_store(self.folder / "store.sqlite", clock=self.clock)
        if await store.model("ada", "echo") is None:
            await self._fill(store)
        heart = Heart(store, engine or FakeEngine(models), replace(DEFAULTS, **options), self)
        await heart.scheduler.start()
        try:
            yield heart
        finally:
            if dies:
                for task in asyncio.all_tasks() - before - {asyncio.current_task()}:
                    task.cancel()
            else:
                await heart.scheduler.stop()
            await store.close()

    def version(self, letter: str = "a") -> Version:
        """One of the stored versions."""
        return VERSIONS[letter]

    async def _fill(self, store: SqlStore) -> None:
        await store.create_account(ACCOUNT)
        await store.create_model(MODEL)
        for version in VERSIONS.values():
            await store.create_version(version)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def build_world(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], World]:
    """Worlds on new folders, for tests that make many."""
    return lambda: World(tmp_path_factory.mktemp("world"))
