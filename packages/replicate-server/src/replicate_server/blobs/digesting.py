"""Passes a stream on while counting and hashing it, in buffers large enough to hash off the event loop."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from replicate_server.ports.blobs import BlobTooLarge

BUFFER_BYTES = 1024 * 1024
# Hashing less than this costs less than handing it to a thread.
INLINE_BYTES_MAX = 64 * 1024


class Digesting:
    """One stream's size and digests; read them when ``chunks`` has ended."""

    def __init__(self, size_bytes_max: int) -> None:
        self._size_bytes_max = size_bytes_max
        self._sha256 = hashlib.sha256()
        # MD5 is what clients expect as the etag, not a protection.
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        """Hex digest of what has passed."""
        return self._sha256.hexdigest()

    @property
    def md5(self) -> str:
        """Hex digest of what has passed."""
        return self._md5.hexdigest()

    async def chunks(self, source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the source's bytes in buffers of about a megabyte.

        Raises:
            BlobTooLarge: As soon as there are more than allowed.
        """
        buffer = bytearray()
        async for chunk in source:
            self.size_bytes += len(chunk)
            if self.size_bytes > self._size_bytes_max:
                raise BlobTooLarge
            buffer += chunk
            if len(buffer) >= BUFFER_BYTES:
                yield await self._digest(bytes(buffer))
                buffer.clear()
        if buffer:
            yield await self._digest(bytes(buffer))

    async def _digest(self, data: bytes) -> bytes:
        if len(data) <= INLINE_BYTES_MAX:
            self._update(data)
        else:
            await asyncio.to_thread(self._update, data)
        return data

    def _update(self, data: bytes) -> None:
        self._sha256.update(data)
        self._md5.update(data)


async def read_file(path: str) -> AsyncIterator[bytes]:
    """Stream a local file without holding up the event loop."""
    file = await asyncio.to_thread(Path(path).open, "rb")
    try:
        while data := await asyncio.to_thread(file.read, BUFFER_BYTES):
            yield data
    finally:
        file.close()
