"""The deployment store: deployments and their releases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from replicate_server.domain.catalogue import Deployment, DeploymentRelease
from replicate_server.domain.ids import AccountId
from replicate_server.domain.records import Page
from replicate_server.ports.catalogue import RecordInUse
from replicate_server.ports.store import NameTaken
from replicate_server.store.accounts import build_account
from replicate_server.store.cursors import KeysetList, parse_cursor
from replicate_server.store.readers import Readers
from replicate_server.store.statements import Connection, Database, Row, Statement, constant
from replicate_server.store.tables import accounts, deployment_releases, deployments, predictions
from replicate_server.store.values import micros, moment
from replicate_server.store.writer import Operation, Writer

_release = deployment_releases.c
_ONE = func.count().label("found")
_COLUMNS = (
    deployments.c.id,
    deployments.c.account_id,
    deployments.c.owner,
    deployments.c.name,
    deployments.c.created_at,
    _release.number,
    _release.model_id,
    _release.model,
    _release.version_id,
    _release.hardware,
    _release.min_instances,
    _release.max_instances,
    _release.created_at,
)
_SELECT = select(*_COLUMNS, *accounts.columns).where(
    _release.deployment_id == deployments.c.id,
    _release.number == deployments.c.release_number,
    accounts.c.id == _release.created_by,
)

INSERT_DEPLOYMENT = Statement(insert(deployments))
INSERT_RELEASE = Statement(insert(deployment_releases))
DEPLOYMENT = Statement(_SELECT.where(deployments.c.owner == bindparam("owner"), deployments.c.name == bindparam("name")))
DEPLOYMENT_LIST = KeysetList.build(
    "deployments",
    _SELECT.with_only_columns(
        deployments.c.created_at, deployments.c.id, *_SELECT.selected_columns, maintain_column_froms=True
    ).where(deployments.c.account_id == bindparam("account_id")),
    deployments.c.created_at,
    deployments.c.id,
    is_descending=True,
)
# Changes nothing when another release came first.
NEXT_RELEASE = Statement(
    update(deployments)
    .where(deployments.c.id == bindparam("deployment_id"), deployments.c.release_number == bindparam("previous"))
    .values(release_number=bindparam("number"))
)
DELETE_RELEASES = Statement(delete(deployment_releases).where(_release.deployment_id == bindparam("deployment_id")))
DELETE_DEPLOYMENT = Statement(delete(deployments).where(deployments.c.id == bindparam("deployment_id")))

_OF_DEPLOYMENT = predictions.c.deployment == bindparam("full_name")
CREATED_SINCE = Statement(select(_ONE).where(_OF_DEPLOYMENT, predictions.c.created_at > bindparam("since")))
CLAIMED = Statement(select(_ONE).where(_OF_DEPLOYMENT, predictions.c.claim_holder > bindparam("nobody")))
QUEUED = Statement(
    select(_ONE).where(
        _OF_DEPLOYMENT,
        predictions.c.status == constant("starting"),
        predictions.c.claim_holder.is_(None),
        predictions.c.version_id.in_(select(_release.version_id).where(_release.deployment_id == bindparam("deployment_id"))),
    )
)


class CreateDeployment(Operation[None]):
    """Insert a deployment under a name that its owner does not use yet, and its first release."""

    def __init__(self, deployment: Deployment, database: Database) -> None:
        self._database = database
        self._name = deployment.full_name
        self._release = release_parameters(deployment.id, deployment.release)
        self._parameters = {
            "id": deployment.id,
            "account_id": deployment.account_id,
            "owner": deployment.owner,
            "name": deployment.name,
            "created_at": micros(deployment.created_at),
            "release_number": deployment.release.number,
        }

    def apply(self, connection: Connection) -> None:
        """Insert both."""
        try:
            connection.change(INSERT_DEPLOYMENT, self._parameters)
        except Exception as error:
            if self._database.is_unique_violation(error):
                raise NameTaken(f"a deployment {self._name} exists already") from error
            raise
        connection.change(INSERT_RELEASE, self._release)


class ReleaseDeployment(Operation[bool]):
    """Insert the next release, unless another one came first."""

    def __init__(self, deployment_id: str, release: DeploymentRelease) -> None:
        self._parameters = {**release_parameters(deployment_id, release), "previous": release.number - 1}

    def apply(self, connection: Connection) -> bool:
        """Point at it and insert it."""
        if not connection.change(NEXT_RELEASE, self._parameters):
            return False
        connection.change(INSERT_RELEASE, self._parameters)
        return True


class DeleteDeployment(Operation[bool]):
    """Remove a deployment that has not been used for a while."""

    def __init__(self, deployment: Deployment, unused_since: datetime) -> None:
        self._parameters = {
            "deployment_id": deployment.id,
            "full_name": deployment.full_name,
            "since": micros(unused_since),
            "nobody": "",
        }

    def apply(self, connection: Connection) -> bool:
        """Check and remove."""
        for statement, reason in (
            (QUEUED, "Predictions of it are queued."),
            (CLAIMED, "Predictions of it are running."),
            (CREATED_SINCE, "It was used too recently."),
        ):
            row = connection.one(statement, self._parameters)
            if row is not None and row[0]:
                raise RecordInUse(reason)
        connection.change(DELETE_RELEASES, self._parameters)
        return connection.change(DELETE_DEPLOYMENT, self._parameters) > 0


def release_parameters(deployment_id: str, release: DeploymentRelease) -> dict[str, Any]:
    """The row of a release."""
    return {
        "deployment_id": deployment_id,
        "number": release.number,
        "model_id": release.model_id,
        "model": release.model,
        "version_id": release.version_id,
        "hardware": release.hardware,
        "min_instances": release.min_instances,
        "max_instances": release.max_instances,
        "created_at": micros(release.created_at),
        "created_by": release.created_by.id,
    }


def build_deployment(row: Row) -> Deployment:
    """The record of a row of deployments joined with the current release and the account that made it."""
    deployment_id, account_id, owner, name, created_at, *rest = row
    number, model_id, model, version_id, hardware, instances_min, instances_max, released_at, *creator = rest
    release = DeploymentRelease(
        number=number,
        model_id=model_id,
        model=model,
        version_id=version_id,
        hardware=hardware,
        min_instances=instances_min,
        max_instances=instances_max,
        created_at=moment(released_at),
        created_by=build_account(tuple(creator)),
    )
    return Deployment(deployment_id, account_id, owner, name, moment(created_at), release)


class SqlDeployments:
    """`DeploymentStore` on a writer and readers."""

    def __init__(self, writer: Writer, readers: Readers, database: Database) -> None:
        self._writer = writer
        self._readers = readers
        self._database = database

    async def create_deployment(self, deployment: Deployment) -> None:
        """See the port."""
        await self._writer.write(CreateDeployment(deployment, self._database))

    async def deployment(self, owner: str, name: str) -> Deployment | None:
        """See the port. Read in place: it is on the path of every prediction through a deployment."""
        row = self._readers.point(lambda connection: connection.one(DEPLOYMENT, {"owner": owner, "name": name}))
        return build_deployment(row) if row else None

    async def list_deployments(self, account_id: AccountId, *, cursor: str | None, limit: int) -> Page[Deployment]:
        """See the port."""
        position = parse_cursor(DEPLOYMENT_LIST.name, cursor) if cursor is not None else None
        parameters = {"account_id": account_id}
        return await self._readers.run(
            lambda connection: DEPLOYMENT_LIST.page(connection, parameters, build_deployment, position=position, limit=limit)
        )

    async def release_deployment(self, deployment_id: str, release: DeploymentRelease) -> bool:
        """See the port."""
        return await self._writer.write(ReleaseDeployment(deployment_id, release))

    async def delete_deployment(self, deployment: Deployment, *, unused_since: datetime) -> bool:
        """See the port."""
        return await self._writer.write(DeleteDeployment(deployment, unused_since))
