"""The catalogue store: changing and removing models and versions, and examples."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Table, bindparam, delete, func, insert, select, update

from replicate_server.domain.ids import ModelId, PredictionId, VersionId
from replicate_server.domain.records import Model, Page, Prediction
from replicate_server.ports.catalogue import RecordInUse
from replicate_server.store.accounts import InsertIfMissing
from replicate_server.store.catalogue import SELECT_MODEL, SET_LATEST, VERSION_CREATED, build_model
from replicate_server.store.cursors import KeysetList, parse_cursor
from replicate_server.store.prediction_rows import build_prediction
from replicate_server.store.readers import Readers
from replicate_server.store.statements import Connection, Statement, constant
from replicate_server.store.tables import (
    collection_models,
    deployment_releases,
    deployments,
    model_details,
    model_examples,
    models,
    predictions,
    versions,
)
from replicate_server.store.values import micros
from replicate_server.store.writer import Operation, Writer

_ONE = func.count().label("found")

MODEL_BY_ID = Statement(SELECT_MODEL.where(models.c.id == bindparam("model_id")))
EDITED = ("description", "github_url", "paper_url", "license_url", "cover_image_url", "readme")
EDIT_MODEL = Statement(
    update(models).where(models.c.id == bindparam("model_id")).values({name: bindparam(name) for name in EDITED})
)
DELETE_DETAILS = Statement(delete(model_details).where(model_details.c.model_id == bindparam("model_id")))
INSERT_DETAILS = Statement(insert(model_details))


def _delete_of(table: Table) -> Statement:
    return Statement(delete(table).where(table.c.model_id == bindparam("model_id")))


HAS_VERSION = Statement(select(_ONE).where(versions.c.model_id == bindparam("model_id")))
DELETE_EXAMPLES = _delete_of(model_examples)
DELETE_PLACES = _delete_of(collection_models)
DELETE_MODEL = Statement(delete(models).where(models.c.id == bindparam("model_id")))

_OF_VERSION = (predictions.c.version_id == bindparam("version_id"), predictions.c.model_id == bindparam("model_id"))
QUEUED_OF_VERSION = Statement(
    select(_ONE).where(*_OF_VERSION, predictions.c.status == constant("starting"), predictions.c.claim_holder.is_(None))
)
# Every holder's name is behind the empty one: a range of the index of claims, which are few.
CLAIMED_OF_VERSION = Statement(select(_ONE).where(*_OF_VERSION, predictions.c.claim_holder > bindparam("nobody")))
DEPLOYMENT_OF_VERSION = Statement(
    select(deployments.c.owner, deployments.c.name)
    .select_from(deployment_releases.join(deployments, deployments.c.id == deployment_releases.c.deployment_id))
    .where(
        deployment_releases.c.version_id == bindparam("version_id"),
        deployment_releases.c.model_id == bindparam("model_id"),
        deployment_releases.c.number == deployments.c.release_number,
    )
)
DELETE_VERSION = Statement(
    delete(versions).where(versions.c.model_id == bindparam("model_id"), versions.c.id == bindparam("version_id"))
)
NEWEST_VERSION = Statement(
    select(versions.c.id, versions.c.created_at)
    .where(versions.c.model_id == bindparam("model_id"))
    .order_by(versions.c.created_at.desc(), versions.c.id.desc())
    .limit(bindparam("rows_max"))
)
# All of them, in pages by id.
MANIFESTS = Statement(
    select(versions.c.id, versions.c.manifest)
    .where(versions.c.id > bindparam("after"))
    .order_by(versions.c.id)
    .limit(bindparam("rows_max"))
)
MANIFESTS_PAGE = 500

EXAMPLE = Statement(
    select(model_examples.c.created_at).where(
        model_examples.c.model_id == bindparam("model_id"), model_examples.c.prediction_id == bindparam("prediction_id")
    )
)
INSERT_EXAMPLE = Statement(insert(model_examples))
DELETE_EXAMPLE = Statement(
    delete(model_examples).where(
        model_examples.c.model_id == bindparam("model_id"), model_examples.c.prediction_id == bindparam("prediction_id")
    )
)
EXAMPLE_LIST = KeysetList.build(
    "examples",
    select(model_examples.c.created_at, model_examples.c.prediction_id, *predictions.columns)
    .select_from(model_examples.join(predictions, predictions.c.id == model_examples.c.prediction_id))
    .where(model_examples.c.model_id == bindparam("model_id")),
    model_examples.c.created_at,
    model_examples.c.prediction_id,
    is_descending=True,
)


class UpdateModel(Operation[Model | None]):
    """Read a model, change it and write it back; one writer, so nothing comes between."""

    def __init__(self, model_id: ModelId, changes: Mapping[str, Any]) -> None:
        self._key = {"model_id": model_id}
        self._changes = dict(changes)

    def apply(self, connection: Connection) -> Model | None:
        """Change it."""
        row = connection.one(MODEL_BY_ID, self._key)
        if row is None:
            return None
        changed = replace(build_model(row), **self._changes)
        parameters = {**asdict(changed), **self._key}
        connection.change(EDIT_MODEL, parameters)
        connection.change(DELETE_DETAILS, self._key)
        connection.change(INSERT_DETAILS, parameters)
        return changed


class DeleteModel(Operation[bool]):
    """Remove a model that has no version."""

    def __init__(self, model_id: ModelId) -> None:
        self._key = {"model_id": model_id}

    def apply(self, connection: Connection) -> bool:
        """Check and remove."""
        if _count(connection, HAS_VERSION, self._key):
            raise RecordInUse("It has versions; delete them first.")
        for statement in (DELETE_DETAILS, DELETE_EXAMPLES, DELETE_PLACES):
            connection.change(statement, self._key)
        return connection.change(DELETE_MODEL, self._key) > 0


class DeleteVersion(Operation[bool]):
    """Remove a version that nothing needs."""

    def __init__(self, model_id: ModelId, version_id: VersionId) -> None:
        self._key = {"model_id": model_id, "version_id": version_id, "nobody": "", "rows_max": 1}

    def apply(self, connection: Connection) -> bool:
        """Check, remove and point the model at the newest of the others."""
        if connection.one(VERSION_CREATED, self._key) is None:
            return False
        active = _count(connection, QUEUED_OF_VERSION, self._key) + _count(connection, CLAIMED_OF_VERSION, self._key)
        if active:
            raise RecordInUse("Predictions of it are queued or running; cancel them or wait for their end.")
        deployment = connection.one(DEPLOYMENT_OF_VERSION, self._key)
        if deployment is not None:
            raise RecordInUse(f"The deployment {deployment[0]}/{deployment[1]} uses it.")
        connection.change(DELETE_VERSION, self._key)
        newest = connection.one(NEWEST_VERSION, self._key) or (None, None)
        connection.change(SET_LATEST, {**self._key, "version_id": newest[0], "version_at": newest[1]})
        return True


class RemoveExample(Operation[bool]):
    """Take an example back, and where it was the default one, that too."""

    def __init__(self, model_id: ModelId, prediction_id: PredictionId) -> None:
        self._key = {"model_id": model_id, "prediction_id": prediction_id}

    def apply(self, connection: Connection) -> bool:
        """Remove it."""
        row = connection.one(MODEL_BY_ID, self._key)
        if row is not None and build_model(row).default_example_id == self._key["prediction_id"]:
            UpdateModel(ModelId(self._key["model_id"]), {"default_example_id": None}).apply(connection)
        return connection.change(DELETE_EXAMPLE, self._key) > 0


class SqlModelChanges:
    """`CatalogueStore` on a writer and readers."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def update_model(self, model_id: ModelId, changes: Mapping[str, Any]) -> Model | None:
        """See the port."""
        return await self._writer.write(UpdateModel(model_id, changes))

    async def delete_model(self, model_id: ModelId) -> bool:
        """See the port."""
        return await self._writer.write(DeleteModel(model_id))

    async def delete_version(self, model_id: ModelId, version_id: VersionId) -> bool:
        """See the port."""
        return await self._writer.write(DeleteVersion(model_id, version_id))

    async def referenced_content(self, digests: Collection[str]) -> set[str]:
        """See the port. Reads every manifest, some hundred bytes each: removing versions is rare."""
        return await self._readers.run(lambda connection: _find_referenced(connection, digests))

    async def add_example(self, model_id: ModelId, prediction_id: PredictionId, *, at: datetime) -> None:
        """See the port."""
        parameters = {"model_id": model_id, "prediction_id": prediction_id, "created_at": micros(at)}
        await self._writer.write(InsertIfMissing(EXAMPLE, INSERT_EXAMPLE, parameters))

    async def remove_example(self, model_id: ModelId, prediction_id: PredictionId) -> bool:
        """See the port."""
        return await self._writer.write(RemoveExample(model_id, prediction_id))

    async def list_examples(self, model_id: ModelId, *, cursor: str | None, limit: int) -> Page[Prediction]:
        """See the port."""
        position = parse_cursor(EXAMPLE_LIST.name, cursor) if cursor is not None else None
        return await self._readers.run(
            lambda connection: EXAMPLE_LIST.page(
                connection, {"model_id": model_id}, build_prediction, position=position, limit=limit
            )
        )


def _count(connection: Connection, statement: Statement, parameters: Mapping[str, Any]) -> int:
    row = connection.one(statement, parameters)
    return int(row[0]) if row else 0


def _find_referenced(connection: Connection, digests: Collection[str]) -> set[str]:
    found: set[str] = set()
    after = ""
    while rows := connection.all(MANIFESTS, {"after": after, "rows_max": MANIFESTS_PAGE}):
        for version_id, manifest in rows:
            mentioned = {version_id, *_digests_in(bytes(manifest))}
            found |= mentioned.intersection(digests)
        after = rows[-1][0]
    return found


def _digests_in(manifest: bytes) -> set[str]:
    """The digests of a manifest's config and layers, in hex."""
    document = msgspec.json.decode(manifest)
    described = [document.get("config") or {}, *(document.get("layers") or [])]
    return {item.get("digest", "").removeprefix("sha256:") for item in described}
