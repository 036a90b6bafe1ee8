"""The prediction store: predictions, their claims and their event logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, Final

from replicate_server.domain.ids import HolderId, InstanceId, PredictionId, VersionId
from replicate_server.domain.records import Event, Page, Prediction
from replicate_server.ports.store import NOTHING, ClaimRef, Consequences, Outcome, PredictionFilter, VersionQueue
from replicate_server.store import prediction_statements as sql
from replicate_server.store import prediction_writes as writes
from replicate_server.store.cursors import EVERYTHING, Range, parse_cursor
from replicate_server.store.folding import fold_events
from replicate_server.store.prediction_rows import EVENT_DATA, build_event, build_prediction
from replicate_server.store.readers import Readers
from replicate_server.store.statements import Connection, Row, Statement
from replicate_server.store.values import json_value, micros, moment
from replicate_server.store.writer import Writer

INLINE_LENGTH_MAX: Final = 64 * 1024
"""A prediction of up to so many characters is read on the event loop: decoding 64 KiB of JSON takes about 100 µs."""


class SqlPredictions:
    """`PredictionStore` on a writer and readers."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def create_prediction(self, prediction: Prediction, consequences: Consequences = NOTHING) -> None:
        """See the port."""
        await self._writer.write(writes.CreatePrediction(prediction, consequences))

    async def prediction(self, prediction_id: PredictionId) -> Prediction | None:
        """See the port. Small ones that need no folding are read in place."""
        small = {"prediction_id": prediction_id, "length_max": INLINE_LENGTH_MAX}
        row = self._readers.point(lambda connection: connection.one(sql.SMALL_PREDICTION, small))
        found = build_prediction(row) if row else None
        if found is not None and not _may_have_events(found):
            return found
        return await self._load_whole(sql.PREDICTION, {"prediction_id": prediction_id})

    async def list_predictions(self, filters: PredictionFilter, *, cursor: str | None, limit: int) -> Page[Prediction]:
        """See the port."""
        given = {
            "source": filters.source,
            "status": filters.status,
            "model": filters.model,
            "version_id": filters.version_id,
            "deployment": filters.deployment,
        }
        listing = sql.prediction_list(_filter_names(given))
        position = parse_cursor(listing.name, cursor) if cursor is not None else None
        parameters = {"account_id": filters.account_id, **given}
        keys = Range(
            micros(filters.created_after) if filters.created_after is not None else EVERYTHING.first,
            micros(filters.created_before) if filters.created_before is not None else EVERYTHING.end,
        )
        return await self._readers.run(
            lambda connection: listing.page(connection, parameters, build_prediction, position=position, limit=limit, keys=keys)
        )

    async def claim_predictions(
        self, version_id: VersionId, *, claims_max: int, holder: HolderId, instance_id: InstanceId, expires_at: datetime
    ) -> list[Prediction]:
        """See the port."""
        operation = writes.ClaimPredictions(
            version_id, claims_max=claims_max, holder=holder, instance_id=instance_id, expires_at=expires_at
        )
        return await self._writer.write(operation)

    async def release_claims(self, claims: Sequence[ClaimRef]) -> None:
        """See the port."""
        await self._writer.write(writes.ReleaseClaims(claims))

    async def renew_claims(self, holder: HolderId, *, expires_at: datetime) -> int:
        """See the port."""
        return await self._writer.write(writes.RenewClaims(holder, expires_at))

    async def start_prediction(self, claim: ClaimRef, *, started_at: datetime, consequences: Consequences = NOTHING) -> bool:
        """See the port. The consequences are written whenever it returns True."""
        return await self._writer.write(writes.ContinueClaim(claim, started_at, consequences))

    async def append_events(self, claim: ClaimRef, *, started_at: datetime, consequences: Consequences) -> bool:
        """See the port."""
        return await self._writer.write(writes.ContinueClaim(claim, started_at, consequences))

    async def finish_prediction(self, claim: ClaimRef, outcome: Outcome, consequences: Consequences = NOTHING) -> bool:
        """See the port."""
        return await self._writer.write(writes.finish_prediction(claim, outcome, consequences))

    async def finish_unclaimed(self, prediction_id: PredictionId, outcome: Outcome, consequences: Consequences = NOTHING) -> bool:
        """See the port."""
        return await self._writer.write(writes.finish_unclaimed(prediction_id, outcome, consequences))

    async def requeue_prediction(self, claim: ClaimRef, consequences: Consequences = NOTHING) -> bool:
        """See the port."""
        return await self._writer.write(writes.requeue_prediction(claim, consequences))

    async def request_cancel(self, prediction_id: PredictionId, *, at: datetime) -> bool:
        """See the port."""
        return await self._writer.write(writes.request_cancel(prediction_id, at))

    async def queues(self) -> list[VersionQueue]:
        """See the port."""
        rows = await self._readers.run(lambda connection: connection.all(sql.QUEUES, {}))
        queues = [VersionQueue(version, model, queued, moment(oldest)) for version, model, queued, oldest in rows]
        return sorted(queues, key=lambda queue: (queue.oldest_created_at, queue.version_id))

    async def count_queued(self) -> int:
        """See the port."""
        rows = await self._readers.run(lambda connection: connection.all(sql.COUNT_QUEUED, {}))
        return int(rows[0][0])

    async def queued_predictions(self, version_id: VersionId, *, limit: int) -> list[Prediction]:
        """See the port."""
        return await self._load_all(sql.QUEUED, {"version_id": version_id, "rows_max": limit})

    async def queued_before(self, prediction: Prediction) -> int:
        """See the port."""
        parameters = {
            "version_id": prediction.version_id,
            "created_at": micros(prediction.created_at),
            "prediction_id": prediction.id,
        }
        row = await self._readers.run(lambda connection: connection.one(sql.QUEUED_BEFORE, parameters))
        return int(row[0]) if row else 0

    async def claimed_by_others(self, holder: HolderId, *, limit: int) -> list[Prediction]:
        """See the port."""

        def read(connection: Connection) -> list[Row]:
            before = connection.all(sql.HELD_BEFORE, {"holder": holder, "rows_max": limit})
            behind = connection.all(sql.HELD_BEHIND, {"holder": holder, "rows_max": limit - len(before)})
            return before + behind

        return [build_prediction(row) for row in await self._readers.run(read)]

    async def expired_claims(self, now: datetime, *, limit: int) -> list[Prediction]:
        """See the port. The longest expired first."""
        return await self._load_all(sql.EXPIRED, {"now": micros(now), "rows_max": limit})

    async def overdue_predictions(self, now: datetime, *, limit: int) -> list[Prediction]:
        """See the port. The longest overdue first."""
        return await self._load_all(sql.OVERDUE, {"now": micros(now), "rows_max": limit})

    async def next_deadline(self) -> datetime | None:
        """See the port."""
        row = self._readers.point(lambda connection: connection.one(sql.NEXT_DEADLINE, {}))
        return moment(row[0]) if row else None

    async def events_after(
        self, prediction_id: PredictionId, sequence: int, *, limit: int, size_bytes_max: int | None = None
    ) -> list[Event]:
        """See the port."""
        parameters = {"prediction_id": prediction_id, "after": sequence, "rows_max": limit}

        def read(connection: Connection) -> list[Event]:
            if size_bytes_max is None:
                return [build_event(row) for row in connection.all(sql.EVENTS_AFTER, parameters)]
            found, size_bytes = [], 0
            with closing(connection.each(sql.EVENTS_AFTER, parameters)) as rows:
                for row in rows:
                    found.append(build_event(row))
                    size_bytes += len(row[EVENT_DATA])
                    if size_bytes >= size_bytes_max:
                        break
            return found

        return await self._readers.run(read)

    async def has_output_events(self, prediction_id: PredictionId) -> bool:
        """See the port."""
        parameters = {"prediction_id": prediction_id}
        return await self._readers.run(lambda connection: connection.one(sql.OUTPUT_EVENT, parameters)) is not None

    async def prediction_by_stream(self, stream_token: str) -> Prediction | None:
        """See the port."""
        return await self._load_whole(sql.PREDICTION_BY_STREAM, {"stream_token": stream_token})

    async def _load_all(self, statement: Statement, parameters: dict[str, Any]) -> list[Prediction]:
        return await self._readers.run(
            lambda connection: [build_prediction(row) for row in connection.all(statement, parameters)]
        )

    async def _load_whole(self, statement: Statement, parameters: dict[str, Any]) -> Prediction | None:
        """Load one of any size, with what it produced so far."""
        return await self._readers.run(lambda connection: _read_whole(connection, statement, parameters))


def _may_have_events(prediction: Prediction) -> bool:
    """Whether its record lacks what its event log holds: its code was started at least once and has not ended."""
    return prediction.completed_at is None and prediction.attempt > 0


def _read_whole(connection: Connection, statement: Statement, parameters: dict[str, Any]) -> Prediction | None:
    row = connection.one(statement, parameters)
    if row is None:
        return None
    prediction = build_prediction(row)
    if not _may_have_events(prediction):
        return prediction
    # An outcome recorded between the two statements does no harm: this answer is then one moment old.
    entries = connection.all(sql.EVENTS, {"prediction_id": prediction.id})
    return fold_events(prediction, ((kind, json_value(data)) for kind, data in entries))


def _filter_names(given: Mapping[str, str | None]) -> frozenset[str]:
    """Which of `sql.LIST_FILTERS` are asked for."""
    names = {name for name, value in given.items() if value is not None}
    return frozenset(names - {"source"} | {"api"} if given["source"] == "api" else names)
