"""What a prediction has shown so far, read back from its event log for another attempt or another process to go on with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from replicate_server.domain.ids import PredictionId
from replicate_server.domain.metrics import fold_metric
from replicate_server.ports.store import PredictionStore

_PAGE = 1_000


@dataclass(slots=True)
class Progress:
    """The fold of an event log."""

    last_sequence: int = 0
    logs: list[str] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    is_ended: bool = False
    """Whether ``done`` is among the events."""


async def load_progress(store: PredictionStore, prediction_id: PredictionId) -> Progress:
    """Read and fold every event of a prediction. Bounded by the limits under which they were written."""
    progress = Progress()
    while events := await store.events_after(prediction_id, progress.last_sequence, limit=_PAGE):
        for event in events:
            if event.kind == "log":
                progress.logs.append(event.data)
            elif event.kind == "output":
                progress.outputs.append(event.data)
            elif event.kind == "metric":
                fold_metric(progress.metrics, *event.data)
            else:
                progress.is_ended = True
        progress.last_sequence = events[-1].sequence
    return progress
