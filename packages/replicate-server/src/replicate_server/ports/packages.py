"""The package source port: gives an engine the unpacked files of a version."""

from __future__ import annotations

from typing import Protocol

from replicate_server.domain.ids import VersionId
from replicate_server.domain.records import Package


class PackageSource(Protocol):
    """Unpacks versions once and remembers where."""

    async def source_dir(self, version_id: VersionId, package: Package) -> str:
        """A read-only host folder with the version's files, verified against their digests.

        Raises:
            replicate_server.ports.engine.PackageBroken: If a layer is missing or its digest does not match (promise O12).
        """
        ...


class PackageCache(Protocol):
    """The unpacked files as something that takes space."""

    async def discard(self, version_id: VersionId) -> None:
        """Remove a version's files, if they are there. Nobody may use the version any more."""
        ...
