"""The members of organizations: their part of the account store."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select

from replicate_server.domain.ids import AccountId
from replicate_server.domain.records import Membership
from replicate_server.domain.scopes import Role
from replicate_server.store.readers import Readers
from replicate_server.store.statements import Connection, Row, Statement
from replicate_server.store.tables import accounts, memberships
from replicate_server.store.values import micros, moment
from replicate_server.store.writer import Operation, Writer

_organizations = accounts.alias("organizations")
_members = accounts.alias("members")
_SELECT = (
    select(
        memberships.c.organization_id,
        _organizations.c.username,
        memberships.c.account_id,
        _members.c.username,
        memberships.c.role,
        memberships.c.created_at,
    )
    .where(_organizations.c.id == memberships.c.organization_id, _members.c.id == memberships.c.account_id)
    .order_by(memberships.c.created_at, memberships.c.account_id)
)
_IS_PLACE = (
    memberships.c.organization_id == bindparam("organization_id"),
    memberships.c.account_id == bindparam("account_id"),
)

MEMBERS = Statement(_SELECT.where(memberships.c.organization_id == bindparam("organization_id")))
MEMBERSHIPS = Statement(_SELECT.where(memberships.c.account_id == bindparam("account_id")))
DELETE_MEMBER = Statement(delete(memberships).where(*_IS_PLACE))
INSERT_MEMBER = Statement(insert(memberships))


class SetMember(Operation[None]):
    """Put a membership in the place of whatever there was."""

    def __init__(self, organization_id: AccountId, account_id: AccountId, role: Role, at: datetime) -> None:
        self._parameters = {
            "organization_id": organization_id,
            "account_id": account_id,
            "role": role.value,
            "created_at": micros(at),
        }

    def apply(self, connection: Connection) -> None:
        """Replace it."""
        connection.change(DELETE_MEMBER, self._parameters)
        connection.change(INSERT_MEMBER, self._parameters)


class RemoveMember(Operation[bool]):
    """End a membership."""

    def __init__(self, organization_id: AccountId, account_id: AccountId) -> None:
        self._parameters = {"organization_id": organization_id, "account_id": account_id}

    def apply(self, connection: Connection) -> bool:
        """Remove it."""
        return connection.change(DELETE_MEMBER, self._parameters) > 0


def build_membership(row: Row) -> Membership:
    """The record of a row of memberships joined with both accounts."""
    organization_id, organization, account_id, username, role, created_at = row
    return Membership(organization_id, organization, account_id, username, Role(role), moment(created_at))


class SqlMembers:
    """The membership methods of `AccountStore`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def set_member(self, organization_id: AccountId, account_id: AccountId, role: Role, *, at: datetime) -> None:
        """See the port."""
        await self._writer.write(SetMember(organization_id, account_id, role, at))

    async def remove_member(self, organization_id: AccountId, account_id: AccountId) -> bool:
        """See the port."""
        return await self._writer.write(RemoveMember(organization_id, account_id))

    async def list_members(self, organization_id: AccountId) -> list[Membership]:
        """See the port."""
        rows = await self._readers.run(lambda connection: connection.all(MEMBERS, {"organization_id": organization_id}))
        return [build_membership(row) for row in rows]

    async def list_memberships(self, account_id: AccountId) -> list[Membership]:
        """See the port. Read in place: it is asked for with every token that is looked up."""
        rows = self._readers.point(lambda connection: connection.all(MEMBERSHIPS, {"account_id": account_id}))
        return [build_membership(row) for row in rows]
