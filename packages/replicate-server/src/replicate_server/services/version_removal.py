"""Removing versions: the record, and the content that no other version needs. Does not know HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from replicate_server.domain.errors import Conflict, NotFound
from replicate_server.domain.ids import ModelId, VersionId
from replicate_server.domain.records import Account, Version
from replicate_server.ports.blobs import BlobStore
from replicate_server.ports.catalogue import CatalogueStore, RecordInUse
from replicate_server.ports.packages import PackageCache
from replicate_server.ports.store import ModelStore
from replicate_server.registry.manifest import blob_key
from replicate_server.services.model_editing import ModelEditing
from replicate_server.services.versions import VersionService


class RemovalStore(CatalogueStore, ModelStore, Protocol):
    """Versions and their removal."""


@dataclass(frozen=True, slots=True)
class RemovalParts:
    """What has to know of a removal beside the store."""

    blobs: BlobStore
    """Holds manifests, configs and layers."""
    packages: PackageCache
    """Holds the unpacked files."""
    content_lock: asyncio.Lock
    """Held by whoever publishes, between finding that content is there already and recording who needs it."""
    is_running: Callable[[ModelId, VersionId], bool]
    """Whether a prediction of a version runs here that may not be stored yet."""


class VersionRemoval:
    """The use case of removing a version.

    Args:
        store: Versions.
        editing: Says whose model it is.
        versions: Is told to forget what is gone.
        parts: Where content lies, and who uses it.
    """

    def __init__(self, store: RemovalStore, editing: ModelEditing, versions: VersionService, parts: RemovalParts) -> None:
        self._store = store
        self._editing = editing
        self._versions = versions
        self._parts = parts

    async def delete(self, account: Account, owner: str, name: str, version_id: str) -> None:
        """Remove a version of the caller's model, by its whole id. Its predictions stay on record.

        Raises:
            NotFound: If there is no such model or version to be seen.
            PermissionDenied: If the model is another account's.
            Conflict: If predictions of it are queued or running, or a deployment uses it.
        """
        model = await self._editing.own(account, owner, name)
        version = await self._store.version(model.id, VersionId(version_id))
        if version is None:
            raise NotFound
        if self._parts.is_running(model.id, version.id):
            raise Conflict("The version cannot be deleted: predictions of it are running.")
        async with self._parts.content_lock:
            try:
                is_known = await self._store.delete_version(model.id, version.id)
            except RecordInUse as error:
                raise Conflict(f"The version cannot be deleted: {error}") from error
            self._versions.forget(model.id, version.id)
            if not is_known:
                raise NotFound
            await self._remove_content(version)

    async def _remove_content(self, version: Version) -> None:
        """Remove what only this version named. Interrupted, it leaves bytes that nobody names and that do no harm."""
        digests = content_digests(version)
        needed = await self._store.referenced_content(digests)
        if version.id not in needed:
            await self._parts.packages.discard(version.id)
        for digest in digests:
            if digest not in needed:
                await self._parts.blobs.delete(blob_key(digest))


def content_digests(version: Version) -> list[str]:
    """The digests in hex of a version's manifest, config and layers."""
    described = json.loads(version.manifest)
    named = [described["config"]["digest"]] if "config" in described else []
    return [version.id, *(digest.removeprefix("sha256:") for digest in (*named, *version.package.layers))]
