"""Readers: how queries reach the database without holding up the event loop.

A query by key takes some 20 µs, less than handing it to a thread and back costs, so `point` runs it in place. Whatever may read
many or large rows goes to a small pool (`run`). Each statement sees every commit made before it began.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from replicate_server.ports.store import StorageUnavailable
from replicate_server.store.statements import Connection, Database

T = TypeVar("T")

THREADS: Final = 2


class Readers:
    """Owns the reading connections."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._point: Connection = database.connect_reader()
        self._idle: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        for _ in range(THREADS):
            self._idle.put(database.connect_reader())
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="store-reader")
        self._is_closed = False

    def point(self, read: Callable[[Connection], T]) -> T:
        """Run a read of a few small rows by key, here and now. Call it on the event loop's thread only.

        Raises:
            StorageUnavailable: If storage cannot serve now.
        """
        return self._read(self._point, read)

    async def run(self, read: Callable[[Connection], T]) -> T:
        """Run any other read on the pool.

        Raises:
            StorageUnavailable: If storage cannot serve now.
        """
        if self._is_closed:
            raise StorageUnavailable("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read_pooled, read)

    def close(self) -> None:
        """Wait for running reads, then close every connection."""
        if self._is_closed:
            return
        self._is_closed = True
        self._pool.shutdown(wait=True)
        self._point.close()
        for _ in range(THREADS):
            self._idle.get().close()

    def _read_pooled(self, read: Callable[[Connection], T]) -> T:
        connection = self._idle.get()
        try:
            return self._read(connection, read)
        finally:
            self._idle.put(connection)

    def _read(self, connection: Connection, read: Callable[[Connection], T]) -> T:
        if self._is_closed and connection is self._point:
            raise StorageUnavailable("the store is closed")
        try:
            return read(connection)
        except Exception as error:
            if self._database.is_unavailable(error):
                raise StorageUnavailable(f"storage is unavailable: {error}") from error
            raise
