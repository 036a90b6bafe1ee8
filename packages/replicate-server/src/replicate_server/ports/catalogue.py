"""The part of the store port about the catalogue: changes of models, examples, collections, deployments, search.

The rules of `replicate_server.ports.store` hold here too.
"""

from __future__ import annotations

from collections.abc import Collection as AnyOf
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from replicate_server.domain.catalogue import Collection, Deployment, DeploymentRelease, FoundCollection, FoundModel
from replicate_server.domain.ids import AccountId, ModelId, PredictionId, VersionId
from replicate_server.domain.records import Model, Page, Prediction


class RecordInUse(Exception):
    """Something cannot be removed because something else needs it; the text says what, for the caller to read."""


class CatalogueStore(Protocol):
    """Changes of models, and their examples."""

    async def update_model(self, model_id: ModelId, changes: Mapping[str, Any]) -> Model | None:
        """Change fields of a model, all in one transaction; returns the changed record, None when there is no such model.

        Args:
            model_id: Which.
            changes: Field names of `Model` with their new values; only what people edit, the operator's flag and the example.
        """
        ...

    async def delete_model(self, model_id: ModelId) -> bool:
        """Remove a model with its examples and its places in collections; False when unknown. Its predictions stay.

        Raises:
            RecordInUse: If it has versions.
        """
        ...

    async def delete_version(self, model_id: ModelId, version_id: VersionId) -> bool:
        """Remove a version; the newest of the others becomes the latest. False when unknown. Its predictions stay.

        Raises:
            RecordInUse: If a prediction of it is queued or running, or a deployment's current release uses it.
        """
        ...

    async def referenced_content(self, digests: AnyOf[str]) -> set[str]:
        """Those of the digests (hex) that are a version's id or stand in a version's manifest."""
        ...

    async def add_example(self, model_id: ModelId, prediction_id: PredictionId, *, at: datetime) -> None:
        """Make a prediction an example of a model; one that is keeps its place."""
        ...

    async def remove_example(self, model_id: ModelId, prediction_id: PredictionId) -> bool:
        """Take an example back, as the default one too; False when it was none."""
        ...

    async def list_examples(self, model_id: ModelId, *, cursor: str | None, limit: int) -> Page[Prediction]:
        """One page, newest first.

        Raises:
            CursorInvalid: If the cursor is not one of ours.
        """
        ...


class SearchStore(Protocol):
    """Full-text search. A word finds what begins with it; letters' case and accents do not matter."""

    async def search_models(self, words: Sequence[str], *, viewer: AccountId, limit: int) -> list[FoundModel]:
        """Models that the viewer may see and that have every word (where none has, any of them), best first.

        A word in the name counts most, then the owner, the description, the readme; equals are ordered by runs.
        """
        ...

    async def search_collections(self, words: Sequence[str], *, viewer: AccountId, limit: int) -> list[FoundCollection]:
        """Collections, likewise."""
        ...


class CollectionStore(Protocol):
    """Collections."""

    async def create_collection(self, collection: Collection) -> None:
        """Store a new collection.

        Raises:
            NameTaken: If there is one of this slug.
        """
        ...

    async def collection(self, slug: str) -> Collection | None:
        """Load by slug."""
        ...

    async def list_collections(self, *, cursor: str | None, limit: int) -> Page[Collection]:
        """One page, oldest first.

        Raises:
            CursorInvalid: If the cursor is not one of ours.
        """
        ...

    async def collection_models(self, slug: str, *, viewer: AccountId, limit: int) -> list[Model]:
        """Its models that the viewer may see, in the order they were added."""
        ...

    async def add_to_collection(self, slug: str, model_id: ModelId, *, at: datetime) -> None:
        """Add a model; one that is in it keeps its place."""
        ...

    async def remove_from_collection(self, slug: str, model_id: ModelId) -> bool:
        """Remove a model; False when it was not in it."""
        ...


class DeploymentStore(Protocol):
    """Deployments and their releases."""

    async def create_deployment(self, deployment: Deployment) -> None:
        """Store a new deployment with its first release.

        Raises:
            NameTaken: If the owner has one of this name.
        """
        ...

    async def deployment(self, owner: str, name: str) -> Deployment | None:
        """Load by name, with its current release."""
        ...

    async def list_deployments(self, account_id: AccountId, *, cursor: str | None, limit: int) -> Page[Deployment]:
        """One page of an account's, newest first.

        Raises:
            CursorInvalid: If the cursor is not one of ours.
        """
        ...

    async def release_deployment(self, deployment_id: str, release: DeploymentRelease) -> bool:
        """Make a release the current one. False when its number does not follow the current one: somebody was faster."""
        ...

    async def delete_deployment(self, deployment: Deployment, *, unused_since: datetime) -> bool:
        """Remove a deployment and its releases; False when unknown. Its predictions stay.

        Raises:
            RecordInUse: If a prediction of it was created after ``unused_since``, or is queued or running.
        """
        ...
