"""The recent events of one running prediction, bounded in count and bytes. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

import msgspec

from replicate_server.domain.records import Event

_EVENT_BYTES = 300
"""What an event costs beside its data."""


def event_size_bytes(event: Event) -> int:
    """About what an event costs in memory."""
    data = event.data
    return _EVENT_BYTES + (len(data) if isinstance(data, str) else len(msgspec.json.encode(data)))


class Tail:
    """Keeps the newest events; whoever needs older ones reads the store."""

    __slots__ = ("_bytes", "_bytes_max", "_count_max", "_events")

    def __init__(self, *, count_max: int, bytes_max: int) -> None:
        self._events: deque[tuple[Event, int]] = deque()
        self._bytes = 0
        self._bytes_max = bytes_max
        self._count_max = count_max

    def add(self, events: Sequence[Event]) -> None:
        """Append committed events and let the oldest go where a bound is exceeded."""
        for event in events:
            size_bytes = event_size_bytes(event)
            self._events.append((event, size_bytes))
            self._bytes += size_bytes
        while len(self._events) > self._count_max or (self._bytes > self._bytes_max and len(self._events) > 1):
            self._bytes -= self._events.popleft()[1]

    def after(self, sequence: int, *, size_bytes_max: int) -> list[Event] | None:
        """The events after a sequence number up to the one that fills a size, or None when the tail does not reach back that far.

        What a reader was given outlives the tail for as long as the reader stalls, hence the bound.
        """
        if not self._events or self._events[0][0].sequence > sequence + 1:
            return None
        newest = self._events[-1][0].sequence
        missing = newest - sequence
        if missing <= 0:
            return []
        first = len(self._events) - missing
        found, size_bytes = [], 0
        for event, event_bytes in islice(self._events, first, None):
            found.append(event)
            size_bytes += event_bytes
            if size_bytes >= size_bytes_max:
                break
        return found
