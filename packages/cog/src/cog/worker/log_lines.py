"""Cutting what a program writes into log lines: text never splits a UTF-8 character, and a line's size is limited. No I/O."""

from __future__ import annotations

from typing import List

LINE_SIZE_BYTES_MAX = 4 * 1024 * 1024

CUT_MARK = " [… the rest of this line was cut]\n"


class LogLines:
    """One stream of bytes. A carriage return ends a line too, so that progress bars are seen while they move."""

    def __init__(self, line_size_bytes_max: int = LINE_SIZE_BYTES_MAX) -> None:
        self._line_size_bytes_max = line_size_bytes_max
        self._pending: List[bytes] = []
        self._pending_size_bytes = 0
        self._is_cutting = False

    def feed(self, chunk: bytes) -> List[str]:
        """The lines that a chunk completes, each with its line end."""
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        texts: List[str] = []
        if end:
            for line in (b"".join(self._pending) + chunk[:end]).splitlines(keepends=True):
                self._finish(line, texts)
            self._pending.clear()
            self._pending_size_bytes = 0
        if end < len(chunk):
            self._keep(chunk[end:], texts)
        return texts

    def flush(self) -> List[str]:
        """The partial line, if there is one; the next byte begins a new line."""
        line = b"".join(self._pending)
        self._pending.clear()
        self._pending_size_bytes = 0
        texts: List[str] = []
        if line or self._is_cutting:
            self._finish(line, texts)
        return texts

    def _finish(self, line: bytes, texts: List[str]) -> None:
        """Emit a whole line, unless it is the end of one whose beginning was emitted already."""
        if self._is_cutting:
            self._is_cutting = False
        elif len(line) > self._line_size_bytes_max:
            texts.append(self._cut(line))
        else:
            texts.append(line.decode("utf-8", "replace"))

    def _keep(self, rest: bytes, texts: List[str]) -> None:
        """Hold a partial line; once it is too long emit its beginning and drop the rest as it comes."""
        if self._is_cutting:
            return
        self._pending.append(rest)
        self._pending_size_bytes += len(rest)
        if self._pending_size_bytes > self._line_size_bytes_max:
            texts.append(self._cut(b"".join(self._pending)))
            self._pending.clear()
            self._pending_size_bytes = 0
            self._is_cutting = True

    def _cut(self, line: bytes) -> str:
        """The allowed beginning of a line: a character that the limit would split is left out."""
        end = self._line_size_bytes_max
        while end > 0 and line[end] & 0xC0 == 0x80:
            end -= 1
        return line[:end].decode("utf-8", "replace") + CUT_MARK
