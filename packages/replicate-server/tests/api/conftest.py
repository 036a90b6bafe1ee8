"""The API over a real store and real blobs in memory, with predictions played by a script."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from replicate_server.api.app import Api, ApiLimits, ApiServices, build_app
from replicate_server.api.urls import Urls
from replicate_server.blobs import ObjectBlobs, build_memory_blobs
from replicate_server.bootstrap import build_catalogue
from replicate_server.domain.errors import NotFound
from replicate_server.domain.ids import VersionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.rate_limits import RateClass
from replicate_server.domain.records import Account, Event, Model, Package, Page, Prediction, Standing, Version
from replicate_server.ports.fetching import Fetched, FetchRefused, PostAnswer
from replicate_server.ports.store import CursorInvalid, PredictionFilter
from replicate_server.services.accounts import AccountService
from replicate_server.services.files import FileService
from replicate_server.services.idempotency import IdempotentCreates
from replicate_server.services.models import ModelService
from replicate_server.services.predictions import CreatePrediction, as_created
from replicate_server.services.rate_limiter import RateLimiter
from replicate_server.services.validation import validate_input
from replicate_server.services.version_removal import RemovalParts
from replicate_server.services.versions import VersionService
from replicate_server.store import SqlStore, open_store

BASE_URL = "http://testserver"
TOKEN = "r8_first_account_of_the_tests"
OTHER_TOKEN = "r8_second_account_of_the_tests"
RATES = {RateClass.PREDICTION_CREATES: 600, RateClass.PREDICTION_READS: 60_000, RateClass.OTHERS: 3_000}
NOW = datetime(2024, 8, 22, 12, 26, 51, 79000, tzinfo=UTC)

SCHEMA: dict[str, Any] = {
    "openapi": "3.0.2",
    "info": {"title": "Cog", "version": "0.1.0"},
    "paths": {},
    "components": {
        "schemas": {
            "Input": {
                "type": "object",
                "required": ["prompt"],
                "properties": {
                    "prompt": {"type": "string"},
                    "steps": {"type": "integer", "minimum": 1, "maximum": 4, "default": 2},
                    "scheduler": {"allOf": [{"$ref": "#/components/schemas/scheduler"}], "default": "EulerA"},
                },
            },
            "scheduler": {"type": "string", "enum": ["EulerA", "MultistepDPM-Solver"]},
            "Output": {"type": "string"},
        }
    },
}


@dataclass
class FakeClock:
    """A clock that tests set."""

    time: datetime = NOW

    def now(self) -> datetime:
        return self.time

    def advance(self, **amount: float) -> None:
        self.time += timedelta(**amount)


class CountingBytes:
    """Randomness that never repeats and always replays."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, count: int) -> bytes:
        self.count += 1
        return hashlib.shake_256(str(self.count).encode()).digest(count)


@dataclass
class ScriptedFetcher:
    """Refuses hosts that a test names."""

    refused: set[str] = field(default_factory=set)

    def check(self, url: str) -> None:
        if httpx.URL(url).host in self.refused:
            raise FetchRefused("The address is private")

    def get(self, url: str, *, size_bytes_max: int) -> AbstractAsyncContextManager[Fetched]:
        raise AssertionError("the API fetches nothing")

    async def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        raise AssertionError("the API posts nothing")


class ScriptedPredictions:
    """Stands for the prediction service: remembers what it was asked and answers with what a test prepared."""

    def __init__(self, keys: SqlStore, clock: FakeClock) -> None:
        self.keys = keys
        self.clock = clock
        self.requests: list[CreatePrediction] = []
        self.filters: list[PredictionFilter] = []
        self.known: dict[str, Prediction] = {}
        self.standings: dict[str, Standing] = {}
        self.batches: list[Sequence[Event]] = []
        self.read_after: list[int] = []
        self.next_cursor: str | None = None
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.closed = asyncio.Event()
        self.holds_open = False

    def add(self, prediction: Prediction) -> Prediction:
        self.known[prediction.id] = prediction
        return prediction

    async def create(self, request: CreatePrediction) -> Prediction:
        if self.failure is not None:
            raise self.failure
        validate_input(request.version, request.input)
        self.requests.append(request)
        prediction = self.add(build_prediction(request.account, request.version, input=request.input, webhook=request.webhook))
        if request.turn is not None:
            await self.keys.create_idempotency_key(request.turn.build_key(self.clock, prediction_id=prediction.id))
            request.turn.recorded()
        return prediction

    async def repeat_create(self, account: Account, prediction_id: str, *, wait_seconds: float | None) -> Prediction:
        return as_created(await self.get(account, prediction_id))

    async def get(self, account: Account, prediction_id: str) -> Prediction:
        found = self.known.get(prediction_id)
        if found is None or found.account_id != account.id:
            raise NotFound
        return found

    async def standing(self, prediction: Prediction) -> Standing | None:
        return self.standings.get(prediction.id)

    async def list(self, filters: PredictionFilter, cursor: str | None) -> Page[Prediction]:
        if cursor == "nonsense":
            raise CursorInvalid
        self.filters.append(filters)
        return Page(list(self.known.values()), self.next_cursor, None)

    async def cancel(self, account: Account, prediction_id: str) -> Prediction:
        found = await self.get(account, prediction_id)
        return self.add(replace(found, status=Status.CANCELED, completed_at=NOW))

    async def by_stream(self, stream_token: str) -> Prediction:
        found = [prediction for prediction in self.known.values() if prediction.stream_token == stream_token]
        if not found:
            raise NotFound
        return found[0]

    async def events(self, prediction: Prediction, *, after: int) -> AsyncIterator[Sequence[Event]]:
        self.read_after.append(after)
        try:
            for batch in self.batches:
                yield [event for event in batch if event.sequence > after]
            if self.holds_open:
                await self.gate.wait()
        finally:
            self.closed.set()


@dataclass
class DiscardedPackages:
    """Remembers which versions' files were removed; a test says which versions run."""

    discarded: list[VersionId] = field(default_factory=list)
    running: set[VersionId] = field(default_factory=set)

    async def discard(self, version_id: VersionId) -> None:
        self.discarded.append(version_id)


class ScriptedPublishing:
    """Stands for the publish service."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.archives: list[bytes] = []

    async def publish(self, account: Account, *, owner: str, name: str, archive: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        self.archives.append(b"".join([chunk async for chunk in archive]))
        for item in self.items:
            if isinstance(item, Exception):
                raise item
            yield item


def build_prediction(account: Account, version: Version, **changes: Any) -> Prediction:
    """A starting prediction."""
    prediction = Prediction(
        id="hdwst0bb05rgp0cf0p29mzk2am",  # type: ignore[arg-type]
        account_id=account.id,
        model_id=version.model_id,
        model=version.model,
        version_id=version.id,
        status=Status.STARTING,
        input={"prompt": "hi"},
        created_at=NOW,
    )
    return replace(prediction, **changes)


def build_version(model: Model, digit: str = "a") -> Version:
    """A version whose id repeats one digit."""
    return Version(
        id=VersionId(digit * 64),
        model_id=model.id,
        owner=model.owner,
        name=model.name,
        created_at=NOW,
        cog_version="0.16.9",
        openapi_schema=SCHEMA,
        manifest=b"{}",
        package=Package(runner="predict.py:Predictor", layers=(), python_version="3.11", requirements_lock=""),
    )


@dataclass
class World:
    """Everything around one application."""

    app: Api
    store: SqlStore
    blobs: ObjectBlobs
    clock: FakeClock
    fetcher: ScriptedFetcher
    predictions: ScriptedPredictions
    publishing: ScriptedPublishing
    packages: DiscardedPackages
    services: ApiServices
    account: Account
    other: Account
    model: Model
    version: Version

    def prediction(self, **changes: Any) -> Prediction:
        return self.predictions.add(build_prediction(self.account, self.version, **changes))

    async def publish(self, digit: str, model: Model | None = None) -> Version:
        version = build_version(model or self.model, digit)
        await self.store.create_version(replace(version, created_at=self.clock.now()))
        return version

    async def publish_content(self, digit: str, manifest: dict[str, Any], layers: Sequence[str]) -> Version:
        """Publish a version with a manifest; each a second younger than the one before."""
        self.clock.advance(seconds=1)
        version = build_version(self.model, digit)
        package = replace(version.package, layers=tuple(f"sha256:{layer}" for layer in layers))
        document = json.dumps(manifest).encode()
        published = replace(version, created_at=self.clock.now(), manifest=document, package=package)
        await self.store.create_version(published)
        return published


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy: migrating one for every test would take most of the tests' time."""
    path = tmp_path_factory.mktemp("empty") / "store.db"

    async def migrate() -> None:
        await open_store(path, clock=FakeClock()).close()

    asyncio.run(migrate())
    return path


@pytest.fixture
async def world(anyio_backend: str, tmp_path: Path, empty_database: Path) -> AsyncIterator[World]:
    clock, randomness, blobs = FakeClock(), CountingBytes(), build_memory_blobs()
    store = open_store(shutil.copy(empty_database, tmp_path / "store.db"), clock=clock)
    accounts = AccountService(store, clock, randomness)
    models = ModelService(store, clock, randomness)
    fetcher, predictions, publishing = ScriptedFetcher(), ScriptedPredictions(store, clock), ScriptedPublishing()
    versions = VersionService(store, models, clock)
    packages = DiscardedPackages()
    services = ApiServices(
        accounts=accounts,
        predictions=predictions,  # type: ignore[arg-type]
        models=models,
        versions=versions,
        files=FileService(store, blobs, clock, randomness, size_bytes_max=1_000_000, expiry_seconds=86_400),
        publishing=publishing,  # type: ignore[arg-type]
        creates=IdempotentCreates(store, clock, keep_seconds=86_400),
        limiter=RateLimiter(RATES, lambda: (clock.now() - NOW).total_seconds()),
        fetcher=fetcher,
        clock=clock,
        catalogue=build_catalogue(
            store,
            models,
            versions,
            clock,
            randomness,
            RemovalParts(blobs, packages, asyncio.Lock(), lambda model_id, version_id: version_id in packages.running),
        ),
    )
    first, second = await accounts.create_account("alice"), await accounts.create_account("bob")
    await accounts.create_token(first.id, name="test", token=TOKEN)
    await accounts.create_token(second.id, name="test", token=OTHER_TOKEN)
    model = await models.create(first, {"owner": "alice", "name": "echo", "visibility": "public", "hardware": "cpu"})
    version = build_version(model)
    await store.create_version(version)
    app = build_app(services, Urls(BASE_URL), ApiLimits(prediction_body_bytes_max=100_000))
    yield World(app, store, blobs, clock, fetcher, predictions, publishing, packages, services, first, second, model, version)
    await store.close()


@pytest.fixture
async def call(world: World) -> AsyncIterator[Callable[..., Awaitable[httpx.Response]]]:
    """Make one request as the first account: ``await call("GET", "/v1/account")``; ``token=None`` sends none."""
    client = httpx.AsyncClient(transport=httpx.ASGITransport(world.app, raise_app_exceptions=False), base_url=BASE_URL)

    async def send(method: str, path: str, *, token: str | None = TOKEN, **options: Any) -> httpx.Response:
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return await client.request(method, path, headers=headers, **options)

    async with client:
        yield send


@pytest.fixture
async def address(world: World) -> AsyncIterator[str]:
    """The application behind a real socket; returns its base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(world.app, lifespan="on", log_level="warning", ws="none"))

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield
        server.should_exit = True
        await serving

    async with running():
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
