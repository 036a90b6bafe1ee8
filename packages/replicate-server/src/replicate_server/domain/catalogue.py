"""What is stored beside models and versions, as frozen values: collections, deployments and what a search finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from replicate_server.domain.ids import AccountId, ModelId, VersionId
from replicate_server.domain.records import Account, Model


@dataclass(frozen=True, slots=True)
class Collection:
    """Models that the operator put together under a name."""

    slug: str
    """Its name in URLs, by the one grammar of names."""
    name: str
    description: str
    created_at: datetime
    full_description: str | None = None
    """Markdown."""


@dataclass(frozen=True, slots=True)
class DeploymentRelease:
    """One state of a deployment; it never changes, a change is the next release."""

    number: int
    """1, 2, 3 …"""
    model_id: ModelId
    model: str
    """``owner/name``"""
    version_id: VersionId
    hardware: str
    min_instances: int
    max_instances: int
    """0 switches the deployment off."""
    created_at: datetime
    created_by: Account


@dataclass(frozen=True, slots=True)
class Deployment:
    """A name that stands for a version, hardware and bounds of scaling."""

    id: str
    account_id: AccountId
    owner: str
    name: str
    created_at: datetime
    release: DeploymentRelease
    """The current one."""

    @property
    def full_name(self) -> str:
        """``owner/name``, as predictions carry it."""
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model that a search found."""

    model: Model
    score: float
    """Greater is better; comparable within one search only."""


@dataclass(frozen=True, slots=True)
class FoundCollection:
    """A collection that a search found."""

    collection: Collection
    models: Sequence[str]
    """``owner/name`` of those that the viewer may see."""
