"""Unpacked versions are whole and untampered, or refused (promise O12)."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from replicate_server.domain.records import Package
from replicate_server.ports.engine import PackageBroken
from replicate_server.registry.manifest import Layer, VersionDocuments, blob_key, build_documents, digest_hex
from replicate_server.registry.source import UnpackedPackages
from replicate_server.registry.unpacking import UnpackLimits

pytestmark = pytest.mark.anyio

LIMITS = UnpackLimits(size_bytes_max=1_000_000)


def describe(package: Package, layers: list[Layer], **changes: Any) -> VersionDocuments:
    arguments: dict[str, Any] = {
        "cog_config": {"predict": "predict.py:Predictor"},
        "openapi_schema": {"openapi": "3.0.2"},
        "cog_version": "0.1.0",
        "architecture": "amd64",
    }
    return build_documents(package, layers, **(arguments | changes))


@pytest.fixture
def layer_bytes(build_archive: Callable[..., io.BytesIO]) -> bytes:
    return build_archive(("predict.py", b"answer = 42"), ("data/x.txt", b"x")).getvalue()


@pytest.fixture
def package(layer_bytes: bytes) -> Package:
    return Package("predict.py:Predictor", (f"sha256:{digest_hex(layer_bytes)}",), "3.11", "numpy==2.0\n")


@pytest.fixture
def documents(package: Package, layer_bytes: bytes, blobs: Any) -> VersionDocuments:
    made = describe(package, [Layer(digest_hex(layer_bytes), len(layer_bytes), "0" * 64)])
    blobs.contents = {
        blob_key(package.layers[0]): layer_bytes,
        blob_key(made.config_sha256): made.config,
        blob_key(made.version_id): made.manifest,
    }
    return made


@pytest.fixture
def source(tmp_path: Path, blobs: Any) -> UnpackedPackages:
    return UnpackedPackages(tmp_path, blobs, LIMITS)


async def test_a_version_is_unpacked_read_only_under_its_id(
    source: UnpackedPackages, documents: VersionDocuments, package: Package, tmp_path: Path
) -> None:
    folder = Path(await source.source_dir(documents.version_id, package))
    assert folder == tmp_path / "packages" / documents.version_id
    assert (folder / "predict.py").read_bytes() == b"answer = 42"
    assert (folder / "data" / "x.txt").stat().st_mode & 0o777 == 0o444
    assert [path.stat().st_mode & 0o777 for path in (folder, folder / "data")] == [0o555, 0o555]
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name, f"{folder.name}.inventory.json"]


async def test_concurrent_callers_share_one_unpacking(
    source: UnpackedPackages, documents: VersionDocuments, package: Package, blobs: Any
) -> None:
    folders = await asyncio.gather(*(source.source_dir(documents.version_id, package) for _ in range(5)))
    assert len(set(folders)) == 1
    assert blobs.reads.count(blob_key(package.layers[0])) == 1


async def test_a_restarted_server_uses_the_folder_again(
    source: UnpackedPackages, documents: VersionDocuments, package: Package, blobs: Any, tmp_path: Path
) -> None:
    await source.source_dir(documents.version_id, package)
    blobs.reads.clear()
    await UnpackedPackages(tmp_path, blobs, LIMITS).source_dir(documents.version_id, package)
    assert blob_key(package.layers[0]) not in blobs.reads


async def test_a_tampered_folder_is_unpacked_again(
    source: UnpackedPackages, documents: VersionDocuments, package: Package, blobs: Any, tmp_path: Path
) -> None:
    folder = Path(await source.source_dir(documents.version_id, package))
    (folder / "predict.py").chmod(0o644)
    (folder / "predict.py").write_bytes(b"answer = 43")
    await UnpackedPackages(tmp_path, blobs, LIMITS).source_dir(documents.version_id, package)
    assert (folder / "predict.py").read_bytes() == b"answer = 42"


@pytest.mark.parametrize("which", ["layer", "config", "manifest"])
async def test_one_flipped_bit_in_a_blob_refuses_the_version(
    source: UnpackedPackages, documents: VersionDocuments, package: Package, blobs: Any, which: str
) -> None:
    digests = {"layer": package.layers[0], "config": documents.config_sha256, "manifest": documents.version_id}
    key = blob_key(digests[which])
    content = bytearray(blobs.contents[key])
    content[len(content) // 2] ^= 1
    blobs.contents[key] = bytes(content)
    with pytest.raises(PackageBroken, match="damaged"):
        await source.source_dir(documents.version_id, package)


@pytest.mark.parametrize("change", [{"requirements_lock": "numpy==6.6.6\n"}, {"runner": "evil.py:X"}, {"layers": ()}])
async def test_a_changed_row_refuses_the_version(
    source: UnpackedPackages, documents: VersionDocuments, package: Package, change: dict[str, Any]
) -> None:
    with pytest.raises(PackageBroken, match="damaged"):
        await source.source_dir(documents.version_id, replace(package, **change))


async def test_a_missing_layer_is_named_and_can_be_supplied_later(
    source: UnpackedPackages, documents: VersionDocuments, package: Package, blobs: Any
) -> None:
    layer = blobs.contents.pop(blob_key(package.layers[0]))
    with pytest.raises(PackageBroken, match="incomplete"):
        await source.source_dir(documents.version_id, package)
    blobs.contents[blob_key(package.layers[0])] = layer
    assert await source.source_dir(documents.version_id, package)


async def test_the_version_id_is_the_digest_of_the_manifest_and_depends_on_everything(package: Package) -> None:
    layer = Layer("a" * 64, 10, "b" * 64)
    ids = {
        describe(package, [layer]).version_id,
        describe(package, [layer], openapi_schema={}).version_id,
        describe(package, [layer], cog_version="0.2.0").version_id,
        describe(package, [replace(layer, sha256="c" * 64)]).version_id,
        describe(replace(package, requirements_lock=""), [layer]).version_id,
        describe(replace(package, environment={"A": "b"}), [layer]).version_id,
    }
    assert len(ids) == 6
    made = describe(package, [layer])
    assert made.version_id == digest_hex(made.manifest) == describe(package, [layer]).version_id
