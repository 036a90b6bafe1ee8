"""A store that holds only what a hub asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from replicate_server.domain.ids import AccountId, ModelId, PredictionId, VersionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Event, Prediction

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class ShelfStore:
    """Events and one prediction on a shelf; counts the looks at it."""

    status: Status = Status.PROCESSING
    events: list[Event] = field(default_factory=list)
    reads: int = 0

    async def events_after(
        self, prediction_id: PredictionId, sequence: int, *, limit: int, size_bytes_max: int | None = None
    ) -> list[Event]:
        self.reads += 1
        return [event for event in self.events if event.sequence > sequence][:limit]

    async def prediction(self, prediction_id: PredictionId) -> Prediction:
        return self.build(prediction_id)

    def build(self, prediction_id: PredictionId) -> Prediction:
        return Prediction(prediction_id, AccountId("acct"), ModelId("model"), "a/b", VersionId("v"), self.status, {}, NOW)

    def write(self, *data: Any, done: bool = False) -> list[Event]:
        """Put events on disk; the caller tells the hub."""
        first = len(self.events) + 1
        kinds = [("output", item) for item in data] + ([("done", {})] if done else [])
        new = [Event(PredictionId("p"), first + index, kind, item, NOW) for index, (kind, item) in enumerate(kinds)]
        self.events += new
        return new


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def shelf() -> ShelfStore:
    return ShelfStore()
