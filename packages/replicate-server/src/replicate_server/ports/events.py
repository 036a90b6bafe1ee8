"""The event hub port: wakes whoever waits for a prediction. Wake-ups are hints; what is true is in the store.

The hub keeps a short tail of recent events of running predictions so that readers that keep up need no query. A reader holds only
a position: a stalled one costs a constant (promise S1).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from replicate_server.domain.ids import PredictionId
from replicate_server.domain.records import Event, Prediction


class EventHub(Protocol):
    """Tells what was committed to those who wait."""

    def committed(self, prediction_id: PredictionId, events: Sequence[Event]) -> None:
        """These events are on disk."""
        ...

    def finished(self, prediction: Prediction) -> None:
        """This outcome is on disk, and so is the ``done`` event of a prediction that streams."""
        ...

    def expect_finished(self, prediction_id: PredictionId) -> asyncio.Future[Prediction | None]:
        """A future of the terminal prediction, for one that cannot have ended yet. `wait_expected` ends the expectation."""
        ...

    async def wait_expected(
        self, prediction_id: PredictionId, expected: asyncio.Future[Prediction | None], *, timeout_seconds: float
    ) -> Prediction | None:
        """Wait for what `expect_finished` returned; None at the time-out. Raises what `abandoned` was given."""
        ...

    def abandoned(self, prediction_id: PredictionId, error: Exception) -> None:
        """This prediction could never be stored: whoever expects its end gets the error."""
        ...

    def close(self) -> None:
        """The server ends: waits end as at their time-out, readers after what is on disk, and new ones do not wait any more."""
        ...

    async def wait_finished(self, prediction_id: PredictionId, *, timeout_seconds: float) -> Prediction | None:
        """The terminal prediction as soon as it is one, or None at the time-out. Answers at once for one that has ended."""
        ...

    def read(self, prediction_id: PredictionId, *, after: int) -> AsyncGenerator[Sequence[Event], None]:
        """Every event after a sequence number, exactly once and in order, in batches; ends after ``done``.

        An empty batch is a heartbeat, given after the hub's silence limit so that the connection can be kept alive.
        """
        ...
