"""The writer: one thread that applies operations in the order of submission and commits many of them at once.

A commit costs one disk flush however much is in it, so while one flush runs the next batch gathers: latency stays one or two
flushes and throughput grows with load. Awaiting coroutines are woken together, by one call into their loop.

It does not know what operations mean. See docs/decisions/0020-one-writer-thread-with-group-commit.md.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Sequence
from itertools import groupby
from typing import Any, ClassVar, Final, Generic, NamedTuple, TypeVar

from replicate_server.ports.store import StorageUnavailable
from replicate_server.store.statements import Connection, Database

logger = logging.getLogger(__name__)

T = TypeVar("T")

BATCH_MAX: Final = 1000
"""Operations of one commit, up to one turn of the loop more: bounds how long the first waits for the last."""
WAITING_MAX: Final = 10_000
"""Operations not yet on disk; then new work is refused. What continues or ends accepted work is always taken."""


class Operation(Generic[T]):
    """A write: applied inside the writer's transaction, on the writer's thread, together with its neighbours."""

    is_new_work: ClassVar[bool] = False
    """Whether it may be refused when too much waits."""

    def apply(self, connection: Connection) -> T:
        """Make the change. May be called again after everything it did was rolled back."""
        raise NotImplementedError

    @classmethod
    def apply_group(cls, connection: Connection, operations: Sequence[Any]) -> list[Any]:
        """Apply consecutive operations of this class, in order. Override where many at once are cheaper."""
        return [operation.apply(connection) for operation in operations]


class _Submission(NamedTuple):
    operation: Operation[Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class _Settled(NamedTuple):
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None


class Writer:
    """Owns the writing connection and its thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._gathered: list[_Submission] = []
        self._gathering_loop: asyncio.AbstractEventLoop | None = None
        self._queue: queue.SimpleQueue[list[_Submission] | None] = queue.SimpleQueue()
        self._waiting_count = 0
        self._is_closed = False
        self._connection: Connection | None = database.connect_writer()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def write(self, operation: Operation[T]) -> T:
        """Submit an operation and wait until it is on disk. Cancelling the wait does not take the operation back.

        Raises:
            StorageUnavailable: If storage cannot serve now; nothing was changed.
            Exception: What the operation raised; its neighbours are not affected.
        """
        if self._is_closed:
            raise StorageUnavailable("the store is closed")
        if operation.is_new_work and self._waiting_count >= WAITING_MAX:
            raise StorageUnavailable("too much is waiting to be written")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._gathered.append(_Submission(operation, future, loop))
        self._waiting_count += 1
        if self._gathering_loop is not loop:
            # Handed over once this turn of the loop is done: coroutines that one commit woke write again in one turn, and a
            # thread woken by the first of them would spend a flush on it alone.
            self._gathering_loop = loop
            loop.call_soon(self._hand_over)
        return await future

    async def close(self) -> None:
        """Write what was submitted, then end the thread and close the connection. Calling it again is fine."""
        if not self._is_closed:
            self._is_closed = True
            self._hand_over()
            self._queue.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _hand_over(self) -> None:
        self._gathering_loop = None
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._queue.put(gathered)

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._take()
            if batch:
                self._settle(batch, self._write(batch))
        if self._connection is not None:
            self._connection.close()

    def _take(self) -> tuple[list[_Submission], bool]:
        """Wait for submissions, then take what has gathered behind them. False at the end."""
        gathered = self._queue.get()
        batch: list[_Submission] = []
        while gathered is not None:
            batch += gathered
            if len(batch) >= BATCH_MAX:
                return batch, True
            try:
                gathered = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _write(self, batch: Sequence[_Submission]) -> list[_Settled]:
        """Apply a batch in one transaction; if anything in it fails, apply each operation behind a savepoint of its own."""
        try:
            try:
                return self._write_together(batch)
            except Exception as error:
                self._roll_back()
                if self._database.is_unavailable(error):
                    raise
                return self._write_apart(batch)
        except Exception as error:  # noqa: BLE001 - the thread must outlive whatever happens to one batch
            self._roll_back()
            return self._refuse(batch, error)

    def _write_together(self, batch: Sequence[_Submission]) -> list[_Settled]:
        connection = self._connect()
        connection.begin()
        results: list[Any] = []
        for kind, group in groupby((submission.operation for submission in batch), key=_kind):
            operations = list(group)
            results += kind.apply_group(connection, operations) if len(operations) > 1 else [operations[0].apply(connection)]
        connection.commit()
        return [_Settled(submission.future, result) for submission, result in zip(batch, results, strict=True)]

    def _write_apart(self, batch: Sequence[_Submission]) -> list[_Settled]:
        connection = self._connect()
        connection.begin()
        settled = []
        for submission in batch:
            connection.savepoint()
            try:
                settled.append(_Settled(submission.future, submission.operation.apply(connection)))
            except Exception as error:
                if self._database.is_unavailable(error):
                    raise
                connection.undo_savepoint()
                settled.append(_Settled(submission.future, error=error))
            else:
                connection.release_savepoint()
        connection.commit()
        return settled

    def _refuse(self, batch: Sequence[_Submission], cause: Exception) -> list[_Settled]:
        if not self._database.is_unavailable(cause):
            logger.exception("the writer failed", exc_info=cause)
        else:
            logger.error("storage is unavailable: %s", cause)
        # The connection may be of no more use: the next batch opens a new one.
        self._disconnect()
        settled = []
        for submission in batch:
            error = StorageUnavailable(f"storage is unavailable: {cause}")
            error.__cause__ = cause
            settled.append(_Settled(submission.future, error=error))
        return settled

    def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = self._database.connect_writer()
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except Exception:
                logger.exception("closing the broken connection failed")

    def _roll_back(self) -> None:
        if self._connection is not None:
            try:
                self._connection.rollback()
            except Exception:
                logger.exception("rolling back failed")
                self._disconnect()

    def _settle(self, batch: Sequence[_Submission], settled: Sequence[_Settled]) -> None:
        loops: dict[asyncio.AbstractEventLoop, list[_Settled]] = {}
        for submission, outcome in zip(batch, settled, strict=True):
            loops.setdefault(submission.loop, []).append(outcome)
        for loop, outcomes in loops.items():
            try:
                loop.call_soon_threadsafe(self._resolve, outcomes)
            except RuntimeError:
                logger.warning("a loop closed before %d of its writes returned; they are on disk", len(outcomes))

    def _resolve(self, outcomes: Sequence[_Settled]) -> None:
        self._waiting_count -= len(outcomes)
        for outcome in outcomes:
            # A cancelled awaiter is no longer interested; its write was made all the same.
            if outcome.future.done():
                continue
            if outcome.error is None:
                outcome.future.set_result(outcome.result)
            else:
                outcome.future.set_exception(outcome.error)


def _kind(operation: Operation[Any]) -> type[Operation[Any]]:
    return type(operation)
