"""The writer: applies operations in the order of submission, many in one transaction, and commits on a thread of its own.

A commit costs one disk flush however much is in it, so while one flush runs the next batch gathers: latency stays one or two
flushes and throughput grows with load. Awaiting coroutines are woken together, by one call into their loop.

Where statements take microseconds they are executed on the loop's thread and only the flush is left to the other: a statement
releases the interpreter lock, and a thread that shares it with a busy loop gets it back only after milliseconds, for each
statement anew. It does not know what operations mean. See docs/decisions/0020-one-writer-with-group-commit.md.
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
"""Operations of one commit: bounds how long the first waits for the last."""
WAITING_MAX: Final = 10_000
"""Operations not yet on disk; then new work is refused. What continues or ends accepted work is always taken."""


class Operation(Generic[T]):
    """A write: applied inside the writer's transaction, together with its neighbours."""

    is_new_work: ClassVar[bool] = False
    """Whether it may be refused when too much waits."""
    is_long: bool = False
    """Whether it may take a millisecond or more, for its size or for the rows it changes; then the loop does not wait for it."""

    def apply(self, connection: Connection) -> T:
        """Make the change. May be called again after everything it did was rolled back."""
        raise NotImplementedError

    @classmethod
    def apply_group(cls, connection: Connection, operations: Sequence[Any]) -> list[Any]:
        """Apply consecutive operations of this class, in order. Override where many at once are cheaper."""
        return [operation.apply(connection) for operation in operations]


class Flush(Operation[None]):
    """Changes nothing; it is on disk when everything before it is."""

    def apply(self, connection: Connection) -> None:
        """Do nothing."""


class _Submission(NamedTuple):
    operation: Operation[Any]
    future: asyncio.Future[Any]


class _Settled(NamedTuple):
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None


class _Work(NamedTuple):
    loop: asyncio.AbstractEventLoop
    batch: list[_Submission]
    settled: list[_Settled] | None
    """Applied already and to be committed; None when it is still to be applied."""


class Writer:
    """Owns the writing connection, which the loop's thread and the committing thread use in turns: never both at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._gathered: list[_Submission] = []
        self._waiting_count = 0
        self._scheduled_loop: asyncio.AbstractEventLoop | None = None
        self._is_committing = False
        self._is_closed = False
        self._connection: Connection | None = database.connect_writer()
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
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
        return await self._submit(operation)

    async def close(self) -> None:
        """Write what was submitted, then end the thread and close the connection. Calling it again is fine."""
        if not self._is_closed:
            self._is_closed = True
            await asyncio.gather(self._submit(Flush()), return_exceptions=True)
            self._queue.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _submit(self, operation: Operation[T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._gathered.append(_Submission(operation, future))
        self._waiting_count += 1
        self._schedule(loop)
        return future

    # On the loop's thread.

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        # At the end of this turn of the loop: coroutines that one commit woke write again in one turn, and a batch begun by the
        # first of them would spend a flush on it alone.
        if not self._is_committing and self._scheduled_loop is not loop:
            self._scheduled_loop = loop
            loop.call_soon(self._begin_batch, loop)

    def _begin_batch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled_loop = None
        if self._is_committing or not self._gathered:
            return
        self._is_committing = True
        batch, self._gathered = self._gathered[:BATCH_MAX], self._gathered[BATCH_MAX:]
        self._queue.put(_Work(loop, batch, self._apply_in_place(batch)))

    def _apply_in_place(self, batch: Sequence[_Submission]) -> list[_Settled] | None:
        if not self._database.is_quick or any(submission.operation.is_long for submission in batch):
            return None
        try:
            return self._apply(batch, is_patient=False)
        except Exception:  # noqa: BLE001 - whatever it is, the thread tries again, may wait for a lock, and reports
            self._roll_back()
            return None

    def _resolve(self, settled: Sequence[_Settled], loop: asyncio.AbstractEventLoop) -> None:
        self._is_committing = False
        self._waiting_count -= len(settled)
        for future, result, error in settled:
            # A cancelled awaiter is no longer interested; its write was made all the same.
            if future.done():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        if self._gathered:
            self._schedule(loop)

    # On the committing thread.

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            settled = self._commit(work)
            try:
                work.loop.call_soon_threadsafe(self._resolve, settled, work.loop)
            except RuntimeError:
                logger.warning("a loop closed before %d of its writes returned; they are on disk", len(settled))
                self._waiting_count -= len(settled)
                self._is_committing = False
        self._disconnect()

    def _commit(self, work: _Work) -> list[_Settled]:
        try:
            settled = self._apply(work.batch, is_patient=True) if work.settled is None else work.settled
            self._connect().commit()
        except Exception as error:  # noqa: BLE001 - the thread must outlive whatever happens to one batch
            self._roll_back()
            return self._refuse(work.batch, error)
        return settled

    # On either.

    def _apply(self, batch: Sequence[_Submission], *, is_patient: bool) -> list[_Settled]:
        """Apply a batch in a transaction and leave it open; if anything fails, each operation behind a savepoint of its own."""
        connection = self._connect()
        connection.begin(is_patient=is_patient)
        try:
            return self._apply_together(connection, batch)
        except Exception as error:
            if self._database.is_unavailable(error):
                raise
        connection.rollback()
        connection.begin(is_patient=is_patient)
        return self._apply_apart(connection, batch)

    def _apply_together(self, connection: Connection, batch: Sequence[_Submission]) -> list[_Settled]:
        results: list[Any] = []
        for kind, group in groupby((submission.operation for submission in batch), key=_kind):
            operations = list(group)
            results += kind.apply_group(connection, operations) if len(operations) > 1 else [operations[0].apply(connection)]
        return [_Settled(submission.future, result) for submission, result in zip(batch, results, strict=True)]

    def _apply_apart(self, connection: Connection, batch: Sequence[_Submission]) -> list[_Settled]:
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


def _kind(operation: Operation[Any]) -> type[Operation[Any]]:
    return type(operation)
