"""The blob port's suite, run on every adapter: a local folder and memory."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from replicate_server.blobs import build_memory_blobs, open_blobs
from replicate_server.blobs.keys import InvalidKey
from replicate_server.ports.blobs import BlobMissing, BlobStore, BlobTooLarge

LARGE = bytes(range(256)) * 12_000

BUILDERS: dict[str, Callable[[Path], BlobStore]] = {"local": open_blobs, "memory": lambda path: build_memory_blobs()}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=list(BUILDERS))
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return BUILDERS[request.param](tmp_path / "blobs")


async def pieces(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def read(blobs: BlobStore, key: str, *, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in blobs.read(key, start=start, end=end)])


@pytest.mark.anyio
@pytest.mark.parametrize("content", [b"", b"x", LARGE], ids=["empty", "small", "large"])
async def test_what_is_written_is_read(blobs: BlobStore, content: bytes) -> None:
    written = await blobs.write("files/a.b-c_1", pieces(content), size_bytes_max=len(content))
    assert await read(blobs, "files/a.b-c_1") == content
    assert (written.key, written.size_bytes) == ("files/a.b-c_1", len(content))
    assert written.sha256 == hashlib.sha256(content).hexdigest()
    assert written.md5 == hashlib.md5(content).hexdigest()
    assert await blobs.size_bytes("files/a.b-c_1") == len(content)


@pytest.mark.anyio
@pytest.mark.parametrize(("start", "end"), [(0, 1), (5, 300_000), (262_144, None), (3_071_999, None), (3_072_000, None), (7, 7)])
async def test_a_range_is_read(blobs: BlobStore, start: int, end: int | None) -> None:
    await blobs.write("k", pieces(LARGE), size_bytes_max=len(LARGE))
    assert await read(blobs, "k", start=start, end=end) == LARGE[start:end]


@pytest.mark.anyio
async def test_a_file_is_copied(blobs: BlobStore, tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(LARGE)
    written = await blobs.write_file("k", str(path), size_bytes_max=len(LARGE))
    assert await read(blobs, "k") == LARGE == path.read_bytes()
    assert written.sha256 == hashlib.sha256(LARGE).hexdigest()


@pytest.mark.anyio
async def test_too_much_is_refused_and_stores_nothing(blobs: BlobStore) -> None:
    with pytest.raises(BlobTooLarge):
        await blobs.write("k", pieces(LARGE), size_bytes_max=len(LARGE) - 1)
    assert await blobs.size_bytes("k") is None


@pytest.mark.anyio
async def test_a_failing_source_stores_nothing(blobs: BlobStore) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield LARGE
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await blobs.write("k", broken(), size_bytes_max=10**9)
    assert await blobs.size_bytes("k") is None


@pytest.mark.anyio
async def test_a_blob_is_invisible_until_it_is_whole(blobs: BlobStore) -> None:
    middle, go_on = asyncio.Event(), asyncio.Event()

    async def halting() -> AsyncIterator[bytes]:
        yield LARGE
        middle.set()
        await go_on.wait()
        yield b"end"

    writing = asyncio.create_task(blobs.write("k", halting(), size_bytes_max=10**9))
    await middle.wait()
    assert await blobs.size_bytes("k") is None
    go_on.set()
    await writing
    assert await blobs.size_bytes("k") == len(LARGE) + 3


@pytest.mark.anyio
async def test_a_missing_blob_is_told_at_the_first_chunk(blobs: BlobStore) -> None:
    with pytest.raises(BlobMissing):
        await read(blobs, "nothing")
    assert await blobs.size_bytes("nothing") is None


@pytest.mark.anyio
async def test_a_deleted_blob_is_gone_and_deleting_twice_is_fine(blobs: BlobStore) -> None:
    await blobs.write("k", pieces(b"x"), size_bytes_max=1)
    await blobs.delete("k")
    await blobs.delete("k")
    assert await blobs.size_bytes("k") is None


@pytest.mark.anyio
async def test_a_listing_has_what_lies_below_a_folder_and_nothing_unfinished(blobs: BlobStore) -> None:
    for key in ("files/a", "files/b/c", "filesystem", "outputs/d"):
        await blobs.write(key, pieces(b"x"), size_bytes_max=1)
    listed = [blob async for blob in blobs.list("files")]
    assert {blob.key for blob in listed} == {"files/a", "files/b/c"}
    assert all(blob.modified_at.tzinfo is not None for blob in listed)
    assert [blob async for blob in blobs.list("nothing")] == []


@pytest.mark.anyio
async def test_the_name_of_a_blob_is_on_disk_before_its_write_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    await open_blobs(tmp_path).write("outputs/p/a", pieces(b"x"), size_bytes_max=1)
    assert flushed[0].startswith(f"{tmp_path}/staging/")
    assert flushed[1:] == [f"{tmp_path}/outputs/p", f"{tmp_path}/outputs", str(tmp_path)]


@pytest.mark.anyio
@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/../b", ".hidden", "A", "a b", "a\x00", "x" * 513, "ä", "a\n"])
async def test_a_key_outside_the_grammar_is_refused(blobs: BlobStore, key: str) -> None:
    with pytest.raises(InvalidKey):
        await blobs.write(key, pieces(b"x"), size_bytes_max=1)
    with pytest.raises(InvalidKey):
        await blobs.size_bytes(key)


WRITER = """
import asyncio, sys
from replicate_server.blobs import open_blobs

async def endless():
    while True:
        yield b"x" * 1_000_000
        print("piece", flush=True)

asyncio.run(open_blobs(sys.argv[1]).write("k", endless(), size_bytes_max=10**12))
"""


@pytest.mark.parametrize("pieces_written", [1, 3, 12])
def test_a_killed_writer_leaves_nothing(tmp_path: Path, pieces_written: int) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(pieces_written):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    assert asyncio.run(open_blobs(tmp_path).size_bytes("k")) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
