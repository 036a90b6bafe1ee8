"""Input files reach local paths from URLs, data URIs, uploads and outputs; everything else is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from replicate_server.blobs import build_memory_blobs
from replicate_server.domain.ids import AccountId, FileId, ModelId, PredictionId, VersionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Package, Prediction, StoredFile, Version
from replicate_server.ports.fetching import Fetched, FetchFailed
from replicate_server.services.input_files import InputFileError, InputFiles

pytestmark = pytest.mark.anyio

BASE = "http://127.0.0.1:8000"
NOW = datetime(2024, 1, 1, tzinfo=UTC)
URI = {"type": "string", "format": "uri"}
SCHEMA = {
    "components": {
        "schemas": {
            "Input": {
                "type": "object",
                "properties": {
                    "prompt": {"type": "string"},
                    "image": URI,
                    "images": {"type": "array", "items": URI},
                    "mixed": {"anyOf": [URI, {"type": "string"}]},
                },
            }
        }
    }
}
VERSION = Version(
    VersionId("a" * 64), ModelId("m"), "o", "n", NOW, "0", SCHEMA, b"", Package("p", (), "3.11", "")
)  # fmt: skip


@dataclass
class FakeFiles:
    """The two reads of the file store."""

    files: dict[str, StoredFile] = field(default_factory=dict)

    async def file(self, file_id: FileId) -> StoredFile | None:
        return self.files.get(file_id)

    async def file_by_delivery(self, delivery_token: str) -> StoredFile | None:
        return next((file for file in self.files.values() if file.delivery_token == delivery_token), None)


class ScriptedFetcher:
    """Serves prepared bytes; waits for its gate and counts how many wait at once."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.waiting = 0
        self.full = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    @asynccontextmanager
    async def get(self, url: str, *, size_bytes_max: int) -> AsyncIterator[Fetched]:
        if url not in self.content:
            raise FetchFailed("the server answered 404")
        self.waiting += 1
        if self.waiting == 8:
            self.full.set()
        await self.gate.wait()

        async def chunks() -> AsyncIterator[bytes]:
            yield self.content[url]

        yield Fetched(chunks(), "image/png", url.rpartition("/")[2])


@dataclass
class Bench:
    inputs: InputFiles
    fetcher: ScriptedFetcher
    files: FakeFiles
    folder: Path
    blobs: Any

    async def keep(self, file_id: str, account: str = "a", **facts: Any) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"stored"

        await self.blobs.write(file_id, chunks(), size_bytes_max=100)
        self.files.files[file_id] = StoredFile(
            FileId(file_id), AccountId(account), "../up load.txt", "text/plain", 6, "", "", file_id, NOW, **facts
        )

    async def localize(self, **given: Any) -> dict[str, Path]:
        prediction = Prediction(
            PredictionId("p"), AccountId("a"), ModelId("m"), "o/n", VERSION.id, Status.STARTING, given, NOW
        )  # fmt: skip
        paths = await self.inputs.localize(prediction, VERSION, str(self.folder))
        return {pointer: Path(path) for pointer, path in paths.items()}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def bench(anyio_backend: str, tmp_path: Path) -> Bench:
    fetcher, files, blobs = ScriptedFetcher(), FakeFiles(), build_memory_blobs()
    inputs = InputFiles(files, blobs, fetcher, base_url=BASE, size_bytes_max=1000)  # type: ignore[arg-type]
    return Bench(inputs, fetcher, files, tmp_path / "files", blobs)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, False),
        ({"prompt": "http://example.com/a.png"}, False),
        ({"image": "http://example.com/a.png"}, True),
        ({"images": []}, False),
        ({"images": ["data:,x"]}, True),
        ({"mixed": "only text"}, False),
        ({"mixed": "https://example.com"}, True),
        ({"image": None}, False),
    ],
)
async def test_it_is_known_whether_there_are_files(bench: Bench, given: dict[str, Any], expected: bool) -> None:
    assert bench.inputs.has_files(VERSION, given) is expected


async def test_a_url_is_fetched_under_its_own_name(bench: Bench) -> None:
    bench.fetcher.content = {"http://example.com/cat.png": b"cat", "http://example.com/x": b"no ending"}
    paths = await bench.localize(image="http://example.com/cat.png", mixed="http://example.com/x", prompt="http://example.com/y")
    assert {pointer: (path.name, path.read_bytes()) for pointer, path in paths.items()} == {
        "/image": ("cat.png", b"cat"),
        "/mixed": ("x.png", b"no ending"),
    }


@pytest.mark.parametrize(
    ("uri", "name", "content"),
    [
        ("data:image/png;base64,AAEC", "file.png", b"\x00\x01\x02"),
        ("data:text/plain;charset=utf-8;base64,aGk", "file.txt", b"hi"),
        ("data:audio/wav;base64,-_-_", "file.wav", b"\xfb\xff\xbf"),
        ("data:,a%20b", "file.txt", b"a b"),
        ("DATA:application/octet-stream;base64,aGk%3D", "file.bin", b"hi"),
    ],
)
async def test_a_data_uri_is_decoded(bench: Bench, uri: str, name: str, content: bytes) -> None:
    (path,) = (await bench.localize(image=uri)).values()
    assert (path.name, path.read_bytes()) == (name, content)


async def test_files_of_one_name_do_not_collide(bench: Bench) -> None:
    bench.fetcher.content = {"http://a/x.png": b"1", "http://b/x.png": b"2"}
    paths = await bench.localize(images=["http://a/x.png", "http://b/x.png"])
    assert [paths["/images/0"].read_bytes(), paths["/images/1"].read_bytes()] == [b"1", b"2"]


async def test_own_uploads_and_outputs_are_read_from_the_blobs(bench: Bench) -> None:
    await bench.keep("up")
    await bench.keep("out", account="other", delivery_token="t")
    paths = await bench.localize(image=f"{BASE}/v1/files/up", images=[f"{BASE}/files/up", f"{BASE}/delivery/t/x.png"])
    assert {path.name for path in paths.values()} == {"up load.txt"}
    assert {path.read_bytes() for path in paths.values()} == {b"stored"}
    assert all(path.is_relative_to(bench.folder) for path in paths.values())


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (f"{BASE}/v1/files/theirs", "input.image: this server has no such file, or it has expired"),
        (f"{BASE}/v1/files/old", "input.image: this server has no such file, or it has expired"),
        (f"{BASE}/v1/files/nothing", "input.image: this server has no such file, or it has expired"),
        ("file:///etc/passwd", "input.image: only http, https and data URIs can be read"),
        ("/etc/passwd", "input.image: only http, https and data URIs can be read"),
        ("http://example.com/missing", "input.image: the server answered 404"),
        ("data:image/png;base64,A!", "input.image: its base64 is broken"),
        ("data:" + "," + "x" * 1001, "input.image: the file is larger than 1000 bytes"),
    ],
)
async def test_what_cannot_be_had_is_named(bench: Bench, uri: str, message: str) -> None:
    await bench.keep("theirs", account="other")
    await bench.keep("old", expires_at=NOW - timedelta(seconds=1))
    with pytest.raises(InputFileError) as caught:
        await bench.localize(image=uri)
    assert str(caught.value) == message
    assert [path for path in bench.folder.rglob("*") if path.is_file()] == []


async def test_an_upload_that_expired_while_the_prediction_waited_can_still_be_read(bench: Bench) -> None:
    await bench.keep("waited", expires_at=NOW + timedelta(seconds=1))
    assert list(await bench.localize(image=f"{BASE}/v1/files/waited")) == ["/image"]


async def test_eight_files_are_fetched_at_once(bench: Bench) -> None:
    bench.fetcher.content = {f"http://a/{number}.png": b"x" for number in range(20)}
    bench.fetcher.gate.clear()
    localizing = asyncio.create_task(bench.localize(images=list(bench.fetcher.content)))
    await bench.fetcher.full.wait()
    assert bench.fetcher.waiting == 8
    bench.fetcher.gate.set()
    assert len(await localizing) == 20
