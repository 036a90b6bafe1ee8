"""Collections and search: finding models. Does not know HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from replicate_server.domain import references
from replicate_server.domain.catalogue import Collection, FoundCollection, FoundModel
from replicate_server.domain.errors import Conflict, InvalidRequest, NotFound
from replicate_server.domain.records import Account, Model, Page
from replicate_server.ports.catalogue import CollectionStore, SearchStore
from replicate_server.ports.clock import Clock
from replicate_server.ports.store import CursorInvalid, ModelStore, NameTaken

PAGE_SIZE = 25
MODELS_MAX = 1_000
SEARCH_TEXT_LENGTH_MAX = 1_000
DESCRIPTION_LENGTH_MAX = 10_000


class FindingStore(CollectionStore, SearchStore, ModelStore, Protocol):
    """Collections, the search index and models."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a search found, best first."""

    models: Sequence[FoundModel]
    collections: Sequence[FoundCollection]


class CollectionService:
    """Use cases around collections: everybody looks, the operator changes."""

    def __init__(self, store: FindingStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def list(self, *, cursor: str | None) -> Page[Collection]:
        """One page, oldest first.

        Raises:
            InvalidRequest: If the cursor is unknown.
        """
        try:
            return await self._store.list_collections(cursor=cursor, limit=PAGE_SIZE)
        except CursorInvalid as error:
            raise InvalidRequest("Invalid cursor") from error

    async def get(self, slug: str) -> Collection:
        """Load by slug.

        Raises:
            NotFound: If there is none.
        """
        collection = await self._store.collection(slug)
        if collection is None:
            raise NotFound
        return collection

    async def models(self, account: Account, collection: Collection) -> Sequence[Model]:
        """The models of a collection that the caller may see, in the order they were added."""
        return await self._store.collection_models(collection.slug, viewer=account.id, limit=MODELS_MAX)

    async def create(self, slug: str, *, name: str, description: str, full_description: str | None = None) -> Collection:
        """Create an empty collection.

        Raises:
            InvalidRequest: If the slug breaks the grammar of names, or a text is too long.
            Conflict: If there is one of this slug.
        """
        if not references.is_name(slug):
            raise InvalidRequest(f"A collection's name in URLs consists of {references.name_rule()}.")
        if max(len(name), len(description), len(full_description or "")) > DESCRIPTION_LENGTH_MAX:
            raise InvalidRequest(f"A text may have at most {DESCRIPTION_LENGTH_MAX} characters.")
        collection = Collection(slug, name, description, self._clock.now(), full_description)
        try:
            await self._store.create_collection(collection)
        except NameTaken as error:
            raise Conflict(f"There is a collection {slug} already.") from error
        return collection

    async def add(self, slug: str, model: str) -> None:
        """Add a model ``owner/name``; one that is in it keeps its place.

        Raises:
            NotFound: If there is no such collection or model.
        """
        found = await self._find(slug, model)
        await self._store.add_to_collection(slug, found.id, at=self._clock.now())

    async def remove(self, slug: str, model: str) -> None:
        """Remove a model ``owner/name``.

        Raises:
            NotFound: If there is no such collection or model, or it is not in it.
        """
        found = await self._find(slug, model)
        if not await self._store.remove_from_collection(slug, found.id):
            raise NotFound(f"The model {model} is not in the collection {slug}.")

    async def _find(self, slug: str, model: str) -> Model:
        if await self._store.collection(slug) is None:
            raise NotFound(f"There is no collection {slug}.")
        owner, _, name = model.partition("/")
        found = await self._store.model(owner, name)
        if found is None:
            raise NotFound(f"There is no model {model}.")
        return found


class SearchService:
    """The use case of searching."""

    def __init__(self, store: SearchStore) -> None:
        self._store = store

    async def find_models(self, account: Account, text: str, *, limit: int) -> Sequence[FoundModel]:
        """Models that the caller may see, best first; none when the text has no word."""
        return await self._store.search_models(_words(text), viewer=account.id, limit=limit)

    async def find(self, account: Account, text: str, *, limit: int) -> Findings:
        """Models and collections, best first, so many of each at most."""
        return Findings(
            await self.find_models(account, text, limit=limit),
            await self._store.search_collections(_words(text), viewer=account.id, limit=limit),
        )


def _words(text: str) -> list[str]:
    return text[:SEARCH_TEXT_LENGTH_MAX].split()
