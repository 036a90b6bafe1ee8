"""What every store test needs: an open store of each adapter, times, and records with sensible values."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from replicate_server.domain.ids import AccountId, HolderId, InstanceId, ModelId, PredictionId, VersionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Event, Model, Package, Prediction, Version
from replicate_server.ports.clock import SystemClock
from replicate_server.ports.store import Store
from replicate_server.store import open_store

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)

OPENERS: dict[str, Callable[[Path], Store]] = {
    "sqlite": lambda folder: open_store(folder / "store.sqlite3", clock=SystemClock()),
}
"""One entry per adapter; every conformance test runs on each."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=sorted(OPENERS))
def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Opens a store on the same data each time."""
    return lambda: OPENERS[request.param](tmp_path)


@pytest.fixture
async def store(open_again: Callable[[], Store], anyio_backend: str) -> AsyncIterator[Store]:
    opened = open_again()
    yield opened
    await opened.close()


@pytest.fixture
def at() -> Callable[[float], datetime]:
    """Seconds after the beginning of the test's time."""
    return lambda seconds: BEGINNING + timedelta(seconds=seconds)


@pytest.fixture
def new_prediction() -> Callable[..., Prediction]:
    """Builds predictions, each a second younger than the one before."""
    numbers = count(1)

    def build(**changes: Any) -> Prediction:
        number = next(numbers)
        values: dict[str, Any] = {
            "id": PredictionId(f"prediction{number:04}"),
            "account_id": AccountId("acct_a"),
            "model_id": ModelId("model_m"),
            "model": "ada/hello",
            "version_id": VersionId("v1"),
            "status": Status.STARTING,
            "input": {"text": "hi"},
            "created_at": BEGINNING + timedelta(seconds=number),
        }
        return Prediction(**{**values, **changes})

    return build


@pytest.fixture
def claimed(store: Store, new_prediction: Callable[..., Prediction]) -> Callable[..., Awaitable[Prediction]]:
    """Stores a prediction and claims it."""

    async def create(**changes: Any) -> Prediction:
        prediction = new_prediction(**changes)
        await store.create_prediction(prediction)
        [claimed_one] = await store.claim_predictions(
            prediction.version_id,
            claims_max=1,
            holder=HolderId("holder-a"),
            instance_id=InstanceId("instance-a"),
            expires_at=BEGINNING + timedelta(seconds=1000),
        )
        return claimed_one

    return create


@pytest.fixture
def new_event() -> Callable[..., Event]:
    def build(prediction: Prediction, sequence: int, kind: str, data: Any) -> Event:
        return Event(prediction.id, sequence, kind, data, BEGINNING + timedelta(seconds=sequence))

    return build


@pytest.fixture
def new_model() -> Callable[..., Model]:
    def build(name: str, **changes: Any) -> Model:
        values: dict[str, Any] = {
            "id": ModelId(f"model_{name}"),
            "account_id": AccountId("acct_a"),
            "owner": "ada",
            "name": name,
            "visibility": "public",
            "created_at": BEGINNING,
        }
        return Model(**{**values, **changes})

    return build


@pytest.fixture
def new_version() -> Callable[..., Version]:
    def build(version_id: str, model: Model, **changes: Any) -> Version:
        values: dict[str, Any] = {
            "id": VersionId(version_id),
            "model_id": model.id,
            "owner": model.owner,
            "name": model.name,
            "created_at": BEGINNING,
            "cog_version": "0.16.9",
            "openapi_schema": {"openapi": "3.0.2", "paths": {}},
            "manifest": b'{"schemaVersion": 2}',
            "package": Package(
                runner="predict.py:Predictor",
                layers=("sha256:aa",),
                python_version="3.11",
                requirements_lock="",
                environment={"A": "b"},
                system_packages=("ffmpeg",),
            ),
            "hardware": model.hardware,
        }
        return Version(**{**values, **changes})

    return build
