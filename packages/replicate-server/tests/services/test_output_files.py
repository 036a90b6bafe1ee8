"""Output files become blobs, and their URLs take their places in the value."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cog.worker.protocol import OutputFile
from replicate_server.blobs import ObjectBlobs, build_memory_blobs
from replicate_server.domain.ids import AccountId, ModelId, PredictionId, VersionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Prediction
from replicate_server.services.output_files import OutputFileError, OutputFiles

pytestmark = pytest.mark.anyio

NOW = datetime(2024, 1, 1, tzinfo=UTC)
PREDICTION = Prediction(
    PredictionId("hdwst0bb05rgp0cf0p29mzk2am"), AccountId("a"), ModelId("m"), "o/n", VersionId("v"), Status.PROCESSING, {}, NOW
)


class FixedClock:
    def now(self) -> datetime:
        return NOW


class CountingBytes:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, count: int) -> bytes:
        self.count += 1
        return hashlib.shake_256(str(self.count).encode()).digest(count)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def blobs() -> ObjectBlobs:
    return build_memory_blobs()


@pytest.fixture
def outputs(blobs: ObjectBlobs) -> OutputFiles:
    return OutputFiles(blobs, FixedClock(), CountingBytes(), base_url="http://host:1/", size_bytes_max=100)


def host_file(folder: Path, name: str, content: bytes = b"x") -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize(
    ("value", "pointer", "read"),
    [
        (None, "", lambda value: value),
        ([None, 1], "/0", lambda value: value[0]),
        ({"a/b": {"~": [1, None]}}, "/a~1b/~0/1", lambda value: value["a/b"]["~"][1]),
    ],
)
async def test_the_url_takes_the_place_of_the_null(
    outputs: OutputFiles, tmp_path: Path, value: Any, pointer: str, read: Any
) -> None:
    file = OutputFile(pointer, host_file(tmp_path, "out.png"), "out.png")
    filled, (stored,) = await outputs.ingest(PREDICTION, value, [file])
    assert read(filled) == f"http://host:1/delivery/{stored.delivery_token}/out.png"
    assert stored.delivery_token is not None
    assert len(stored.delivery_token) == 43


async def test_the_record_says_everything_about_the_bytes(outputs: OutputFiles, blobs: ObjectBlobs, tmp_path: Path) -> None:
    file = OutputFile("", host_file(tmp_path, "s p.wav", b"sound"), "s p.wav")
    url, (stored,) = await outputs.ingest(PREDICTION, None, [file])
    assert url.endswith("/s%20p.wav")
    assert (stored.name, stored.content_type, stored.size_bytes) == ("s p.wav", "audio/wav", 5)
    assert stored.sha256 == hashlib.sha256(b"sound").hexdigest()
    assert (stored.account_id, stored.prediction_id) == (PREDICTION.account_id, PREDICTION.id)
    assert [chunk async for chunk in blobs.read(stored.blob_key)] == [b"sound"]


async def test_the_given_value_is_left_alone(outputs: OutputFiles, tmp_path: Path) -> None:
    value = [None]
    await outputs.ingest(PREDICTION, value, [OutputFile("/0", host_file(tmp_path, "a"), "a")])
    assert value == [None]


async def test_a_value_without_files_passes(outputs: OutputFiles) -> None:
    assert await outputs.ingest(PREDICTION, {"a": 1}, []) == ({"a": 1}, [])


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\x00b", "..", "a\nb", "x" * 300 + ".png", "\u2028", ""])
async def test_a_dangerous_name_is_made_safe(outputs: OutputFiles, tmp_path: Path, name: str) -> None:
    _, (stored,) = await outputs.ingest(PREDICTION, None, [OutputFile("", host_file(tmp_path, "a"), name)])
    assert stored.name
    assert len(stored.name.encode()) <= 255
    assert not set("/\\\x00\n\u2028") & set(stored.name)
    assert stored.name not in (".", "..")


@pytest.mark.parametrize("pointer", ["/1", "/a", "/0/0"])
async def test_a_pointer_to_nowhere_is_an_error_of_the_model(outputs: OutputFiles, tmp_path: Path, pointer: str) -> None:
    with pytest.raises(OutputFileError):
        await outputs.ingest(PREDICTION, [None], [OutputFile(pointer, host_file(tmp_path, "a"), "a")])


async def test_a_file_that_is_too_large_or_gone_is_an_error_of_the_model(outputs: OutputFiles, tmp_path: Path) -> None:
    with pytest.raises(OutputFileError, match="larger than 100 bytes"):
        await outputs.ingest(PREDICTION, None, [OutputFile("", host_file(tmp_path, "a", b"x" * 101), "a")])
    with pytest.raises(OutputFileError, match="cannot be read"):
        await outputs.ingest(PREDICTION, None, [OutputFile("", str(tmp_path / "gone"), "gone")])
