"""Cutting a byte stream into lines, in time linear in its length and with a limit on a line's size. No I/O."""

from __future__ import annotations

from typing import List

from cog.worker.protocol import LINE_SIZE_BYTES_MAX, ProtocolError


class LineSplitter:
    """Collects chunks as they arrive and gives back whole lines, without their newline."""

    def __init__(self, line_size_bytes_max: int = LINE_SIZE_BYTES_MAX) -> None:
        self._line_size_bytes_max = line_size_bytes_max
        self._pending: List[bytes] = []
        self._pending_size_bytes = 0

    def feed(self, chunk: bytes) -> List[bytes]:
        """The lines that a chunk completes.

        Raises:
            ProtocolError: If a line is longer than the limit. The stream cannot be read any further.
        """
        lines = chunk.split(b"\n")
        rest = lines.pop()
        if lines and self._pending:
            self._pending.append(lines[0])
            lines[0] = b"".join(self._pending)
            self._pending.clear()
            self._pending_size_bytes = 0
        if rest:
            self._pending.append(rest)
            self._pending_size_bytes += len(rest)
        limit = self._line_size_bytes_max
        # Only the first line can be longer than the chunk that completed it.
        candidates = lines if len(chunk) > limit else lines[:1]
        if self._pending_size_bytes > limit or any(len(line) > limit for line in candidates):
            raise ProtocolError(f"a line is longer than {limit} bytes")
        return lines
