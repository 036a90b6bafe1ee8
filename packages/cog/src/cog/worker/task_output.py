"""Attributing what Python code prints to the prediction whose task printed it, when several run at once."""

from __future__ import annotations

import io
import threading
from typing import Any, Callable, Dict, Iterable, List, Optional, TextIO

from cog.scope import task_scope
from cog.worker.log_lines import LogLines
from cog.worker.protocol import Log


class TaskOutput:
    """The open predictions' partial lines. Writes after the end of a prediction belong to nobody and go to the descriptor."""

    def __init__(self, send: Callable[[List[Log]], None]) -> None:
        self._send = send
        # Reentrant: a finalizer that prints may run inside a write.
        self._lock = threading.RLock()
        self._lines: Dict[str, Dict[str, LogLines]] = {}

    def open(self, prediction_id: str) -> None:
        """Begin to attribute lines to a prediction."""
        with self._lock:
            self._lines[prediction_id] = {"stdout": LogLines(), "stderr": LogLines()}

    def close(self, prediction_id: str) -> List[Log]:
        """Stop, and give back the partial last lines. Every earlier line has been sent when this returns."""
        with self._lock:
            streams = self._lines.pop(prediction_id, {})
            return [
                Log(text=text, id=prediction_id, source=source) for source, lines in streams.items() for text in lines.flush()
            ]

    def write(self, text: str, source: str) -> bool:
        """Attribute text to the current task's prediction; false when there is none."""
        scope = task_scope.get()
        if scope is None or scope.prediction_id is None:
            return False
        with self._lock:
            streams = self._lines.get(scope.prediction_id)
            if streams is None:
                return False
            texts = streams[source].feed(text.encode("utf-8", "backslashreplace"))
            if texts:
                self._send([Log(text=line, id=scope.prediction_id, source=source) for line in texts])
        return True


class TaskStream(io.TextIOBase):
    """Takes the place of ``sys.stdout`` or ``sys.stderr``; what no task claims goes to the stream it replaces."""

    def __init__(self, output: TaskOutput, fallback: TextIO, source: str) -> None:
        self._output = output
        self._fallback = fallback
        self._source = source

    @property
    def buffer(self) -> Any:
        """The binary stream below; bytes written to it are native output."""
        return self._fallback.buffer

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Always UTF-8."""
        return "utf-8"

    def fileno(self) -> int:
        """The descriptor below."""
        return self._fallback.fileno()

    def writable(self) -> bool:
        """Always true."""
        return True

    def write(self, text: str, /) -> int:
        """Write text for the current task's prediction."""
        if not self._output.write(text, self._source):
            self._fallback.write(text)
        return len(text)

    def writelines(self, lines: Iterable[Any], /) -> None:
        """Write several pieces."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream below; attributed lines are never held back."""
        self._fallback.flush()

    def isatty(self) -> bool:
        """Never."""
        return False

    def reconfigure(self, *args: Optional[Any], **kwargs: Optional[Any]) -> None:
        """Accepted for libraries that set encodings; nothing changes."""
