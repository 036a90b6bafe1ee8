"""The webhook outbox: messages written together with what they tell, until they are delivered or given up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, bindparam, case, literal_column, null, select, update

from replicate_server.domain.records import WebhookMessage
from replicate_server.store.accounts import ChangeRow
from replicate_server.store.prediction_rows import build_message, select_all
from replicate_server.store.readers import Readers
from replicate_server.store.statements import Connection, Statement
from replicate_server.store.tables import webhook_messages
from replicate_server.store.values import micros, moment, optional_micros
from replicate_server.store.writer import Operation, Writer

_row = webhook_messages.c
_ONE: ColumnElement[int] = literal_column("1")
IS_WAITING = and_(_row.delivered_at.is_(None), _row.failed_at.is_(None))
"""The predicate of the partial index, word for word."""

DUE = Statement(
    select_all(webhook_messages)
    .where(_row.next_attempt_at <= bindparam("now"), IS_WAITING)
    .order_by(_row.next_attempt_at, _row.id)
    .limit(bindparam("rows_max"))
)
# The lower bound is what lets the planner begin at the partial index's first entry.
NEXT_DUE = Statement(
    select(_row.next_attempt_at)
    .where(_row.next_attempt_at > literal_column("0"), IS_WAITING)
    .order_by(_row.next_attempt_at)
    .limit(_ONE)
)
# Idempotent: what ended stays as it ended.
DELIVERED = Statement(
    update(webhook_messages)
    .where(_row.id == bindparam("message_id"), IS_WAITING)
    .values(delivered_at=bindparam("at"), attempts=_row.attempts + _ONE, last_error=null())
)
FAILED = Statement(
    update(webhook_messages)
    .where(_row.id == bindparam("message_id"), IS_WAITING)
    .values(
        attempts=_row.attempts + _ONE,
        last_error=bindparam("problem"),
        next_attempt_at=case((bindparam("next_at").is_(None), _row.next_attempt_at), else_=bindparam("next_at")),
        failed_at=case((bindparam("next_at").is_(None), bindparam("at")), else_=null()),
    )
)
# Idempotent; a message that ended meanwhile stays as it ended.
POSTPONED = Statement(
    update(webhook_messages).where(_row.id == bindparam("message_id"), IS_WAITING).values(next_attempt_at=bindparam("until"))
)


class PostponeMessages(Operation[None]):
    """Move the due time of several messages."""

    def __init__(self, message_ids: Sequence[str], until: datetime) -> None:
        self._parameters = [{"message_id": message_id, "until": micros(until)} for message_id in message_ids]

    def apply(self, connection: Connection) -> None:
        """Move all."""
        connection.change_many(POSTPONED, self._parameters)


class SqlOutbox:
    """`WebhookOutbox` on a writer and readers."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def due_messages(self, now: datetime, *, limit: int) -> list[WebhookMessage]:
        """See the port."""
        parameters = {"now": micros(now), "rows_max": limit}
        rows = await self._readers.run(lambda connection: connection.all(DUE, parameters))
        return [build_message(row) for row in rows]

    async def next_message_at(self) -> datetime | None:
        """See the port."""
        row = self._readers.point(lambda connection: connection.one(NEXT_DUE, {}))
        return moment(row[0]) if row else None

    async def message_delivered(self, message_id: str, *, at: datetime) -> None:
        """See the port."""
        await self._writer.write(ChangeRow(DELIVERED, {"message_id": message_id, "at": micros(at)}))

    async def message_failed(self, message_id: str, *, at: datetime, error: str, next_attempt_at: datetime | None) -> None:
        """See the port."""
        parameters = {
            "message_id": message_id,
            "at": micros(at),
            "problem": error,
            "next_at": optional_micros(next_attempt_at),
        }
        await self._writer.write(ChangeRow(FAILED, parameters))

    async def postpone_messages(self, message_ids: Sequence[str], *, until: datetime) -> None:
        """See the port."""
        await self._writer.write(PostponeMessages(message_ids, until))
