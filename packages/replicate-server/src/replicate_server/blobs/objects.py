"""Blobs in any store that obstore speaks to: a local folder or memory here, object storage by another constructor.

Owns atomic visibility: content is written under a staging key and renamed when it is complete and, on a local disk, flushed;
then the folder that names it is flushed too. Names, types and owners are not its business.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import obstore
from obstore.store import LocalStore, MemoryStore, ObjectStore

from replicate_server.blobs.digesting import Digesting, read_file
from replicate_server.blobs.keys import check_key
from replicate_server.ports.blobs import BlobMissing, ListedBlob, WrittenBlob

READ_CHUNK_BYTES = 256 * 1024

_STAGING = "staging"


class ObjectBlobs:
    """The blob port on an obstore store."""

    def __init__(self, objects: ObjectStore, *, root: Path | None = None) -> None:
        """Wrap a store.

        Args:
            objects: Where the bytes go.
            root: Its folder when it is local; then content is flushed to disk before it becomes visible.
        """
        self._objects = objects
        self._root = root

    async def write(self, key: str, chunks: AsyncIterator[bytes], *, size_bytes_max: int) -> WrittenBlob:
        """Store a stream under a key. See the port."""
        check_key(key)
        staged = f"{_STAGING}/{uuid.uuid4().hex}"
        digesting = Digesting(size_bytes_max)
        is_complete = False
        try:
            async with obstore.open_writer_async(self._objects, staged) as writer:
                async for data in digesting.chunks(chunks):
                    await writer.write(data)
            await self._flush(staged)
            await obstore.rename_async(self._objects, staged, key, overwrite=True)
            is_complete = True
            await self._flush_name(key)
        finally:
            if not is_complete:
                await self._discard(staged)
        return WrittenBlob(key, digesting.size_bytes, digesting.sha256, digesting.md5)

    async def write_file(self, key: str, path: str, *, size_bytes_max: int) -> WrittenBlob:
        """Store a local file's content under a key. See the port."""
        return await self.write(key, read_file(path), size_bytes_max=size_bytes_max)

    async def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Stream a range of a blob in chunks of at most 256 KiB. See the port."""
        size_bytes = await self.size_bytes(key)
        if size_bytes is None:
            raise BlobMissing(key)
        stop = size_bytes if end is None else min(end, size_bytes)
        # Asked for in pieces: a slow reader holds one piece, not what the store reads ahead.
        for position in range(start, stop, READ_CHUNK_BYTES):
            last = min(position + READ_CHUNK_BYTES, stop)
            try:
                piece = await obstore.get_range_async(self._objects, key, start=position, end=last)
            except FileNotFoundError as error:
                raise BlobMissing(key) from error
            yield bytes(piece)

    async def size_bytes(self, key: str) -> int | None:
        """The blob's length, or None when there is no such blob."""
        check_key(key)
        try:
            return (await obstore.head_async(self._objects, key))["size"]
        except FileNotFoundError:
            return None

    async def list(self, folder: str) -> AsyncIterator[ListedBlob]:
        """Every blob below a folder. See the port."""
        pages = obstore.list(self._objects, prefix=check_key(folder))
        async for page in pages:
            for entry in page:
                yield ListedBlob(entry["path"], entry["last_modified"])

    async def delete(self, key: str) -> None:
        """Remove a blob; a missing one is fine."""
        check_key(key)
        await self._discard(key)

    async def _discard(self, key: str) -> None:
        with suppress(FileNotFoundError):
            await obstore.delete_async(self._objects, key)

    async def _flush(self, staged: str) -> None:
        if self._root is not None:
            await asyncio.to_thread(_flush_file, self._root / staged)

    async def _flush_name(self, key: str) -> None:
        if self._root is not None:
            await asyncio.to_thread(_flush_folders, self._root, (self._root / key).parent)


def open_blobs(path: str | Path) -> ObjectBlobs:
    """Open (and create) a local folder of blobs; what an interrupted write left behind is removed."""
    root = Path(path).resolve()
    root.mkdir(parents=True, exist_ok=True)
    # One server owns the folder, so nothing in it can be a write still going on.
    shutil.rmtree(root / _STAGING, ignore_errors=True)
    return ObjectBlobs(LocalStore(root), root=root)


def build_memory_blobs() -> ObjectBlobs:
    """Blobs in memory: the adapter for tests, through the same code."""
    return ObjectBlobs(MemoryStore())


def _flush_folders(root: Path, folder: Path) -> None:
    """Flush a folder and those above it up to the root: a name that a folder lost in a power cut takes its content with it.

    All of them each time, for another write may just have made one of them and not have flushed it yet; a clean folder costs
    some microseconds.
    """
    for above in (folder, *folder.parents):
        _flush_file(above)
        if above == root:
            return


def _flush_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
