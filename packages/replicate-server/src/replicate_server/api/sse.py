"""Writes a prediction's events as server-sent events, by rules that suit every official client. Pure: no I/O.

Source: reference http-api §4.3. Ids are ``<unix seconds>:<sequence>``. A failed prediction ends with two events for one entry of
its log, ``error`` and ``done``; ``done`` counts one further, so that a reader cut off between them still gets it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from replicate_server.domain.records import Event

GREETING = b": hi\n"
# No blank line after it: the Go client takes that as an event without an id and forgets where it was.
HEARTBEAT = b": heartbeat\n"

PIECE_LENGTH_MAX = 16 * 1024

_KINDS = {"output": "output", "log": "logs", "done": "done"}


class EventWriter:
    """Turns batches of one prediction's events into bytes; remembers only what a resuming reader has already seen."""

    def __init__(self, *, last_seen: int, with_logs: bool) -> None:
        """Begin a stream.

        Args:
            last_seen: The sequence in the reader's ``Last-Event-ID``; 0 for the whole stream.
            with_logs: Whether to include log events, which some clients cannot read.
        """
        self._last_seen = last_seen
        self._with_logs = with_logs

    @property
    def after(self) -> int:
        """Read events after this sequence: one before the last seen, which may have been the ``error`` half of the end."""
        return max(0, self._last_seen - 1)

    def write(self, events: Sequence[Event]) -> Iterator[bytes]:
        """A batch in pieces of about 16 KiB, none when nothing in it is for this reader; an empty batch is a heartbeat.

        In pieces, because what is given to a connection at once is held until the reader takes it.
        """
        if not events:
            yield HEARTBEAT
        frames: list[str] = []
        length = 0
        for event in events:
            frame = self._write_one(event)
            if frame and length and length + len(frame) > PIECE_LENGTH_MAX:
                yield "".join(frames).encode("utf-8", "replace")
                frames, length = [], 0
            if frame:
                frames.append(frame)
                length += len(frame)
        if frames:
            yield "".join(frames).encode("utf-8", "replace")

    def _write_one(self, event: Event) -> str:
        seconds = int(event.created_at.timestamp())
        if event.kind == "done":
            return self._write_done(event, seconds)
        name = _KINDS.get(event.kind)
        if name is None or event.sequence <= self._last_seen or (name == "logs" and not self._with_logs):
            return ""
        return _frame(name, f"{seconds}:{event.sequence}", event.data)

    def _write_done(self, event: Event, seconds: int) -> str:
        data = event.data or {}
        if data.get("reason") != "error":
            return _frame("done", f"{seconds}:{event.sequence}", data) if event.sequence > self._last_seen else ""
        frames = ""
        if event.sequence > self._last_seen:
            frames = _frame("error", f"{seconds}:{event.sequence}", {"detail": data.get("detail", "")})
        if event.sequence + 1 > self._last_seen:
            frames += _frame("done", f"{seconds}:{event.sequence + 1}", {"reason": "error"})
        return frames


def _frame(name: str, event_id: str, data: Any) -> str:
    text = data if isinstance(data, str) else msgspec.json.encode(data).decode()
    # A carriage return ends a line for every parser, so it cannot be sent as it is; U+2028 and its like can, and are left alone.
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\n" in text:
        text = text.replace("\n", "\ndata: ")
    return f"event: {name}\nid: {event_id}\ndata: {text}\n\n"
