"""Receiving an archive: a stream goes to a file while it is counted and digested. Does not look inside."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path


class ArchiveTooLarge(Exception):
    """The stream is longer than allowed."""


@dataclass(frozen=True, slots=True)
class ReceivedArchive:
    """What arrived."""

    path: Path
    sha256: str
    size_bytes: int


async def receive_archive(chunks: AsyncIterator[bytes], path: Path, *, size_bytes_max: int) -> ReceivedArchive:
    """Write a stream to a new file.

    Raises:
        ArchiveTooLarge: If it is longer than ``size_bytes_max``; the file is left for the caller to remove.
    """
    digest, size_bytes = hashlib.sha256(), 0
    with await asyncio.to_thread(path.open, "xb") as target:
        async for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > size_bytes_max:
                raise ArchiveTooLarge
            digest.update(chunk)
            await asyncio.to_thread(target.write, chunk)
    return ReceivedArchive(path, digest.hexdigest(), size_bytes)
