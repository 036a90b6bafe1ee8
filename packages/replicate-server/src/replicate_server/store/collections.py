"""The collection store."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select

from replicate_server.domain.catalogue import Collection
from replicate_server.domain.ids import AccountId, ModelId
from replicate_server.domain.records import Model, Page
from replicate_server.ports.store import NameTaken
from replicate_server.store.accounts import ChangeRow, InsertIfMissing
from replicate_server.store.catalogue import SELECT_MODEL, build_model
from replicate_server.store.cursors import KeysetList, parse_cursor
from replicate_server.store.prediction_rows import select_all
from replicate_server.store.readers import Readers
from replicate_server.store.statements import Connection, Database, Row, Statement
from replicate_server.store.tables import collection_models, collections, models
from replicate_server.store.values import micros, moment
from replicate_server.store.visibility import is_visible_to_viewer
from replicate_server.store.writer import Operation, Writer

_IS_PLACE = (collection_models.c.slug == bindparam("slug"), collection_models.c.model_id == bindparam("model_id"))
_IS_IN_IT = (collection_models.c.slug == bindparam("slug"), models.c.id == collection_models.c.model_id)

INSERT_COLLECTION = Statement(insert(collections))
COLLECTION = Statement(select_all(collections).where(collections.c.slug == bindparam("slug")))
COLLECTION_LIST = KeysetList.build(
    "collections",
    select(collections.c.created_at, collections.c.slug, *collections.columns),
    collections.c.created_at,
    collections.c.slug,
    is_descending=False,
)
MODELS_OF_COLLECTION = Statement(
    SELECT_MODEL.where(*_IS_IN_IT, is_visible_to_viewer())
    .order_by(collection_models.c.created_at, collection_models.c.model_id)
    .limit(bindparam("rows_max"))
)
MODEL_NAMES_OF_COLLECTION = Statement(
    select(models.c.owner, models.c.name)
    .where(*_IS_IN_IT, is_visible_to_viewer())
    .order_by(collection_models.c.created_at, collection_models.c.model_id)
    .limit(bindparam("rows_max"))
)
PLACE = Statement(select(collection_models.c.created_at).where(*_IS_PLACE))
INSERT_PLACE = Statement(insert(collection_models))
DELETE_PLACE = Statement(delete(collection_models).where(*_IS_PLACE))


class CreateCollection(Operation[None]):
    """Insert a collection under a slug that is free."""

    def __init__(self, collection: Collection, database: Database) -> None:
        self._database = database
        self._parameters = {**asdict(collection), "created_at": micros(collection.created_at)}

    def apply(self, connection: Connection) -> None:
        """Insert it."""
        try:
            connection.change(INSERT_COLLECTION, self._parameters)
        except Exception as error:
            if self._database.is_unique_violation(error):
                raise NameTaken(f"a collection {self._parameters['slug']} exists already") from error
            raise


def build_collection(row: Row) -> Collection:
    """The record of a row of collections."""
    slug, name, description, full_description, created_at = row
    return Collection(slug, name, description, moment(created_at), full_description)


class SqlCollections:
    """`CollectionStore` on a writer and readers."""

    def __init__(self, writer: Writer, readers: Readers, database: Database) -> None:
        self._writer = writer
        self._readers = readers
        self._database = database

    async def create_collection(self, collection: Collection) -> None:
        """See the port."""
        await self._writer.write(CreateCollection(collection, self._database))

    async def collection(self, slug: str) -> Collection | None:
        """See the port."""
        row = await self._readers.run(lambda connection: connection.one(COLLECTION, {"slug": slug}))
        return build_collection(row) if row else None

    async def list_collections(self, *, cursor: str | None, limit: int) -> Page[Collection]:
        """See the port."""
        position = parse_cursor(COLLECTION_LIST.name, cursor) if cursor is not None else None
        return await self._readers.run(
            lambda connection: COLLECTION_LIST.page(connection, {}, build_collection, position=position, limit=limit)
        )

    async def collection_models(self, slug: str, *, viewer: AccountId, limit: int) -> list[Model]:
        """See the port."""
        parameters = {"slug": slug, "viewer": viewer, "rows_max": limit}
        rows = await self._readers.run(lambda connection: connection.all(MODELS_OF_COLLECTION, parameters))
        return [build_model(row) for row in rows]

    async def add_to_collection(self, slug: str, model_id: ModelId, *, at: datetime) -> None:
        """See the port."""
        parameters = {"slug": slug, "model_id": model_id, "created_at": micros(at)}
        await self._writer.write(InsertIfMissing(PLACE, INSERT_PLACE, parameters))

    async def remove_from_collection(self, slug: str, model_id: ModelId) -> bool:
        """See the port."""
        return await self._writer.write(ChangeRow(DELETE_PLACE, {"slug": slug, "model_id": model_id})) > 0
