"""The whole store: every noun over one writer and one set of readers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from replicate_server.store.accounts import SqlAccounts
from replicate_server.store.catalogue import SqlCatalogue
from replicate_server.store.collections import SqlCollections
from replicate_server.store.deployments import SqlDeployments
from replicate_server.store.files import SqlFiles
from replicate_server.store.idempotency import SqlIdempotency
from replicate_server.store.members import SqlMembers
from replicate_server.store.model_changes import SqlModelChanges
from replicate_server.store.outbox import SqlOutbox
from replicate_server.store.predictions import SqlPredictions
from replicate_server.store.readers import Readers
from replicate_server.store.search import SqlSearch
from replicate_server.store.statements import Database
from replicate_server.store.writer import Writer


class SqlStore(
    SqlPredictions,
    SqlCatalogue,
    SqlModelChanges,
    SqlSearch,
    SqlCollections,
    SqlDeployments,
    SqlAccounts,
    SqlMembers,
    SqlFiles,
    SqlOutbox,
    SqlIdempotency,
):
    """`Store` on any SQL database that has a `Database` here. Its methods belong to one event loop's thread."""

    def __init__(self, database: Database, release: Callable[[], None]) -> None:
        """Connect.

        Args:
            database: Its schema is the current one already.
            release: Called once everything is closed; lets another server have the data.
        """
        self._writer = Writer(database)
        self._readers = Readers(database)
        self._database = database
        self._release = release

    async def close(self) -> None:
        """Finish what was submitted, then release everything. Calling it again is fine."""
        await self._writer.close()
        await asyncio.get_running_loop().run_in_executor(None, self._readers.close)
        self._release()
