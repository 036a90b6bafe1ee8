"""The search store on SQLite's full-text index (see `search_index`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Select, String, bindparam, literal_column, select, text

from replicate_server.domain.catalogue import FoundCollection, FoundModel
from replicate_server.domain.ids import AccountId
from replicate_server.store.catalogue import SELECT_MODEL, build_model
from replicate_server.store.collections import MODEL_NAMES_OF_COLLECTION, build_collection
from replicate_server.store.readers import Readers
from replicate_server.store.statements import Connection, Row, Statement, constant
from replicate_server.store.tables import collections, models, search_entries
from replicate_server.store.visibility import is_visible_to_viewer

T = TypeVar("T")

WORDS_MAX: Final = 16
_WORD = re.compile(r"\w+")

# Weights of owner, name, description and body. SQLite's rank is lower for better matches.
_RANK: Any = literal_column("bm25(search_index, 3.0, 10.0, 4.0, 1.0)", String)
_MATCH = text("search_index MATCH :words")
_INDEX = text("search_index")
_NUMBER: Any = literal_column("search_index.rowid")


def _found(query: Select[Any], kind: str, key: Any) -> Select[Any]:
    """Join a query with the entries of the index that match."""
    entry = (search_entries.c.number == _NUMBER) & (search_entries.c.kind == constant(kind))
    return query.select_from(_INDEX).where(_MATCH, entry, search_entries.c.entry_key == key).order_by(_RANK)


_SELECT_FOUND = SELECT_MODEL.with_only_columns(
    _RANK.label("rank"), *SELECT_MODEL.selected_columns, maintain_column_froms=True
).where(is_visible_to_viewer())
SEARCH_MODELS = Statement(
    _found(_SELECT_FOUND, "model", models.c.id)
    .order_by(models.c.run_count.desc(), models.c.id)
    .limit(bindparam("rows_max"))
)  # fmt: skip
SEARCH_COLLECTIONS = Statement(
    _found(select(*collections.columns), "collection", collections.c.slug)
    .order_by(collections.c.slug)
    .limit(bindparam("rows_max"))
)  # fmt: skip


def build_match(words: Sequence[str], joiner: str) -> str | None:
    """A query of the full-text language: each word as a quoted prefix, so that nothing in it is an operator."""
    parts = [part for word in words for part in _WORD.findall(word)]
    return f" {joiner} ".join(f'"{part}"*' for part in parts[:WORDS_MAX]) or None


class SqlSearch:
    """`SearchStore` on readers."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def search_models(self, words: Sequence[str], *, viewer: AccountId, limit: int) -> list[FoundModel]:
        """See the port."""

        def find(connection: Connection, match: str) -> list[Row]:
            return connection.all(SEARCH_MODELS, {"words": match, "viewer": viewer, "rows_max": limit})

        rows = await self._readers.run(lambda connection: _search(connection, words, find))
        return [FoundModel(build_model(row[1:]), -float(row[0])) for row in rows]

    async def search_collections(self, words: Sequence[str], *, viewer: AccountId, limit: int) -> list[FoundCollection]:
        """See the port."""

        def find(connection: Connection, match: str) -> list[FoundCollection]:
            found = []
            for row in connection.all(SEARCH_COLLECTIONS, {"words": match, "rows_max": limit}):
                collection = build_collection(row)
                names = connection.all(MODEL_NAMES_OF_COLLECTION, {"slug": collection.slug, "viewer": viewer, "rows_max": limit})
                found.append(FoundCollection(collection, [f"{owner}/{name}" for owner, name in names]))
            return found

        return await self._readers.run(lambda connection: _search(connection, words, find))


def _search(connection: Connection, words: Sequence[str], find: Callable[[Connection, str], list[T]]) -> list[T]:
    """Look for all words, and where nothing has them all, for any."""
    for joiner in ("AND", "OR"):
        match = build_match(words, joiner)
        found = find(connection, match) if match is not None else []
        if found:
            return found
    return []
