"""Server-sent events, decoded without I/O: bytes in, events out.

Follows the WHATWG rules (https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation), where 1.x
did not: lines end at LF, CRLF or CR only, so U+2028 and U+0085 inside a text survive. One leniency: an event with a name but
without data is delivered, since services send a bare ``done``. An event that the end of the body cuts off is dropped, as the
rules say.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import List, Optional

EVENT_CHARACTERS_MAX = 64 * 1024 * 1024
"""A line or event longer than this is refused: data URIs are large, but nothing that a stream sends is larger."""


@dataclass(frozen=True)
class RawEvent:
    """One event as sent: its name ("" when absent), data, the last id seen, and the reconnection time in milliseconds."""

    event: str
    data: str
    id: str = ""
    retry: Optional[int] = None


class Decoder:
    """Feeds on chunks cut anywhere, also inside a character or between CR and LF."""

    def __init__(self, last_event_id: str = "") -> None:
        self.last_event_id = last_event_id
        self.retry_milliseconds: Optional[int] = None
        self._text = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._line: List[str] = []
        self._is_after_return = False
        self._is_start = True
        self._event = ""
        self._data: List[str] = []
        self._retry: Optional[int] = None
        self._size = 0

    def feed(self, chunk: bytes) -> List[RawEvent]:
        """Take bytes and return the events that they complete.

        Raises:
            ValueError: If one event grows beyond `EVENT_CHARACTERS_MAX`.
        """
        text = self._text.decode(chunk)
        if self._is_start and text:
            text, self._is_start = text[1:] if text[0] == "\ufeff" else text, False
        if self._is_after_return and text:
            text, self._is_after_return = text[1:] if text[0] == "\n" else text, False
        self._is_after_return = self._is_after_return or text.endswith("\r")
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._size += len(text)
        if self._size > EVENT_CHARACTERS_MAX:
            raise ValueError(f"an event of more than {EVENT_CHARACTERS_MAX} characters")
        events: List[RawEvent] = []
        for line in lines[:-1]:
            self._line.append(line)
            whole, self._line = "".join(self._line), []
            event = self._take(whole)
            if event is not None:
                events.append(event)
        self._line.append(lines[-1])
        return events

    def _take(self, line: str) -> Optional[RawEvent]:
        """Take one whole line; a blank one completes the event."""
        if not line:
            return self._dispatch()
        if line.startswith(":"):
            return None
        name, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self.last_event_id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self._retry = self.retry_milliseconds = int(value)
        return None

    def _dispatch(self) -> Optional[RawEvent]:
        """Complete the event at hand, if there is one."""
        event = None
        if self._data or self._event:
            event = RawEvent(self._event, "\n".join(self._data), self.last_event_id, self._retry)
        self._event, self._data, self._retry, self._size = "", [], None, 0
        return event
