"""The JSON shapes of collections, deployments and search answers. Source: reference http-api §§1.2, 1.3 and 1.7."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from replicate_server.api.wire import WireAccount, WireModel, build_account
from replicate_server.domain.catalogue import Collection, Deployment, FoundCollection


class WireCollection(msgspec.Struct, frozen=True):
    """A collection in a list."""

    name: str
    slug: str
    description: str


class WireCollectionDetail(msgspec.Struct, frozen=True):
    """A collection with its models."""

    name: str
    slug: str
    description: str
    full_description: str | None
    models: Sequence[WireModel]


class WireDeploymentConfiguration(msgspec.Struct, frozen=True):
    """What a release runs on."""

    hardware: str
    min_instances: int
    max_instances: int


class WireDeploymentRelease(msgspec.Struct, frozen=True):
    """One state of a deployment."""

    number: int
    model: str
    version: str
    created_at: datetime
    created_by: WireAccount
    configuration: WireDeploymentConfiguration


class WireDeployment(msgspec.Struct, frozen=True):
    """A deployment."""

    owner: str
    name: str
    current_release: WireDeploymentRelease


class SearchMetadata(msgspec.Struct, frozen=True):
    """What a search knows about a model beside the model. Descriptions and tags are not generated here."""

    generated_description: str | None
    tags: Sequence[str]
    score: float | None


class WireFoundModel(msgspec.Struct, frozen=True):
    """A model that a search found."""

    model: WireModel
    metadata: SearchMetadata


class WireFoundCollection(msgspec.Struct, frozen=True):
    """A collection that a search found."""

    name: str
    slug: str
    description: str
    models: Sequence[str] | None


class WirePageLink(msgspec.Struct, frozen=True):
    """A page of documentation that a search found; this server has none to find."""

    name: str
    href: str


class WireFindings(msgspec.Struct, frozen=True):
    """The answer of a search."""

    query: str
    models: Sequence[WireFoundModel]
    collections: Sequence[WireFoundCollection]
    pages: Sequence[WirePageLink]


def build_collection(collection: Collection) -> WireCollection:
    """Shape a collection for a list."""
    return WireCollection(collection.name, collection.slug, collection.description)


def build_collection_detail(collection: Collection, models: Sequence[WireModel]) -> WireCollectionDetail:
    """Shape a collection with its models."""
    return WireCollectionDetail(collection.name, collection.slug, collection.description, collection.full_description, models)


def build_found_collection(found: FoundCollection) -> WireFoundCollection:
    """Shape a collection that a search found."""
    collection = found.collection
    return WireFoundCollection(collection.name, collection.slug, collection.description, found.models)


def build_deployment(deployment: Deployment) -> WireDeployment:
    """Shape a deployment."""
    release = deployment.release
    return WireDeployment(
        deployment.owner,
        deployment.name,
        WireDeploymentRelease(
            number=release.number,
            model=release.model,
            version=release.version_id,
            created_at=release.created_at,
            created_by=build_account(release.created_by),
            configuration=WireDeploymentConfiguration(release.hardware, release.min_instances, release.max_instances),
        ),
    )
