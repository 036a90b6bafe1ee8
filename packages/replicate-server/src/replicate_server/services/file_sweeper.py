"""The background duty that frees the space of files: uploads that expired, and bytes that no file names.

A file's record is removed before its bytes, and made after them; so a crash at any moment leaves at most bytes without a record,
which the next pass over the blobs removes. Touches nothing below other folders than `FOLDERS`: published versions have no files.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from replicate_server.domain.records import StoredFile
from replicate_server.ports.blobs import BlobStore
from replicate_server.ports.clock import Clock
from replicate_server.ports.store import FileStore
from replicate_server.scheduler.duty import Duty

INTERVAL_SECONDS = 60.0
ORPHANS_EVERY_SECONDS = 6 * 3600.0
"""A pass over the blobs reads every name, and only a crash makes work for it; it also runs at start."""
EXPIRY_MARGIN_SECONDS = 60.0
"""Between a file's expiry and its removal: a create that was decoded just before is stored by then, and seen as needing it."""
ORPHAN_AGE_SECONDS = 6 * 3600.0
"""Bytes younger than this may belong to a record that is still being written."""
FOLDERS = ("files", "outputs")
PAGE_SIZE = 100

_log = logging.getLogger(__name__)


class FileSweeper:
    """Removes what nobody can reach any more."""

    def __init__(self, store: FileStore, blobs: BlobStore, clock: Clock) -> None:
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._expiring = Duty("expired uploads", self.remove_expired, interval_seconds=INTERVAL_SECONDS)
        self._sweeping = Duty("unnamed bytes", self.remove_orphans, interval_seconds=ORPHANS_EVERY_SECONDS)

    def start(self) -> None:
        """Begin; both look at once."""
        self._expiring.start()
        self._sweeping.start()

    async def stop(self) -> None:
        """End. Harmless when it was never started."""
        await self._expiring.stop()
        await self._sweeping.stop()

    async def remove_expired(self) -> None:
        """Remove uploads whose time is up, except those that a queued or running prediction was accepted with."""
        before = self._clock.now() - timedelta(seconds=EXPIRY_MARGIN_SECONDS)
        last: StoredFile | None = None
        while page := await self._store.expired_uploads(before, after=last, limit=PAGE_SIZE):
            for file in page:
                if not await self._store.is_file_needed(file.id):
                    await self._store.delete_file(file.id)
                    await self._blobs.delete(file.blob_key)
            last = page[-1]

    async def remove_orphans(self) -> None:
        """Remove bytes that no file names and that are too old to be just being stored."""
        before = self._clock.now() - timedelta(seconds=ORPHAN_AGE_SECONDS)
        for folder in FOLDERS:
            async for blob in self._blobs.list(folder):
                if blob.modified_at < before and not await self._store.has_blob(blob.key):
                    await self._blobs.delete(blob.key)
                    _log.info("removed %s, which no file names", blob.key)
