"""The SQL of predictions and their events, a sentence each on locking and idempotence.

Every statement that continues a claim names the prediction *and* the claim's token: that pair is the fence. It matches nothing
once the claim was released, requeued, taken again or ended, so it changes no row and its caller learns that it lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, insert, literal_column, null, or_, select, update

from replicate_server.domain.lifecycle import Status
from replicate_server.store.cursors import KeysetList
from replicate_server.store.prediction_rows import SELECT_PREDICTION, select_all
from replicate_server.store.statements import Statement, constant
from replicate_server.store.tables import events, files, predictions, webhook_messages

_row = predictions.c
_STARTING = constant(Status.STARTING)
_PROCESSING = constant(Status.PROCESSING)
_ZERO: ColumnElement[int] = literal_column("0")
_ONE: ColumnElement[int] = literal_column("1")
QUEUED_COUNT_MAX = 1000

IS_UNCLAIMED = and_(_row.status == _STARTING, _row.claim_holder.is_(None))
"""Waiting to be claimed; the predicate of the queue's partial index, word for word."""
HOLDS_CLAIM = and_(_row.id == bindparam("prediction_id"), _row.claim_token == bindparam("token"), _row.claim_holder.is_not(None))
"""The fence. A claim exists only on active predictions (check ``claim_active``), so this also means: no outcome yet."""
_NO_CLAIM: dict[str, Any] = {"claim_holder": null(), "claim_instance_id": null(), "claim_expires_at": null()}
"""Ends a claim. The token stays, so that the next claim gets a greater one."""

# Writes. They run on the one writer, or on PostgreSQL under the row's lock.

INSERT_PREDICTION = Statement(insert(predictions))
INSERT_EVENT = Statement(insert(events))
INSERT_FILE = Statement(insert(files))
INSERT_MESSAGE = Statement(insert(webhook_messages))

# Chooses and claims in one statement. SKIP LOCKED lets several schedulers claim side by side; SQLite omits it.
CLAIM = Statement(
    update(predictions)
    .where(
        _row.id.in_(
            select(_row.id)
            .where(_row.version_id == bindparam("queue_version_id"), IS_UNCLAIMED)
            .order_by(_row.created_at, _row.id)
            .limit(bindparam("claims_max"))
            .with_for_update(skip_locked=True)
        )
    )
    .values(
        claim_holder=bindparam("holder"),
        claim_instance_id=bindparam("instance_id"),
        claim_expires_at=bindparam("expires_at"),
        claim_token=_row.claim_token + _ONE,
        attempt=_row.attempt + _ONE,
    )
    .returning(*predictions.columns)
)

# Idempotent: a second release finds no claim.
RELEASE = Statement(
    update(predictions).where(HOLDS_CLAIM, _row.status == _STARTING).values(attempt=_row.attempt - _ONE, **_NO_CLAIM)
)

RENEW = Statement(
    update(predictions).where(_row.claim_holder == bindparam("holder")).values(claim_expires_at=bindparam("expires_at"))
)

# Locks the row where that exists, so that what follows in the transaction still holds the claim.
CLAIMED_STATUS = Statement(select(_row.status).where(HOLDS_CLAIM).with_for_update())

START = Statement(update(predictions).where(HOLDS_CLAIM).values(status=_PROCESSING, started_at=bindparam("processing_at")))

_OUTCOME: dict[str, Any] = {
    "status": bindparam("outcome_status"),
    "completed_at": bindparam("outcome_at"),
    "output": bindparam("outcome_output"),
    "error": bindparam("outcome_error"),
    "logs": bindparam("outcome_logs"),
    "metrics": bindparam("outcome_metrics"),
    "started_at": func.coalesce(bindparam("outcome_started_at"), _row.started_at),
    "instance_id": bindparam("outcome_instance_id"),
    "text_length": _row.text_length + bindparam("outcome_length"),
}

# Exactly once: it ends the claim that it needs.
FINISH = Statement(update(predictions).where(HOLDS_CLAIM).values(**_OUTCOME, **_NO_CLAIM))

FINISH_UNCLAIMED = Statement(update(predictions).where(_row.id == bindparam("prediction_id"), IS_UNCLAIMED).values(**_OUTCOME))

# The attempt stays counted: its code ran.
REQUEUE = Statement(update(predictions).where(HOLDS_CLAIM).values(status=_STARTING, started_at=null(), **_NO_CLAIM))

# The first request's time stays.
REQUEST_CANCEL = Statement(
    update(predictions)
    .where(_row.id == bindparam("prediction_id"), _row.completed_at.is_(None))
    .values(cancel_requested_at=func.coalesce(_row.cancel_requested_at, bindparam("requested_at")))
)

# Reads.

PREDICTION = Statement(SELECT_PREDICTION.where(_row.id == bindparam("prediction_id")))

# Finds nothing when reading it would take long; then a reader thread reads it whole.
SMALL_PREDICTION = Statement(
    SELECT_PREDICTION.where(_row.id == bindparam("prediction_id"), _row.text_length <= bindparam("length_max"))
)

PREDICTION_BY_STREAM = Statement(SELECT_PREDICTION.where(_row.stream_token == bindparam("stream_token")))

QUEUED = Statement(
    SELECT_PREDICTION.where(_row.version_id == bindparam("version_id"), IS_UNCLAIMED)
    .order_by(_row.created_at, _row.id)
    .limit(bindparam("rows_max"))
)

# Counts along the queue's index from its beginning, so the limit bounds the cost.
QUEUED_BEFORE = Statement(
    select(func.count()).select_from(
        select(_ONE.label("one"))
        .where(
            _row.version_id == bindparam("version_id"),
            IS_UNCLAIMED,
            _row.created_at <= bindparam("created_at"),
            or_(_row.created_at != bindparam("created_at"), _row.id < bindparam("prediction_id")),
        )
        .limit(literal_column(str(QUEUED_COUNT_MAX)))
        .subquery("counted")
    )
)

# The bound makes it a search of the queue's partial index, which holds no other rows.
COUNT_QUEUED = Statement(
    select(func.count()).select_from(predictions).where(_row.version_id > literal_column("''"), IS_UNCLAIMED)
)

EXPIRED = Statement(
    SELECT_PREDICTION.where(_row.claim_expires_at < bindparam("now")).order_by(_row.claim_expires_at).limit(bindparam("rows_max"))
)

# "Not this holder" as two ranges of the index: everything before it and everything behind.
HELD_BEFORE = Statement(
    SELECT_PREDICTION.where(_row.claim_holder < bindparam("holder")).order_by(_row.claim_holder).limit(bindparam("rows_max"))
)
HELD_BEHIND = Statement(
    SELECT_PREDICTION.where(_row.claim_holder > bindparam("holder")).order_by(_row.claim_holder).limit(bindparam("rows_max"))
)

OVERDUE = Statement(
    SELECT_PREDICTION.where(_row.deadline_at <= bindparam("now"), _row.completed_at.is_(None))
    .order_by(_row.deadline_at)
    .limit(bindparam("rows_max"))
)

# The lower bound is what lets the planner begin at the partial index's first entry.
NEXT_DEADLINE = Statement(
    select(_row.deadline_at).where(_row.deadline_at > _ZERO, _row.completed_at.is_(None)).order_by(_row.deadline_at).limit(_ONE)
)

EVENTS_AFTER = Statement(
    select_all(events)
    .where(events.c.prediction_id == bindparam("prediction_id"), events.c.sequence > bindparam("after"))
    .order_by(events.c.sequence)
    .limit(bindparam("rows_max"))
)

EVENTS = Statement(
    select(events.c.kind, events.c.data).where(events.c.prediction_id == bindparam("prediction_id")).order_by(events.c.sequence)
)

OUTPUT_EVENT = Statement(
    select(events.c.sequence)
    .where(events.c.prediction_id == bindparam("prediction_id"), events.c.kind == constant("output"))
    .limit(_ONE)
)


def _queues() -> Select[Any]:
    """Walk the queue's index from version to version, one search each, instead of reading every queued row.

    The count of each version stops at `QUEUED_COUNT_MAX`.
    """
    after = predictions.alias("after")
    first = predictions.alias("first")
    waiting = predictions.alias("waiting")
    walk = select(literal_column("''").label("version_id")).cte("walk", recursive=True)
    following = (
        select(after.c.version_id)
        .where(after.c.version_id > walk.c.version_id, after.c.status == _STARTING, after.c.claim_holder.is_(None))
        .order_by(after.c.version_id)
        .limit(_ONE)
        .scalar_subquery()
    )
    walk = walk.union_all(select(following).where(walk.c.version_id.is_not(None)))

    def oldest(column: ColumnElement[Any]) -> Any:
        return (
            select(column)
            .where(first.c.version_id == walk.c.version_id, first.c.status == _STARTING, first.c.claim_holder.is_(None))
            .order_by(first.c.created_at, first.c.id)
            .limit(_ONE)
            .scalar_subquery()
        )

    counted = (
        select(_ONE.label("one"))
        .where(waiting.c.version_id == walk.c.version_id, waiting.c.status == _STARTING, waiting.c.claim_holder.is_(None))
        .limit(literal_column(str(QUEUED_COUNT_MAX)))
        .correlate(walk)
        .subquery("counted")
    )
    queued = select(func.count()).select_from(counted).scalar_subquery()
    return select(walk.c.version_id, oldest(first.c.model_id), queued, oldest(first.c.created_at)).where(
        walk.c.version_id.is_not(None), walk.c.version_id != literal_column("''")
    )


QUEUES = Statement(_queues())


LIST_FILTERS: Mapping[str, ColumnElement[bool]] = {
    "api": _row.source == constant("api"),
    # The literal inequality is the partial index's predicate; without it the planner could not use that index.
    "source": and_(_row.source == bindparam("source"), _row.source != constant("api")),
    "status": _row.status == bindparam("status"),
    "model": _row.model == bindparam("model"),
    "version_id": _row.version_id == bindparam("version_id"),
    "deployment": _row.deployment == bindparam("deployment"),
}
"""Filters of lists by name. Each has an index in list order, so a page costs the same whichever is given."""


@cache
def prediction_list(filters: frozenset[str]) -> KeysetList:
    """An account's predictions that pass all of these `LIST_FILTERS`; made on first use."""
    conditions = [condition for name, condition in LIST_FILTERS.items() if name in filters]
    query = select(_row.created_at, _row.id, *predictions.columns).where(_row.account_id == bindparam("account_id"), *conditions)
    return KeysetList.build("predictions", query, _row.created_at, _row.id, is_descending=True)
