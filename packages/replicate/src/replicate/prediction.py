"""One execution of a version: its record and what can be done with it.

The record knows no HTTP: its methods ask the namespace of the client that fetched it, and update the object in place as 1.x does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, AsyncIterator, Dict, Iterator, List, Mapping, Optional

from replicate.progress import Progress
from replicate.records import Record

if TYPE_CHECKING:
    from replicate.stream import ServerSentEvent

__all__ = ["STATUSES_TERMINAL", "Prediction", "Progress"]

STATUSES_RUNNING = frozenset({"starting", "processing"})
STATUSES_TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})


@dataclass
class Prediction(Record):
    """A prediction as the API last told it."""

    id: str
    model: str = ""
    version: str = ""
    status: str = "starting"
    input: Optional[Dict[str, Any]] = None
    output: Optional[Any] = None
    logs: Optional[str] = None
    error: Optional[str] = None
    metrics: Optional[Dict[str, Any]] = None
    created_at: Optional[str] = None
    started_at: Optional[str] = None
    completed_at: Optional[str] = None
    deadline: Optional[str] = None
    deployment: Optional[str] = None
    source: Optional[str] = None
    data_removed: bool = False
    webhook: Optional[str] = None
    webhook_events_filter: Optional[List[str]] = None
    urls: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_terminal(self) -> bool:
        """Whether the prediction has ended; for a status this release does not know, whether it has a completion time."""
        if self.status in STATUSES_RUNNING:
            return False
        return self.status in STATUSES_TERMINAL or self.completed_at is not None

    @property
    def progress(self) -> Optional[Progress]:
        """How far the model says it has come, from the last progress bar in the logs."""
        return Progress.parse(self.logs) if self.logs else None

    def reload(self) -> None:
        """Fetch the prediction again, in place."""
        self.take(self._bound.predictions.get(self.id))

    async def async_reload(self) -> None:
        """Fetch the prediction again, in place."""
        self.take(await self._bound.predictions.async_get(self.id))

    def cancel(self) -> None:
        """Ask the platform to stop the prediction; an ended one stays as it is."""
        self.take(self._bound.predictions.cancel(self.id))

    async def async_cancel(self) -> None:
        """Ask the platform to stop the prediction; an ended one stays as it is."""
        self.take(await self._bound.predictions.async_cancel(self.id))

    def wait(self, timeout_seconds: Optional[float] = None) -> None:
        """Wait until the prediction has ended, in whatever way; does not raise when it failed.

        Args:
            timeout_seconds: Longest wait; None for the client's limit.

        Raises:
            PredictionTimeoutError: If it has not ended by then.
        """
        self._bound.predictions.wait(self, timeout_seconds)

    async def async_wait(self, timeout_seconds: Optional[float] = None) -> None:
        """Wait until the prediction has ended; see `wait`."""
        await self._bound.predictions.async_wait(self, timeout_seconds)

    def stream(self, use_file_output: bool = True) -> Iterator[ServerSentEvent]:
        """Iterate over the prediction's events as they come; see `Client.stream`."""
        return self._bound.predictions.stream(self, use_file_output=use_file_output)

    def async_stream(self, use_file_output: bool = True) -> AsyncIterator[ServerSentEvent]:
        """Iterate over the prediction's events as they come; see `Client.async_stream`."""
        return self._bound.predictions.async_stream(self, use_file_output=use_file_output)

    def output_iterator(self) -> Iterator[Any]:
        """Iterate over the items of the output as they appear, from the first; raises `ModelError` when the prediction fails."""
        return self._bound.predictions.output_iterator(self)

    def async_output_iterator(self) -> AsyncIterator[Any]:
        """Iterate over the items of the output as they appear; see `output_iterator`."""
        return self._bound.predictions.async_output_iterator(self)
