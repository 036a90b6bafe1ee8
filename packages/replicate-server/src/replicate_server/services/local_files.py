"""Writes streamed bytes to local files for the input side: off the event loop, within a limit. Knows no URLs and no store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

BUFFER_BYTES = 1024 * 1024


class FileTooLarge(Exception):
    """The stream was longer than allowed; the partial file is gone."""


async def save_chunks(path: Path, chunks: AsyncIterator[bytes], *, size_bytes_max: int) -> int:
    """Write a stream to a new file and return its size. Memory use is one buffer, whatever the size.

    Raises:
        FileTooLarge: If the stream is longer than ``size_bytes_max``.
        FileExistsError: If the file exists: every path is written once.
    """
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    file = await asyncio.to_thread(path.open, "xb", buffering=0)
    size_bytes = 0
    buffer = bytearray()
    is_complete = False
    try:
        async for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > size_bytes_max:
                raise FileTooLarge
            buffer += chunk
            if len(buffer) >= BUFFER_BYTES:
                await asyncio.to_thread(file.write, bytes(buffer))
                buffer.clear()
        if buffer:
            await asyncio.to_thread(file.write, bytes(buffer))
        is_complete = True
    finally:
        file.close()
        if not is_complete:
            await asyncio.to_thread(path.unlink, missing_ok=True)
    return size_bytes
