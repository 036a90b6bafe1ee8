"""Publishing: a packed folder becomes a version.

Owns the order of the steps and what the author is told. Everything that is the author's mistake is a `BrokenPackage` that says
where it is and what to do. Nothing is recorded before every step succeeded; blobs of a failed attempt are named by content and do
no harm.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from replicate_server.domain.errors import BrokenPackage, Conflict, NotFound, PermissionDenied, TooLarge
from replicate_server.domain.records import Account, Model, Package, Version
from replicate_server.ports.blobs import BlobStore
from replicate_server.ports.clock import Clock
from replicate_server.ports.engine import Engine, PackageBroken
from replicate_server.ports.store import ModelStore
from replicate_server.registry.archives import ArchiveTooLarge, ReceivedArchive, receive_archive
from replicate_server.registry.manifest import Layer, VersionDocuments, blob_key, build_documents
from replicate_server.registry.unpacking import ArchiveRefused, UnpackLimits, unpack_layer
from replicate_server.services.models import ModelService
from replicate_server.services.package_reading import PackagePlan, read_package

LOG_TAIL_CHARACTERS = 4_000
DOCUMENT_BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PublishLog:
    """Progress for the author."""

    text: str


@dataclass(frozen=True, slots=True)
class Platform:
    """What a version is built for, and by what."""

    python_version: str
    """Taken when cog.yaml names none: ``3.11``."""
    architecture: str
    """In Go's words: ``amd64``."""
    cog_version: str


class PublishService:
    """Makes versions out of archives.

    Args:
        store: Models and versions.
        models: Creates a missing model.
        blobs: Takes the layer, the config and the manifest.
        engine: Resolves requirements, builds the environment, reads the schema.
        clock: Dates the version.
        work_dir: A folder for temporary files, on the disk that has room for packages.
        limits: What an archive may hold.
        platform: What versions are built for.
        content_lock: Shared with whoever removes content, so that nothing found here is removed before it is recorded.
    """

    def __init__(
        self,
        *,
        store: ModelStore,
        models: ModelService,
        blobs: BlobStore,
        engine: Engine,
        clock: Clock,
        work_dir: Path,
        limits: UnpackLimits,
        platform: Platform,
        content_lock: asyncio.Lock | None = None,
    ) -> None:
        self._store = store
        self._models = models
        self._blobs = blobs
        self._engine = engine
        self._clock = clock
        self._work_dir = work_dir
        self._limits = limits
        self._platform = platform
        self._content_lock = content_lock or asyncio.Lock()

    async def publish(
        self, account: Account, *, owner: str, name: str, archive: AsyncIterator[bytes]
    ) -> AsyncIterator[PublishLog | Version]:
        """Turn an archive into the latest version of a model, telling the progress as it happens; the version comes last.

        The model is created, public, when it is missing. Publishing the same content again gives the same version.

        Args:
            account: The caller, who must own the model's name.
            owner: The model's owner.
            name: The model's name.
            archive: A tar.gz of the model's folder.

        Raises:
            NotFound: If the model is another account's private one.
            PermissionDenied: If the model, or the name it would get, is another account's.
            TooLarge: If the archive exceeds the limit.
            BrokenPackage: If no version can be made of it.
        """
        await self._check_permission(account, owner, name)
        lines: asyncio.Queue[PublishLog | None] = asyncio.Queue()
        building = asyncio.create_task(
            self._build(account, owner, name, archive, lambda text: lines.put_nowait(PublishLog(text))), name="publish"
        )
        building.add_done_callback(lambda _: lines.put_nowait(None))
        try:
            while (line := await lines.get()) is not None:
                yield line
            yield await building
        finally:
            # A caller that went away takes the build with it.
            building.cancel()
            await asyncio.wait([building])

    async def _check_permission(self, account: Account, owner: str, name: str) -> Model | None:
        model = await self._store.model(owner, name)
        if model is not None and not account.may_change(model.account_id):
            if model.visibility != "public" and not account.acts_for(model.account_id):
                raise NotFound
            raise PermissionDenied(f"The model {owner}/{name} belongs to another account.")
        if model is None and account.id_as(owner) is None:
            raise PermissionDenied(f"You can only publish models owned by {account.username}.")
        return model

    async def _build(
        self, account: Account, owner: str, name: str, archive: AsyncIterator[bytes], log: Callable[[str], None]
    ) -> Version:
        await asyncio.to_thread(self._work_dir.mkdir, parents=True, exist_ok=True)
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._work_dir, prefix="publish-"))
        try:
            received = await self._receive(archive, folder / "layer.tar.gz")
            layer = await self._unpack(received, folder / "source")
            plan = await asyncio.to_thread(read_package, folder / "source", default_python=self._platform.python_version)
            for warning in plan.warnings:
                log(f"warning: {warning}\n")
            package, schema = await self._describe(plan, layer, folder / "source", log)
            documents = build_documents(
                package,
                [layer],
                cog_config=plan.cog_config,
                openapi_schema=schema,
                cog_version=self._platform.cog_version,
                architecture=self._platform.architecture,
            )
            async with self._content_lock:
                await self._store_content(received, documents)
                return await self._record(account, owner, name, package, schema, documents)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _receive(self, archive: AsyncIterator[bytes], target: Path) -> ReceivedArchive:
        try:
            return await receive_archive(archive, target, size_bytes_max=self._limits.size_bytes_max)
        except ArchiveTooLarge as error:
            raise TooLarge(f"A package may have at most {self._limits.size_bytes_max} bytes.") from error

    async def _unpack(self, received: ReceivedArchive, target: Path) -> Layer:
        def unpack() -> Layer:
            target.mkdir()
            with received.path.open("rb") as opened:
                unpacked = unpack_layer(opened, target, self._limits)
            return Layer(received.sha256, received.size_bytes, unpacked.diff_id)

        try:
            return await asyncio.to_thread(unpack)
        except ArchiveRefused as error:
            raise BrokenPackage(f"The archive cannot be unpacked: {error}.") from error

    async def _describe(
        self, plan: PackagePlan, layer: Layer, source: Path, log: Callable[[str], None]
    ) -> tuple[Package, Mapping[str, Any]]:
        """Resolve the requirements and read the schema from the runner, in the environment it will run in."""
        python_version = plan.package.python_version
        try:
            lock = plan.requirements
            if lock.strip():
                log("resolving requirements\n")
                lock = await self._engine.lock_requirements(lock, python_version=python_version, log=log)
            package = replace(plan.package, requirements_lock=lock, layers=(f"sha256:{layer.sha256}",))
            log("building the environment and reading the model's signature\n")
            return package, await self._engine.describe(package, str(source), log=log)
        except PackageBroken as error:
            tail = error.log[-LOG_TAIL_CHARACTERS:].strip()
            raise BrokenPackage(f"{error}\n{tail}" if tail not in ("", str(error)) else str(error)) from error

    async def _store_content(self, received: ReceivedArchive, documents: VersionDocuments) -> None:
        """Store what the version id names. Content that is there already is not written again."""
        key = blob_key(received.sha256)
        if await self._blobs.size_bytes(key) is None:
            await self._blobs.write_file(key, str(received.path), size_bytes_max=self._limits.size_bytes_max)
        for digest, document in ((documents.config_sha256, documents.config), (documents.version_id, documents.manifest)):
            if await self._blobs.size_bytes(blob_key(digest)) is None:
                await self._blobs.write(blob_key(digest), _once(document), size_bytes_max=DOCUMENT_BYTES_MAX)

    async def _record(
        self, account: Account, owner: str, name: str, package: Package, schema: Mapping[str, Any], documents: VersionDocuments
    ) -> Version:
        """Store the version, creating its model when it is missing."""
        model = await self._ensure_model(account, owner, name)
        version = Version(
            id=documents.version_id,
            model_id=model.id,
            owner=owner,
            name=name,
            created_at=self._clock.now(),
            cog_version=self._platform.cog_version,
            openapi_schema=schema,
            manifest=documents.manifest,
            package=package,
            hardware=model.hardware,
        )
        if await self._store.create_version(version):
            return version
        return await self._store.version(model.id, version.id) or version

    async def _ensure_model(self, account: Account, owner: str, name: str) -> Model:
        model = await self._check_permission(account, owner, name)
        if model is not None:
            return model
        fields = {"owner": owner, "name": name, "visibility": "public", "hardware": "cpu"}
        try:
            return await self._models.create(account, fields)
        except Conflict:
            # Another publish created it a moment ago.
            model = await self._check_permission(account, owner, name)
            if model is None:
                raise
            return model


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
