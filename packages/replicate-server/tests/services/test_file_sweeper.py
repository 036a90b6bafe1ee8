"""Space is freed, whatever crashes between two steps, and nothing that somebody can reach loses its bytes (promise F5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replicate_server.blobs import ObjectBlobs, build_memory_blobs
from replicate_server.domain.ids import AccountId, FileId, PredictionId, build_file_id
from replicate_server.domain.records import Account, StoredFile
from replicate_server.ports.clock import SystemClock
from replicate_server.services.file_sweeper import EXPIRY_MARGIN_SECONDS, FOLDERS, ORPHAN_AGE_SECONDS, FileSweeper
from replicate_server.services.files import FileService, UploadFacts

pytestmark = pytest.mark.anyio

ACCOUNT = Account(AccountId("a"), "ada", "Ada", "user", datetime(2026, 1, 1, tzinfo=UTC))
LIFE_SECONDS = 1000.0


class Crash(Exception):
    """The process ends before a step."""


@dataclass
class Steps:
    """Counts the steps that change something, and crashes before one of them."""

    left: float = float("inf")

    def take(self) -> None:
        self.left -= 1
        if self.left < 0:
            self.left = float("inf")
            raise Crash


@dataclass
class Clock:
    """Time that a test moves; it begins with the real one, by which blobs are dated."""

    time: datetime = field(default_factory=SystemClock().now)

    def now(self) -> datetime:
        return self.time


class Files:
    """The file store as a dict."""

    def __init__(self, steps: Steps) -> None:
        self.rows: dict[str, StoredFile] = {}
        self.needed: set[str] = set()
        self.emptied = asyncio.Event()
        self._steps = steps

    async def create_file(self, file: StoredFile) -> None:
        self._steps.take()
        self.rows[file.id] = file

    async def delete_file(self, file_id: FileId) -> bool:
        self._steps.take()
        was_there = self.rows.pop(file_id, None) is not None
        self.emptied.set()
        return was_there

    async def file(self, file_id: FileId) -> StoredFile | None:
        return self.rows.get(file_id)

    async def expired_uploads(self, before: datetime, *, after: StoredFile | None, limit: int) -> list[StoredFile]:
        key: Any = lambda file: (file.expires_at, file.id)  # noqa: E731
        expired = sorted(
            (file for file in self.rows.values() if file.expires_at is not None and file.expires_at < before), key=key
        )
        return [file for file in expired if after is None or key(file) > key(after)][:limit]

    async def is_file_needed(self, file_id: FileId) -> bool:
        return file_id in self.needed

    async def has_blob(self, blob_key: str) -> bool:
        return any(file.blob_key == blob_key for file in self.rows.values())


class CrashingBlobs(ObjectBlobs):
    """Blobs in memory whose writes and removals are steps."""

    steps: Steps

    async def write(self, key: str, chunks: AsyncIterator[bytes], *, size_bytes_max: int) -> Any:
        self.steps.take()
        return await super().write(key, chunks, size_bytes_max=size_bytes_max)

    async def delete(self, key: str) -> None:
        self.steps.take()
        await super().delete(key)


class Letter:
    """An upload of five bytes."""

    async def content(self) -> AsyncIterator[bytes]:
        yield b"hello"

    def facts(self) -> UploadFacts:
        return UploadFacts("letter.txt", "text/plain", {})


class World:
    """A file service and a sweeper over the same store and blobs."""

    def __init__(self) -> None:
        self.clock, self.steps = Clock(), Steps()
        self.files = Files(self.steps)
        self.blobs = CrashingBlobs(build_memory_blobs()._objects)
        self.blobs.steps = self.steps
        self._numbers = iter(range(1, 1_000_000))
        store: Any = self.files
        self.service = FileService(store, self.blobs, self.clock, self._random, size_bytes_max=100, expiry_seconds=LIFE_SECONDS)
        self.sweeper = FileSweeper(store, self.blobs, self.clock)

    def _random(self, count: int) -> bytes:
        return next(self._numbers).to_bytes(count, "big")

    def pass_time(self, seconds: float) -> None:
        self.clock.time += timedelta(seconds=seconds)

    async def upload(self) -> StoredFile:
        return await self.service.create(ACCOUNT, Letter())

    async def sweep(self) -> None:
        await self.sweeper.remove_expired()
        await self.sweeper.remove_orphans()

    async def keys(self) -> set[str]:
        return {blob.key for folder in FOLDERS for blob in [one async for one in self.blobs.list(folder)]}

    def named(self) -> set[str]:
        return {file.blob_key for file in self.files.rows.values()}


@pytest.fixture
def world() -> World:
    return World()


async def test_an_expired_upload_frees_its_space(world: World) -> None:
    await world.upload()
    world.pass_time(LIFE_SECONDS + EXPIRY_MARGIN_SECONDS + 1)
    kept = await world.upload()
    await world.sweep()
    assert world.named() == await world.keys() == {kept.blob_key}


async def test_an_expired_upload_stays_while_a_prediction_needs_it(world: World) -> None:
    file = await world.upload()
    world.files.needed.add(file.id)
    world.pass_time(10 * ORPHAN_AGE_SECONDS)
    await world.sweep()
    assert await world.keys() == {file.blob_key}
    world.files.needed.clear()
    await world.sweep()
    assert await world.keys() == set()


async def test_bytes_without_a_name_stay_while_their_record_may_still_come(world: World) -> None:
    await world.blobs.write("outputs/p/new", Letter().content(), size_bytes_max=9)
    await world.sweep()
    assert await world.keys() == {"outputs/p/new"}
    world.pass_time(ORPHAN_AGE_SECONDS + 60)
    await world.sweep()
    assert await world.keys() == set()


async def test_output_files_and_published_layers_stay(world: World) -> None:
    for key in ("outputs/p/kept", "layers/sha"):
        await world.blobs.write(key, Letter().content(), size_bytes_max=9)
    now = world.clock.now()
    owner = PredictionId("p")
    output = StoredFile(build_file_id(b"o" * 16), ACCOUNT.id, "o", "t", 5, "s", "m", "outputs/p/kept", now, prediction_id=owner)
    await world.files.create_file(output)
    world.pass_time(100 * ORPHAN_AGE_SECONDS)
    await world.sweep()
    assert await world.keys() == {"outputs/p/kept"}
    assert await world.blobs.size_bytes("layers/sha") == 5


async def test_the_duty_begins_at_once_and_ends(world: World) -> None:
    await world.upload()
    world.pass_time(2 * LIFE_SECONDS)
    world.sweeper.start()
    async with asyncio.timeout(10):
        await world.files.emptied.wait()
    await world.sweeper.stop()


async def live(actions: list[tuple[str, int]]) -> None:
    """Perform actions, each of which may crash before one of its steps; then let time pass and sweep."""
    world = World()
    act: dict[str, Any] = {"upload": world.upload, "sweep": world.sweep}
    for name, steps in actions:
        world.steps.left = steps
        with suppress(Crash):
            await act[name]()
        world.steps.left = float("inf")
        world.pass_time(LIFE_SECONDS / 3)
        assert world.named() <= await world.keys(), "a file without bytes"
    world.pass_time(LIFE_SECONDS + ORPHAN_AGE_SECONDS + EXPIRY_MARGIN_SECONDS)
    await world.sweep()
    assert world.named() == await world.keys() == set()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["upload", "sweep"]), st.integers(0, 6)), max_size=12))
def test_whatever_crashes_no_file_loses_its_bytes_and_all_space_comes_back(actions: list[tuple[str, int]]) -> None:
    asyncio.run(live(actions))
