"""Builds archives, honest and malicious, and keeps blobs in memory."""

from __future__ import annotations

import asyncio
import gzip
import io
import tarfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import pytest
from replicate_server.ports.blobs import BlobMissing, BlobTooLarge, ListedBlob, WrittenBlob


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def build_archive() -> Callable[..., io.BytesIO]:
    """Makes a tar.gz of (name, content or attributes) pairs, whatever the names are."""

    def build(*entries: tuple[str, Any]) -> io.BytesIO:
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, what in entries:
                entry = tarfile.TarInfo(name)
                content = what if isinstance(what, bytes) else b""
                attributes = {} if isinstance(what, bytes) else what
                entry.size = len(content)
                for attribute, value in attributes.items():
                    setattr(entry, attribute, value)
                tar.addfile(entry, io.BytesIO(content))
        return io.BytesIO(gzip.compress(plain.getvalue()))

    return build


@dataclass
class MemoryBlobs:
    """The blob port over a dict."""

    contents: dict[str, bytes] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)

    async def write(self, key: str, chunks: AsyncIterator[bytes], *, size_bytes_max: int) -> WrittenBlob:
        return self._store(key, b"".join([chunk async for chunk in chunks]), size_bytes_max)

    async def write_file(self, key: str, path: str, *, size_bytes_max: int) -> WrittenBlob:
        return self._store(key, await asyncio.to_thread(Path(path).read_bytes), size_bytes_max)

    def _store(self, key: str, content: bytes, size_bytes_max: int) -> WrittenBlob:
        if len(content) > size_bytes_max:
            raise BlobTooLarge
        self.contents[key] = content
        return WrittenBlob(key, len(content), sha256(content).hexdigest(), md5(content).hexdigest())

    async def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        self.reads.append(key)
        if key not in self.contents:
            raise BlobMissing(key)
        yield self.contents[key][start:end]

    async def size_bytes(self, key: str) -> int | None:
        return len(self.contents[key]) if key in self.contents else None

    async def list(self, folder: str) -> AsyncIterator[ListedBlob]:
        for key in [key for key in self.contents if key.startswith(f"{folder}/")]:
            yield ListedBlob(key, datetime(2024, 1, 1, tzinfo=UTC))

    async def delete(self, key: str) -> None:
        self.contents.pop(key, None)


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()
