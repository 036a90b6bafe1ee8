"""The model store: models and their versions. Their changes and removal are in `model_changes`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, func, insert, select, update

from replicate_server.domain.ids import AccountId, ModelId, VersionId
from replicate_server.domain.records import Model, Package, Page, Version
from replicate_server.ports.store import NameTaken
from replicate_server.store.cursors import KeysetList, parse_cursor
from replicate_server.store.readers import Readers
from replicate_server.store.statements import Connection, Database, Row, Statement, constant
from replicate_server.store.tables import NEWEST_KEY, OLDEST_KEY, model_details, models, versions
from replicate_server.store.values import json_text, json_value, micros, moment
from replicate_server.store.writer import Operation, Writer

_PREFIX_END: Final = "g"
"""Sorts behind every hexadecimal digit."""

_MODEL_COLUMNS = tuple(column for column in models.columns if column.name != "latest_version_created_at")
_DETAIL_COLUMNS = (model_details.c.weights_url, model_details.c.is_official, model_details.c.default_example_id)
SELECT_MODEL = select(*_MODEL_COLUMNS, *_DETAIL_COLUMNS).select_from(
    models.outerjoin(model_details, model_details.c.model_id == models.c.id)
)
_SELECT_VERSION = (
    select(*versions.columns, models.c.owner, models.c.name, models.c.hardware)
    .select_from(versions.join(models, models.c.id == versions.c.model_id))
)  # fmt: skip

INSERT_MODEL = Statement(insert(models))
MODEL = Statement(SELECT_MODEL.where(models.c.owner == bindparam("owner"), models.c.name == bindparam("name")))
COUNT_MODELS = Statement(select(func.count()).select_from(models).where(models.c.account_id == bindparam("account_id")))
ADD_RUNS = Statement(
    update(models).where(models.c.id == bindparam("model_id")).values(run_count=models.c.run_count + bindparam("runs"))
)

INSERT_VERSION = Statement(insert(versions))
VERSION = Statement(_SELECT_VERSION.where(versions.c.model_id == bindparam("model_id"), versions.c.id == bindparam("version_id")))
VERSION_CREATED = Statement(
    select(versions.c.created_at).where(versions.c.model_id == bindparam("model_id"), versions.c.id == bindparam("version_id"))
)
SET_LATEST = Statement(
    update(models)
    .where(models.c.id == bindparam("model_id"))
    .values(latest_version_id=bindparam("version_id"), latest_version_created_at=bindparam("version_at"))
)
# A prefix is a range of the index; LIKE could not use it with a parameter.
_BY_PREFIX = (
    _SELECT_VERSION.where(versions.c.id >= bindparam("prefix"), versions.c.id < bindparam("prefix_end"))
    .order_by(versions.c.created_at.desc(), versions.c.id)
    .limit(bindparam("rows_max"))
)
VERSIONS_BY_PREFIX = Statement(_BY_PREFIX)
MODEL_VERSIONS_BY_PREFIX = Statement(_BY_PREFIX.where(versions.c.model_id == bindparam("model_id")))

VERSION_LIST = KeysetList.build(
    "versions",
    _SELECT_VERSION.with_only_columns(
        versions.c.created_at, versions.c.id, *_SELECT_VERSION.selected_columns, maintain_column_froms=True
    ).where(versions.c.model_id == bindparam("model_id")),
    versions.c.created_at,
    versions.c.id,
    is_descending=True,
)


def _model_list(sort_by: str, key: Any, *, descending: bool) -> KeysetList:
    columns = (key, models.c.id, *_MODEL_COLUMNS, *_DETAIL_COLUMNS)
    query = SELECT_MODEL.with_only_columns(*columns, maintain_column_froms=True).where(models.c.visibility == constant("public"))
    return KeysetList.build(f"models:{sort_by}:{descending}", query, key, models.c.id, is_descending=descending)


MODEL_LISTS = {
    ("model_created_at", True): _model_list("model_created_at", models.c.created_at, descending=True),
    ("model_created_at", False): _model_list("model_created_at", models.c.created_at, descending=False),
    ("latest_version_created_at", True): _model_list("latest_version_created_at", NEWEST_KEY, descending=True),
    ("latest_version_created_at", False): _model_list("latest_version_created_at", OLDEST_KEY, descending=False),
}


class CreateModel(Operation[None]):
    """Insert a model under a name nobody has."""

    def __init__(self, model: Model, database: Database) -> None:
        self._database = database
        self._name = f"{model.owner}/{model.name}"
        # Versions set the latest; a model is born without one.
        self._parameters = {
            **asdict(model),
            "created_at": micros(model.created_at),
            "latest_version_id": None,
            "latest_version_created_at": None,
        }

    def apply(self, connection: Connection) -> None:
        """Insert it."""
        try:
            connection.change(INSERT_MODEL, self._parameters)
        except Exception as error:
            if self._database.is_unique_violation(error):
                raise NameTaken(f"a model named {self._name} exists already") from error
            raise


class CreateVersion(Operation[bool]):
    """Insert a version unless its model has it, and make it the latest."""

    def __init__(self, version: Version) -> None:
        self._key = {"model_id": version.model_id, "version_id": version.id}
        self._parameters = {
            "model_id": version.model_id,
            "id": version.id,
            "created_at": micros(version.created_at),
            "cog_version": version.cog_version,
            "openapi_schema": json_text(version.openapi_schema),
            "manifest": version.manifest,
            "package": json_text(version.package),
        }

    def apply(self, connection: Connection) -> bool:
        """Insert and point the model at it."""
        existing = connection.one(VERSION_CREATED, self._key)
        if existing is None:
            connection.change(INSERT_VERSION, self._parameters)
        created_at = self._parameters["created_at"] if existing is None else existing[0]
        connection.change(SET_LATEST, {**self._key, "version_at": created_at})
        return existing is None


class AddRuns(Operation[None]):
    """Add to run counts."""

    def __init__(self, runs: Mapping[ModelId, int]) -> None:
        self._parameters = [{"model_id": model_id, "runs": count} for model_id, count in runs.items()]

    def apply(self, connection: Connection) -> None:
        """Add all."""
        connection.change_many(ADD_RUNS, self._parameters)


def build_model(row: Row) -> Model:
    """The record of a row of models."""
    model_id, account_id, owner, name, visibility, created_at, *rest, is_official, default_example_id = row
    model = Model(model_id, account_id, owner, name, visibility, moment(created_at), *rest)
    return replace(model, is_official=bool(is_official), default_example_id=default_example_id)


def build_version(row: Row) -> Version:
    """The record of a row of versions joined with its model."""
    model_id, version_id, created_at, cog_version, openapi_schema, manifest, package, owner, name, hardware = row
    return Version(
        id=version_id,
        model_id=model_id,
        owner=owner,
        name=name,
        created_at=moment(created_at),
        cog_version=cog_version,
        openapi_schema=json_value(openapi_schema),
        manifest=bytes(manifest),
        package=msgspec.json.decode(package, type=Package),
        hardware=hardware,
    )


class SqlCatalogue:
    """`ModelStore` on a writer and readers."""

    def __init__(self, writer: Writer, readers: Readers, database: Database) -> None:
        self._writer = writer
        self._readers = readers
        self._database = database

    async def create_model(self, model: Model) -> None:
        """See the port."""
        await self._writer.write(CreateModel(model, self._database))

    async def model(self, owner: str, name: str) -> Model | None:
        """See the port."""
        row = self._readers.point(lambda connection: connection.one(MODEL, {"owner": owner, "name": name}))
        return build_model(row) if row else None

    async def list_models(
        self, *, viewer: AccountId, sort_by: str, descending: bool, cursor: str | None, limit: int
    ) -> Page[Model]:
        """See the port. Every viewer sees the same list today; the parameter is the place for private lists.

        Raises:
            CursorInvalid: If the cursor is not one of ours.
            ValueError: If there is no such order.
        """
        listing = MODEL_LISTS.get((sort_by, descending))
        if listing is None:
            raise ValueError(f"models cannot be sorted by {sort_by!r}")
        position = parse_cursor(listing.name, cursor) if cursor is not None else None
        return await self._readers.run(
            lambda connection: listing.page(connection, {}, build_model, position=position, limit=limit)
        )

    async def count_models(self, account_id: AccountId) -> int:
        """See the port."""
        row = await self._readers.run(lambda connection: connection.one(COUNT_MODELS, {"account_id": account_id}))
        return int(row[0]) if row else 0

    async def create_version(self, version: Version) -> bool:
        """See the port."""
        return await self._writer.write(CreateVersion(version))

    async def version(self, model_id: ModelId, version_id: VersionId) -> Version | None:
        """See the port."""
        parameters = {"model_id": model_id, "version_id": version_id}
        row = await self._readers.run(lambda connection: connection.one(VERSION, parameters))
        return build_version(row) if row else None

    async def versions_by_prefix(self, prefix: str, *, model_id: ModelId | None, limit: int) -> list[Version]:
        """See the port."""
        statement = VERSIONS_BY_PREFIX if model_id is None else MODEL_VERSIONS_BY_PREFIX
        parameters = {"prefix": prefix, "prefix_end": prefix + _PREFIX_END, "model_id": model_id, "rows_max": limit}
        rows = await self._readers.run(lambda connection: connection.all(statement, parameters))
        return [build_version(row) for row in rows]

    async def list_versions(self, model_id: ModelId, *, cursor: str | None, limit: int) -> Page[Version]:
        """See the port."""
        position = parse_cursor(VERSION_LIST.name, cursor) if cursor is not None else None
        return await self._readers.run(
            lambda connection: VERSION_LIST.page(
                connection, {"model_id": model_id}, build_version, position=position, limit=limit
            )
        )

    async def add_runs(self, runs: Mapping[ModelId, int]) -> None:
        """See the port."""
        await self._writer.write(AddRuns(runs))
