"""The writes about predictions, as operations of the writer. What they store is encoded when they are made, by the caller."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from replicate_server.domain.ids import HolderId, InstanceId, PredictionId, VersionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Prediction
from replicate_server.ports.store import NOTHING, ClaimRef, Consequences, Outcome
from replicate_server.store import prediction_statements as sql
from replicate_server.store.idempotency import DELETE_OVERTAKEN_KEY, INSERT_KEY, key_parameters
from replicate_server.store.prediction_rows import (
    build_prediction,
    event_parameters,
    file_parameters,
    message_parameters,
    prediction_parameters,
)
from replicate_server.store.statements import Connection, Statement
from replicate_server.store.values import json_text, micros, optional_json_text, optional_micros
from replicate_server.store.writer import Operation

QUICK_LENGTH_MAX: Final = 256 * 1024
"""Characters that are written in well under a millisecond."""
ROW_LENGTH: Final = 1024
"""What a row costs in itself, in characters written."""

Rows = list[tuple[Statement, list[dict[str, Any]]]]


def consequence_rows(consequences: Consequences) -> Rows:
    """What consequences insert, encoded."""
    if consequences is NOTHING:
        return []
    rows = [
        (sql.INSERT_EVENT, [event_parameters(event) for event in consequences.events]),
        (sql.INSERT_FILE, [file_parameters(file) for file in consequences.files]),
        (sql.INSERT_MESSAGE, [message_parameters(message) for message in consequences.messages]),
    ]
    if consequences.key is not None:
        key = [key_parameters(consequences.key)]
        rows += [(DELETE_OVERTAKEN_KEY, key), (INSERT_KEY, key)]
    return [(statement, parameters) for statement, parameters in rows if parameters]


def is_long(length: int, rows: Rows) -> bool:
    """Whether writing so many characters and rows may take a millisecond or more."""
    for _, many in rows:
        length += sum(ROW_LENGTH + len(parameters.get("data") or parameters.get("body") or "") for parameters in many)
    return length > QUICK_LENGTH_MAX


def insert_rows(connection: Connection, rows: Rows) -> None:
    """Insert what `consequence_rows` encoded."""
    for statement, parameters in rows:
        connection.change_many(statement, parameters)


def claim_parameters(claim: ClaimRef) -> dict[str, Any]:
    """The fence's parameters."""
    return {"prediction_id": claim.prediction_id, "token": claim.token}


def outcome_parameters(outcome: Outcome) -> dict[str, Any]:
    """What an outcome sets."""
    output = optional_json_text(outcome.output)
    return {
        "outcome_status": outcome.status.value,
        "outcome_at": micros(outcome.completed_at),
        "outcome_started_at": optional_micros(outcome.started_at),
        "outcome_output": output,
        "outcome_error": outcome.error,
        "outcome_logs": outcome.logs,
        "outcome_metrics": json_text(outcome.metrics),
        "outcome_instance_id": outcome.instance_id,
        "outcome_length": len(output or "") + len(outcome.logs),
    }


class CreatePrediction(Operation[None]):
    """Insert a prediction."""

    is_new_work = True

    def __init__(self, prediction: Prediction, consequences: Consequences) -> None:
        self._parameters = prediction_parameters(prediction)
        self._rows = consequence_rows(consequences)
        self.is_long = is_long(self._parameters["text_length"], self._rows)

    def apply(self, connection: Connection) -> None:
        """Insert it with its consequences."""
        connection.change(sql.INSERT_PREDICTION, self._parameters)
        insert_rows(connection, self._rows)

    @classmethod
    def apply_group(cls, connection: Connection, operations: Sequence[CreatePrediction]) -> list[None]:
        """Insert many with one call into the driver."""
        connection.change_many(sql.INSERT_PREDICTION, [operation._parameters for operation in operations])
        for operation in operations:
            insert_rows(connection, operation._rows)
        return [None] * len(operations)


class ClaimPredictions(Operation[list[Prediction]]):
    """Take from a version's queue."""

    def __init__(
        self, version_id: VersionId, *, claims_max: int, holder: HolderId, instance_id: InstanceId, expires_at: datetime
    ) -> None:
        self._parameters = {
            "queue_version_id": version_id,
            "claims_max": claims_max,
            "holder": holder,
            "instance_id": instance_id,
            "expires_at": micros(expires_at),
        }

    def apply(self, connection: Connection) -> list[Prediction]:
        """Claim; RETURNING promises no order, so it is made here."""
        claimed = [build_prediction(row) for row in connection.all(sql.CLAIM, self._parameters)]
        return sorted(claimed, key=lambda prediction: (prediction.created_at, prediction.id))


class ReleaseClaims(Operation[None]):
    """Put predictions back whose code was never started."""

    def __init__(self, claims: Sequence[ClaimRef]) -> None:
        self._parameters = [claim_parameters(claim) for claim in claims]

    def apply(self, connection: Connection) -> None:
        """Release those still claimed."""
        connection.change_many(sql.RELEASE, self._parameters)


class RenewClaims(Operation[int]):
    """Move a holder's leases."""

    is_long = True

    def __init__(self, holder: HolderId, expires_at: datetime) -> None:
        self._parameters = {"holder": holder, "expires_at": micros(expires_at)}

    def apply(self, connection: Connection) -> int:
        """Move all; returns how many."""
        return connection.change(sql.RENEW, self._parameters)


class ContinueClaim(Operation[bool]):
    """Reach processing if not there yet, and write what belongs to it: a start, or events."""

    def __init__(self, claim: ClaimRef, started_at: datetime, consequences: Consequences) -> None:
        self._claim = claim_parameters(claim)
        self._start = {**self._claim, "processing_at": micros(started_at)}
        self._rows = consequence_rows(consequences)
        self.is_long = is_long(0, self._rows)

    def apply(self, connection: Connection) -> bool:
        """Write, if the claim holds. Reading the status first is cheaper than rewriting a row that need not change."""
        row = connection.one(sql.CLAIMED_STATUS, self._claim)
        if row is None:
            return False
        if row[0] == Status.STARTING:
            connection.change(sql.START, self._start)
        insert_rows(connection, self._rows)
        return True


class ChangeOnce(Operation[bool]):
    """A change that matches one row or none, and what follows from it."""

    def __init__(self, statement: Statement, parameters: dict[str, Any], consequences: Consequences = NOTHING) -> None:
        self._statement = statement
        self._parameters = parameters
        self._rows = consequence_rows(consequences)
        self.is_long = is_long(parameters.get("outcome_length", 0), self._rows)

    def apply(self, connection: Connection) -> bool:
        """Change, and write the consequences if there was something to change."""
        if not connection.change(self._statement, self._parameters):
            return False
        insert_rows(connection, self._rows)
        return True


def finish_prediction(claim: ClaimRef, outcome: Outcome, consequences: Consequences) -> ChangeOnce:
    """Record a claimed prediction's outcome."""
    return ChangeOnce(sql.FINISH, {**claim_parameters(claim), **outcome_parameters(outcome)}, consequences)


def finish_unclaimed(prediction_id: PredictionId, outcome: Outcome, consequences: Consequences) -> ChangeOnce:
    """Record the outcome of one that nobody claimed."""
    parameters = {"prediction_id": prediction_id, **outcome_parameters(outcome)}
    return ChangeOnce(sql.FINISH_UNCLAIMED, parameters, consequences)


def requeue_prediction(claim: ClaimRef, consequences: Consequences) -> ChangeOnce:
    """Put back one whose instance was lost."""
    return ChangeOnce(sql.REQUEUE, claim_parameters(claim), consequences)


def request_cancel(prediction_id: PredictionId, at: datetime) -> ChangeOnce:
    """Remember the wish to cancel."""
    return ChangeOnce(sql.REQUEST_CANCEL, {"prediction_id": prediction_id, "requested_at": micros(at)})
