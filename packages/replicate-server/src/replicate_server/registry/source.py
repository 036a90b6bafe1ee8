"""Unpacked versions: gives an engine a folder with a version's files, checked against the version's digests.

Owns ``<data folder>/packages``. Every byte that a model loads from here was compared with the version id once in this process's
life, so a flipped bit on disk is an error and not a different answer (promise O12).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from replicate_server.caches import CacheEntry, measure_folder
from replicate_server.domain.ids import VersionId
from replicate_server.domain.records import Package
from replicate_server.ports.blobs import BlobMissing, BlobStore
from replicate_server.ports.engine import PackageBroken
from replicate_server.registry.manifest import ManifestBroken, blob_key, check_documents
from replicate_server.registry.unpacking import ArchiveRefused, UnpackLimits, unpack_layer

DOCUMENT_BYTES_MAX = 64 * 1024 * 1024
INVENTORY_SUFFIX = ".inventory.json"


class UnpackedPackages:
    """Implements `replicate_server.ports.packages.PackageSource`.

    Args:
        data_dir: The server's data folder.
        blobs: Where layers and manifests lie.
        limits: The same as for publishing.
    """

    def __init__(self, data_dir: Path, blobs: BlobStore, limits: UnpackLimits) -> None:
        self._root = data_dir.absolute() / "packages"
        self._blobs = blobs
        self._limits = limits
        self._ready: dict[VersionId, asyncio.Task[str]] = {}

    async def source_dir(self, version_id: VersionId, package: Package) -> str:
        """See the port. Concurrent callers share one unpacking; a failed one is tried again by the next caller."""
        with contextlib.suppress(OSError):
            # The inventory's time is that of the last use.
            os.utime(self._root / f"{version_id}{INVENTORY_SUFFIX}")
        task = self._ready.get(version_id)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.create_task(self._prepare(version_id, package), name=f"unpack {version_id[:12]}")
            self._ready[version_id] = task
        # One caller that gives up must not spoil it for the others.
        return await asyncio.shield(task)

    async def discard(self, version_id: VersionId) -> None:
        """Remove a version's files; ones that are just being unpacked are waited for."""
        task = self._ready.pop(version_id, None)
        if task is not None:
            await asyncio.wait([task])
        await asyncio.to_thread(_remove_unpacked, self._root / version_id)

    async def _prepare(self, version_id: VersionId, package: Package) -> str:
        try:
            await self._check_documents(version_id, package)
            folder = self._root / version_id
            if await asyncio.to_thread(_matches_inventory, folder):
                return str(folder)
            await self._unpack(folder, package)
        except (ArchiveRefused, ManifestBroken) as error:
            raise PackageBroken(f"the version's files are damaged: {error}; publish it again") from error
        except BlobMissing as error:
            raise PackageBroken(f"the version's files are incomplete: {error} is missing; publish it again") from error
        return str(folder)

    async def _check_documents(self, version_id: VersionId, package: Package) -> None:
        manifest = await self._read_document(blob_key(version_id))
        try:
            config_key = blob_key(json.loads(manifest)["config"]["digest"])
        except (ValueError, KeyError, TypeError) as error:
            raise ManifestBroken("the manifest cannot be read") from error
        check_documents(version_id, package, manifest=manifest, config=await self._read_document(config_key))

    async def _read_document(self, key: str) -> bytes:
        content = b"".join([chunk async for chunk in self._blobs.read(key, end=DOCUMENT_BYTES_MAX)])
        return content

    async def _unpack(self, folder: Path, package: Package) -> None:
        """Unpack into a temporary neighbour and rename: a folder under its final name is always whole."""
        await asyncio.to_thread(self._root.mkdir, parents=True, exist_ok=True)
        building = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._root, prefix=".unpacking-"))
        try:
            for digest in package.layers:
                archive = building.with_suffix(".tar.gz")
                try:
                    await self._copy_layer(digest, archive)
                    await asyncio.to_thread(_unpack_file, archive, building, self._limits)
                finally:
                    archive.unlink(missing_ok=True)
            await asyncio.to_thread(_settle, building, folder)
        finally:
            await asyncio.to_thread(shutil.rmtree, building, ignore_errors=True)

    async def _copy_layer(self, digest: str, target: Path) -> None:
        """Copy a layer's blob to a file, comparing its digest."""
        digesting = hashlib.sha256()
        with target.open("wb") as written:
            async for chunk in self._blobs.read(blob_key(digest)):
                digesting.update(chunk)
                await asyncio.to_thread(written.write, chunk)
        if f"sha256:{digesting.hexdigest()}" != digest:
            raise ManifestBroken("a layer's content does not match its digest")


def find_entries(folder: Path) -> list[CacheEntry]:
    """Unpacked versions; the inventory's time is that of the last use."""
    entries = []
    for inventory in folder.glob(f"*{INVENTORY_SUFFIX}"):
        unpacked = inventory.with_name(inventory.name.removesuffix(INVENTORY_SUFFIX))
        entries.append(CacheEntry(inventory, unpacked, inventory.stat().st_mtime, measure_folder(unpacked)))
    return entries


def _unpack_file(archive: Path, target: Path, limits: UnpackLimits) -> None:
    with archive.open("rb") as opened:
        unpack_layer(opened, target, limits)


def _settle(building: Path, folder: Path) -> None:
    """Write the inventory, take the write permissions away and rename into place."""
    inventory = folder.with_name(folder.name + INVENTORY_SUFFIX)
    temporary = building.with_suffix(".json")
    temporary.write_text(json.dumps(_take_inventory(building), sort_keys=True), encoding="utf-8")
    for path, folders, files in os.walk(building):
        for name in [*folders, *files]:
            _remove_write_permission(Path(path, name))
    # mkdtemp made the folder for its owner alone; the model's own user has to read it too.
    building.chmod(0o755)
    # Something damaged or half-written under the final name gives way.
    _remove_tree(folder)
    os.replace(temporary, inventory)
    # mkdtemp made it for its owner only; a sandboxed model runs as somebody else.
    building.chmod(0o555)
    os.replace(building, folder)


def _remove_write_permission(path: Path) -> None:
    mode = path.lstat().st_mode
    if not stat.S_ISLNK(mode):
        path.chmod(stat.S_IMODE(mode) & ~0o222)


def _remove_tree(folder: Path) -> None:
    if not folder.exists():
        return
    for path, _, _ in os.walk(folder):
        os.chmod(path, 0o700)
    shutil.rmtree(folder)


def _remove_unpacked(folder: Path) -> None:
    _remove_tree(folder)
    folder.with_name(folder.name + INVENTORY_SUFFIX).unlink(missing_ok=True)


def _take_inventory(folder: Path) -> Mapping[str, str]:
    """Relative path → digest of every file and link below a folder."""
    inventory = {}
    for path, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            found = Path(path, name)
            if found.is_symlink():
                inventory[str(found.relative_to(folder))] = f"link:{os.readlink(found)}"
            elif found.is_file():
                with found.open("rb") as content:
                    digest = hashlib.file_digest(content, "sha256").hexdigest()
                inventory[str(found.relative_to(folder))] = f"sha256:{digest}"
    return inventory


def _matches_inventory(folder: Path) -> bool:
    """Whether an unpacked folder still holds exactly what was unpacked."""
    inventory = folder.with_name(folder.name + INVENTORY_SUFFIX)
    try:
        recorded = json.loads(inventory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return folder.is_dir() and recorded == dict(_take_inventory(folder))
