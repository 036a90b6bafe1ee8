"""The writer: batches, failures that stay where they happen, storage that comes back, limits."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from replicate_server.domain.records import Prediction
from replicate_server.ports.clock import SystemClock
from replicate_server.ports.store import StorageUnavailable
from replicate_server.store import SqlStore, open_store, sqlite, writer
from replicate_server.store.sqlite import SqliteConnection, SqliteDatabase
from replicate_server.store.statements import Connection, Statement
from replicate_server.store.writer import Operation, Writer

pytestmark = pytest.mark.anyio

NewPrediction = Callable[..., Prediction]


class FlakyConnection(SqliteConnection):
    """Fails the commits its database tells it to."""

    def __init__(self, path: Path, database: FlakyDatabase) -> None:
        super().__init__(path, cache_kibibytes=100, is_writer=True)
        self._database = database

    def commit(self) -> None:
        self._database.commits += 1
        if self._database.failures:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = self._database.failures.pop()
            raise error
        super().commit()


class FlakyDatabase(SqliteDatabase):
    """Counts commits, and fails those it is told to with an error code each."""

    commits = 0
    connects = 0

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.failures: list[int] = []

    def connect_writer(self) -> SqliteConnection:
        self.connects += 1
        return FlakyConnection(self.path, self)


class Add(Operation[int]):
    """Appends a number to a list, or raises."""

    is_new_work = True

    def __init__(self, applied: list[int], number: int, error: Exception | None = None) -> None:
        self._applied = applied
        self._number = number
        self._error = error

    def apply(self, connection: Connection) -> int:
        if self._error:
            raise self._error
        self._applied.append(self._number)
        return self._number


@pytest.fixture
def database(tmp_path: Path) -> FlakyDatabase:
    return FlakyDatabase(tmp_path / "flaky.sqlite3")


@pytest.fixture
async def flaky(database: FlakyDatabase, anyio_backend: str) -> AsyncIterator[Writer]:
    opened = Writer(database)
    yield opened
    await opened.close()


@pytest.fixture
async def opened(tmp_path: Path, anyio_backend: str) -> AsyncIterator[SqlStore]:
    store = open_store(tmp_path / "store.sqlite3", clock=SystemClock())
    yield store
    await store.close()


async def test_what_is_submitted_in_one_turn_shares_one_commit_in_order(flaky: Writer, database: FlakyDatabase) -> None:
    applied: list[int] = []
    results = await asyncio.gather(*(flaky.write(Add(applied, number)) for number in range(50)))
    assert results == applied == list(range(50))
    assert database.commits == 1


async def test_an_operation_that_raises_does_not_fail_its_neighbours(flaky: Writer) -> None:
    problem = ValueError("mine")
    operations = [Add([], 1), Add([], 2, problem), Add([], 3)]
    answers = await asyncio.gather(*(flaky.write(operation) for operation in operations), return_exceptions=True)
    assert answers == [1, problem, 3]


class WhichThread(Operation[bool]):
    """Tells whether it was applied on the thread that submitted it."""

    def __init__(self) -> None:
        self._submitter = threading.get_ident()

    def apply(self, connection: Connection) -> bool:
        return threading.get_ident() == self._submitter


async def test_quick_operations_are_applied_where_they_are_submitted_and_long_ones_are_not(flaky: Writer) -> None:
    long = WhichThread()
    long.is_long = True
    assert await flaky.write(WhichThread())
    assert not await flaky.write(long)


async def test_operations_of_a_distant_database_are_applied_on_the_thread(flaky: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FlakyDatabase, "is_quick", False)
    assert not await flaky.write(WhichThread())


async def test_a_failed_commit_fails_its_whole_batch_and_the_writer_recovers(flaky: Writer, database: FlakyDatabase) -> None:
    database.failures = [sqlite3.SQLITE_IOERR]
    answers = await asyncio.gather(*(flaky.write(Add([], number)) for number in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StorageUnavailable] * 3
    assert await flaky.write(Add([], 7)) == 7
    assert database.connects == 2


async def test_new_work_is_refused_while_too_much_waits_and_other_work_is_not(
    flaky: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "WAITING_MAX", 2)
    renewal = Add([], 9)
    renewal.is_new_work = False  # type: ignore[misc]
    operations = [Add([], 1), Add([], 2), Add([], 3), renewal]
    answers = await asyncio.gather(*(flaky.write(operation) for operation in operations), return_exceptions=True)
    assert [type(answer) for answer in answers] == [int, int, StorageUnavailable, int]
    assert await flaky.write(Add([], 4)) == 4


async def test_closing_writes_what_was_submitted_and_refuses_what_comes_after(flaky: Writer) -> None:
    applied: list[int] = []
    submitted = [asyncio.ensure_future(flaky.write(Add(applied, number))) for number in range(5)]
    await asyncio.sleep(0)
    await flaky.close()
    assert await asyncio.gather(*submitted) == applied == list(range(5))
    with pytest.raises(StorageUnavailable, match="closed"):
        await flaky.write(Add(applied, 6))


async def test_a_full_disk_refuses_writes_and_keeps_everything_before(opened: SqlStore, new_prediction: NewPrediction) -> None:
    kept = new_prediction()
    await opened.create_prediction(kept)
    connection = opened._writer._connection
    assert isinstance(connection, SqliteConnection)
    # SQLite reports a database at its page limit exactly as it reports a full disk.
    connection.raw.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StorageUnavailable, match="full"):
        await opened.create_prediction(new_prediction(input={"text": "x" * 100_000}))
    after = new_prediction()
    await opened.create_prediction(after)
    assert [await opened.prediction(one.id) for one in (kept, after)] == [kept, after]


async def test_a_database_locked_by_another_process_is_unavailable_until_it_is_free(
    opened: SqlStore, tmp_path: Path, new_prediction: NewPrediction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.001)
    other = sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable, match="locked"):
        await opened.create_prediction(new_prediction())
    other.execute("ROLLBACK")
    other.close()
    await opened.create_prediction(new_prediction())


async def test_reads_of_a_closed_store_are_refused(opened: SqlStore) -> None:
    await opened.close()
    with pytest.raises(StorageUnavailable, match="closed"):
        await opened.token_by_digest("d")
    with pytest.raises(StorageUnavailable, match="closed"):
        await opened.queues()


async def test_what_cannot_be_encoded_is_refused_before_it_is_submitted(opened: SqlStore, new_prediction: NewPrediction) -> None:
    with pytest.raises(TypeError):
        await opened.create_prediction(new_prediction(input={"value": object()}))
    with pytest.raises(TypeError):
        await opened.create_prediction(new_prediction(created_at=datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)))


def test_a_statement_with_a_value_of_its_own_is_refused() -> None:
    from replicate_server.store.sqlite import DIALECT
    from replicate_server.store.tables import accounts
    from sqlalchemy import select

    with pytest.raises(ValueError, match="fixed value"):
        Statement(select(accounts.c.id).where(accounts.c.id == "x")).compiled(DIALECT)
