"""What one running prediction has said: logs, outputs and metrics within their limits, and the event rows still to be written.

Pure collection: no store, no clock. `scheduler.recorder` decides when to write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from cog.worker.protocol import Metric, Output, OutputFile

from replicate_server.domain.metrics import fold_metric
from replicate_server.scheduler.log_text import BoundedLog
from replicate_server.scheduler.progress import Progress


@dataclass(slots=True)
class Row:
    """An event to be: its files, if it has any, are ingested when it is written."""

    kind: str
    data: Any
    files: list[OutputFile] | None = None


def json_size_bytes(value: Any) -> int:
    """How long a JSON value is on the wire.

    Raises:
        ValueError: If it cannot be written as JSON (a lone surrogate, an integer beyond 64 bits).
    """
    try:
        return len(_encode(value))
    except (OverflowError, TypeError, msgspec.MsgspecError) as error:
        raise ValueError(f"not a JSON value: {error}") from error


_encode = msgspec.json.Encoder().encode


class Transcript:
    """Collects; `take_rows` hands over what was not handed over before."""

    __slots__ = ("_log", "_output_room", "_rows", "has_output", "metrics", "outputs")

    def __init__(self, *, logs_bytes_max: int, output_bytes_max: int, progress: Progress | None = None) -> None:
        self._log = BoundedLog(logs_bytes_max)
        self._rows: list[Row] = []
        self._output_room = output_bytes_max
        self.outputs: list[Any] = []
        """Values yielded so far, as they were or will be published: files as URLs."""
        self.has_output = False
        """Whether anything was yielded, written or not."""
        self.metrics: dict[str, Any] = {}
        if progress is not None:
            for text in progress.logs:
                self._log.add(text)
            self.metrics = progress.metrics

    @property
    def logs(self) -> str:
        """The log text so far, bounded."""
        return self._log.text

    @property
    def has_rows(self) -> bool:
        """Whether anything waits to be written."""
        return bool(self._rows)

    def add_log(self, text: str) -> None:
        """Add log text."""
        if published := self._log.add(text):
            self._rows.append(Row("log", published))

    def add_output(self, message: Output) -> bool:
        """Add a yielded value.

        Returns:
            False, and nothing is added, when all values together would exceed the limit.

        Raises:
            ValueError: If the value cannot be written as JSON.
        """
        self._output_room -= json_size_bytes(message.value)
        if self._output_room < 0:
            return False
        self.has_output = True
        self._rows.append(Row("output", message.value, message.files or None))
        return True

    def add_metric(self, message: Metric) -> None:
        """Fold a metric in."""
        fold_metric(self.metrics, message.name, message.value, message.mode)
        self._rows.append(Row("metric", [message.name, message.value, message.mode]))

    def take_rows(self) -> list[Row]:
        """The rows since the last call, in order."""
        rows, self._rows = self._rows, []
        return rows
