"""The database refuses what the lifecycle table refuses, also to raw SQL."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from replicate_server.domain.lifecycle import TERMINAL, TRANSITIONS, Status
from replicate_server.ports.clock import SystemClock
from replicate_server.store import open_store
from replicate_server.store.lifecycle_rules import postgresql_trigger

CLAIM = "claim_holder = 'h', claim_instance_id = 'i', claim_expires_at = 9"
NO_CLAIM = "claim_holder = NULL, claim_instance_id = NULL, claim_expires_at = NULL"

SHAPES = {
    Status.STARTING: f"started_at = NULL, completed_at = NULL, {CLAIM}",
    Status.PROCESSING: f"started_at = 2, completed_at = NULL, {CLAIM}",
    Status.SUCCEEDED: f"started_at = 2, completed_at = 3, {NO_CLAIM}",
    Status.FAILED: f"started_at = NULL, completed_at = 3, {NO_CLAIM}",
    Status.CANCELED: f"started_at = NULL, completed_at = 3, {NO_CLAIM}",
    Status.ABORTED: f"started_at = NULL, completed_at = 3, {NO_CLAIM}",
}
"""A row of each status that the checks accept, so that only the trigger can refuse a change between two of them."""

ALLOWED = {(current, target) for current, targets in TRANSITIONS.items() for target in targets}
THROUGH_PROCESSING = (Status.STARTING, Status.SUCCEEDED)
PAIRS = [(current, target) for current in Status for target in Status if current is not target]


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    asyncio.run(open_store(tmp_path / "s.sqlite3", clock=SystemClock()).close())
    connection = sqlite3.connect(tmp_path / "s.sqlite3", isolation_level=None)
    yield connection
    connection.close()


def insert(raw: sqlite3.Connection, status: Status) -> None:
    """Insert a starting prediction and bring it to a status by allowed steps."""
    raw.execute(
        "INSERT INTO predictions (id, account_id, model_id, model, version_id, status, source, created_at, claim_token, attempt,"
        " is_file_stream, data_removed, text_length, metrics, input, logs)"
        " VALUES ('p', 'a', 'm', 'o/m', 'v', 'starting', 'api', 1, 1, 0, 0, 0, 0, '{}', '{}', '')"
    )
    raw.execute(f"UPDATE predictions SET status = '{status}', {SHAPES[status]}")


@pytest.mark.parametrize(("current", "target"), sorted({*ALLOWED, THROUGH_PROCESSING}))
def test_an_allowed_change_of_status_is_accepted(raw: sqlite3.Connection, current: Status, target: Status) -> None:
    insert(raw, current)
    raw.execute(f"UPDATE predictions SET status = '{target}', {SHAPES[target]}")
    assert raw.execute("SELECT status FROM predictions").fetchone() == (target.value,)


@pytest.mark.parametrize(("current", "target"), [pair for pair in PAIRS if pair not in {*ALLOWED, THROUGH_PROCESSING}])
def test_every_other_change_of_status_is_refused(raw: sqlite3.Connection, current: Status, target: Status) -> None:
    insert(raw, current)
    with pytest.raises(sqlite3.IntegrityError, match="cannot make this change"):
        raw.execute(f"UPDATE predictions SET status = '{target}', {SHAPES[target]}")


@pytest.mark.parametrize("status", sorted(TERMINAL))
@pytest.mark.parametrize(
    "change",
    ["output = '1'", "error = 'x'", "logs = 'x'", "metrics = '{\"a\":1}'", "completed_at = 99", "data_removed = 1, output = '1'"],
)
def test_an_outcome_never_changes(raw: sqlite3.Connection, status: Status, change: str) -> None:
    insert(raw, status)
    with pytest.raises(sqlite3.IntegrityError, match="outcome of a prediction never changes"):
        raw.execute(f"UPDATE predictions SET {change}")


def test_the_data_of_an_ended_prediction_can_be_removed(raw: sqlite3.Connection) -> None:
    insert(raw, Status.STARTING)
    raw.execute(f"UPDATE predictions SET status = 'failed', {SHAPES[Status.FAILED]}, error = 'e', logs = 'l', output = '1'")
    raw.execute("UPDATE predictions SET data_removed = 1, input = '{}', output = NULL, error = NULL, logs = '', metrics = '{}'")
    assert raw.execute("SELECT status, logs FROM predictions").fetchone() == ("failed", "")


def test_a_token_never_decreases(raw: sqlite3.Connection) -> None:
    insert(raw, Status.STARTING)
    raw.execute("UPDATE predictions SET claim_token = 5")
    with pytest.raises(sqlite3.IntegrityError, match="token never decreases"):
        raw.execute("UPDATE predictions SET claim_token = 4")


@pytest.mark.parametrize(
    ("status", "change"),
    [
        (Status.STARTING, "status = 'unknown'"),
        (Status.STARTING, "completed_at = 3"),
        (Status.STARTING, "started_at = 2"),
        (Status.STARTING, "claim_holder = NULL"),
        (Status.STARTING, f"status = 'succeeded', completed_at = 3, {NO_CLAIM}"),
        (Status.STARTING, f"status = 'aborted', started_at = 2, completed_at = 3, {NO_CLAIM}"),
        (Status.STARTING, "status = 'failed', completed_at = 3"),
        (Status.STARTING, "attempt = -1"),
        (Status.STARTING, "webhook_url = 'https://e.com'"),
        (Status.PROCESSING, "started_at = NULL"),
        (Status.PROCESSING, NO_CLAIM),
        (Status.FAILED, CLAIM),
    ],
)
def test_a_row_that_contradicts_itself_is_refused(raw: sqlite3.Connection, status: Status, change: str) -> None:
    insert(raw, status)
    with pytest.raises(sqlite3.IntegrityError, match=r"CHECK constraint failed|cannot make this change"):
        raw.execute(f"UPDATE predictions SET {change}")


def test_the_postgresql_trigger_says_the_same_things() -> None:
    text = postgresql_trigger()
    assert text.count("IS DISTINCT FROM") == 12
    assert " IS NOT OLD" not in text
    for message in ("cannot make this change of status", "outcome of a prediction never changes", "token never decreases"):
        assert text.count(message) == 1
