"""Databases of earlier releases: what they hold is there after the upgrade, and works."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from replicate_server.domain.ids import AccountId, PredictionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import IdempotencyKey, Prediction, WebhookSecret
from replicate_server.ports.clock import SystemClock
from replicate_server.ports.store import Consequences, PredictionFilter, Store
from replicate_server.store import open_store
from replicate_server.store.migrations.upgrade import script_directory
from sqlalchemy import create_engine

pytestmark = pytest.mark.anyio

At = Callable[[float], datetime]
ADA = AccountId("acct_a")
OLD_PREDICTION = """
    INSERT INTO predictions (id, account_id, model_id, model, version_id, status, source, created_at, started_at, completed_at,
        claim_token, attempt, is_file_stream, data_removed, text_length, metrics, input, output, logs)
    VALUES ('old', 'acct_a', 'm', 'ada/hello', 'v1', 'succeeded', 'api', 1, 2, 3, 1, 1, 0, 0, 10, '{}', '{}', '"hi"', '')
"""


def build_first_release(path: Path) -> None:
    """A database as the first schema made it, with a secret and a prediction that ended."""
    scripts = script_directory()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        context = EnvironmentContext(Config(), scripts, fn=lambda revision, _: scripts._upgrade_revs("0001", revision))
        context.configure(connection=connection)
        context.run_migrations()
    engine.dispose()
    with sqlite3.connect(path) as raw:
        raw.execute(OLD_PREDICTION)
        raw.execute("INSERT INTO webhook_secrets VALUES ('acct_a', 'whsec_old', 1)")
    raw.close()


@pytest.fixture
async def upgraded(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Store]:
    build_first_release(tmp_path / "store.sqlite3")
    store = open_store(tmp_path / "store.sqlite3", clock=SystemClock())
    yield store
    await store.close()


async def test_an_old_prediction_is_read_without_what_was_not_recorded_then(upgraded: Store) -> None:
    prediction = await upgraded.prediction(PredictionId("old"))
    assert prediction is not None
    assert (prediction.output, prediction.hardware, prediction.instance_id) == ("hi", None, None)


async def test_old_predictions_are_found_by_the_new_filters(upgraded: Store) -> None:
    for filters in ({"status": Status.SUCCEEDED}, {"model": "ada/hello"}, {"version_id": "v1"}):
        page = await upgraded.list_predictions(PredictionFilter(ADA, **filters), cursor=None, limit=5)
        assert [prediction.id for prediction in page.results] == ["old"]


async def test_an_old_secret_can_be_rotated(upgraded: Store, at: At) -> None:
    await upgraded.rotate_webhook_secret(WebhookSecret(ADA, "whsec_new", at(0)), valid_until=at(10))
    retired = await upgraded.retired_webhook_secret(ADA)
    assert retired is not None
    assert retired.key == "whsec_old"


async def test_keys_are_stored_in_an_upgraded_database(
    upgraded: Store, new_prediction: Callable[..., Prediction], at: At
) -> None:
    prediction = new_prediction(hardware="cpu")
    key = IdempotencyKey(ADA, "k", "digest", at(0), at(10), prediction.id)
    await upgraded.create_prediction(prediction, Consequences(key=key))
    assert await upgraded.idempotency_key(ADA, "k") == key
    assert await upgraded.prediction(prediction.id) == prediction
