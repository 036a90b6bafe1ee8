"""The idempotency store: what keys stand for, and the rows of a key that is written with a prediction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select

from replicate_server.domain.ids import AccountId
from replicate_server.domain.records import IdempotencyKey
from replicate_server.ports.store import NameTaken
from replicate_server.store.accounts import ChangeRow
from replicate_server.store.prediction_rows import select_all
from replicate_server.store.readers import Readers
from replicate_server.store.statements import Connection, Database, Row, Statement
from replicate_server.store.tables import idempotency_keys
from replicate_server.store.values import micros, moment
from replicate_server.store.writer import Operation, Writer

_row = idempotency_keys.c

INSERT_KEY = Statement(insert(idempotency_keys))
KEY = Statement(select_all(idempotency_keys).where(_row.account_id == bindparam("account_id"), _row.key == bindparam("key")))
# Makes room for a new request under a key whose time is over; a key still in force stays, and then the insert is refused.
DELETE_OVERTAKEN_KEY = Statement(
    delete(idempotency_keys).where(
        _row.account_id == bindparam("account_id"), _row.key == bindparam("key"), _row.expires_at <= bindparam("created_at")
    )
)
_EXPIRED = (
    select(_row.expires_at).where(_row.expires_at <= bindparam("now")).order_by(_row.expires_at).limit(bindparam("rows_max"))
)
# Removes whole moments, so a few more than the limit may go; idempotent.
DELETE_EXPIRED_KEYS = Statement(delete(idempotency_keys).where(_row.expires_at.in_(_EXPIRED)))


def key_parameters(key: IdempotencyKey) -> dict[str, Any]:
    """The row of a key."""
    return {
        "account_id": key.account_id,
        "key": key.key,
        "fingerprint": key.fingerprint,
        "created_at": micros(key.created_at),
        "expires_at": micros(key.expires_at),
        "prediction_id": key.prediction_id,
        "status": key.status,
        "body": key.body,
    }


def build_key(row: Row) -> IdempotencyKey:
    """The record of a row of keys."""
    account_id, key, fingerprint, created_at, expires_at, prediction_id, status, body = row
    body = None if body is None else bytes(body)
    return IdempotencyKey(account_id, key, fingerprint, moment(created_at), moment(expires_at), prediction_id, status, body)


class CreateKey(Operation[None]):
    """Insert a key where none is in force."""

    def __init__(self, key: IdempotencyKey, database: Database) -> None:
        self._database = database
        self._parameters = key_parameters(key)

    def apply(self, connection: Connection) -> None:
        """Make room and insert."""
        connection.change(DELETE_OVERTAKEN_KEY, self._parameters)
        try:
            connection.change(INSERT_KEY, self._parameters)
        except Exception as error:
            if self._database.is_unique_violation(error):
                raise NameTaken("the account uses this key already") from error
            raise


class SqlIdempotency:
    """`IdempotencyStore` on a writer and readers."""

    def __init__(self, writer: Writer, readers: Readers, database: Database) -> None:
        self._writer = writer
        self._readers = readers
        self._database = database

    async def idempotency_key(self, account_id: AccountId, key: str) -> IdempotencyKey | None:
        """See the port."""
        row = self._readers.point(lambda connection: connection.one(KEY, {"account_id": account_id, "key": key}))
        return build_key(row) if row else None

    async def create_idempotency_key(self, key: IdempotencyKey) -> None:
        """See the port."""
        await self._writer.write(CreateKey(key, self._database))

    async def remove_expired_keys(self, now: datetime, *, limit: int) -> int:
        """See the port."""
        return await self._writer.write(ChangeRow(DELETE_EXPIRED_KEYS, {"now": micros(now), "rows_max": limit}))
