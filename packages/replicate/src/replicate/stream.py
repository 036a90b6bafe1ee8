"""Events of a prediction's stream, as the caller sees them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Optional, Type, Union


class EventType(str, Enum):
    """The events that predictions send. An event of another name keeps it as plain text."""

    OUTPUT = "output"
    LOGS = "logs"
    ERROR = "error"
    DONE = "done"


_EventType = EventType


@dataclass(frozen=True)
class ServerSentEvent:
    """One event. ``str(event)`` is its text for output and empty for all else, so that streams can be printed as they come.

    Attributes:
        event: What happened; an `EventType`, or text for an unknown one.
        data: Text, or a `FileOutput` for a file.
        id: The event's id, with which a stream can be resumed.
        retry: Reconnection time in milliseconds that the server asked for.
    """

    EventType: ClassVar[Type[_EventType]] = _EventType

    event: Union[_EventType, str]
    data: Any
    id: str = ""
    retry: Optional[int] = None

    def __str__(self) -> str:
        return str(self.data) if self.event == _EventType.OUTPUT else ""


def parse_event_type(name: str) -> Union[EventType, str]:
    """Read an event's name; unknown ones are kept."""
    return EventType(name) if name in {kind.value for kind in EventType} else name
