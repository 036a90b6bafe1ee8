"""The blob port: bytes under keys. Names, types, owners and expiry live in the store; a blob is only bytes.

Keys are relative paths of ``[a-z0-9._/-]``, at most 512 characters, made by us and never from user text (promise F3).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class WrittenBlob:
    """What was stored."""

    key: str
    size_bytes: int
    sha256: str
    md5: str


@dataclass(frozen=True, slots=True)
class ListedBlob:
    """One entry of a listing."""

    key: str
    modified_at: datetime
    """When it became visible; aware UTC, by the clock of whoever stores it."""


class BlobMissing(Exception):
    """No blob has this key."""


class BlobTooLarge(Exception):
    """The content exceeded ``size_bytes_max``; nothing was stored."""


class BlobStore(Protocol):
    """Stores bytes. A blob becomes visible whole or not at all (promise F4); a key is written once.

    What a write returned for survives a power cut.
    """

    async def write(self, key: str, chunks: AsyncIterator[bytes], *, size_bytes_max: int) -> WrittenBlob:
        """Store a stream under a key, computing its digests on the way.

        Raises:
            BlobTooLarge: If the stream is longer than ``size_bytes_max``.
        """
        ...

    async def write_file(self, key: str, path: str, *, size_bytes_max: int) -> WrittenBlob:
        """Store a local file's content under a key. The file is left as it is."""
        ...

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Stream the bytes ``start`` (inclusive) to ``end`` (exclusive, None for the end) in chunks.

        Raises:
            BlobMissing: At the first chunk, if the key is unknown.
        """
        ...

    async def size_bytes(self, key: str) -> int | None:
        """The blob's length, or None when there is no such blob."""
        ...

    def list(self, folder: str) -> AsyncIterator[ListedBlob]:
        """Every blob whose key begins with ``folder`` and a slash, in no order. Blobs that come or go meanwhile may be missed."""
        ...

    async def delete(self, key: str) -> None:
        """Remove a blob; a missing one is fine."""
        ...
