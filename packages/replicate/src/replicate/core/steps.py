"""What a flow may ask for: the vocabulary between pure generators and the drivers that perform I/O.

A flow yields a step and is sent its result. Each step names the method of the wire that performs it, so that both drivers stay
free of cases. This module must not import httpx at run time: requests are plain values that can be compared in tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, BinaryIO, Callable, Generator, Generic, Mapping, Optional, Tuple, TypeVar, Union

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

T = TypeVar("T")


class Repeat(Enum):
    """Whether a request may be sent twice when its answer is lost."""

    SAFE = "safe"
    """Reading, deleting, canceling: a second one changes nothing."""
    KEYED = "keyed"
    """A create: only together with an Idempotency-Key."""
    NEVER = "never"
    """A body that cannot be produced twice."""


@dataclass(frozen=True)
class Upload:
    """A file to send: a path that is opened when needed, an open binary file, or bytes."""

    source: Union[Path, BinaryIO, bytes]
    name: str
    content_type: str

    @property
    def is_repeatable(self) -> bool:
        """Whether the content can be produced a second time."""
        seekable = getattr(self.source, "seekable", None)
        return seekable is None or bool(seekable())


@dataclass(frozen=True)
class Request:
    """One HTTP request as a value, before it has a base URL or a token.

    Attributes:
        method: HTTP verb.
        path: A path below the base URL, or an absolute URL.
        json: Body, sent as JSON when it is not None.
        upload: File part named ``content``; makes the body multipart.
        fields: Text parts beside the file.
        read_timeout_seconds: Longest silence while waiting for the answer; None for the client's own limit.
        repeat: Whether a retry may send it again.
        follows_redirects: Only downloads do; the API itself never redirects.
    """

    method: str
    path: str
    json: Any = None
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    upload: Optional[Upload] = None
    fields: Mapping[str, str] = field(default_factory=dict)
    read_timeout_seconds: Optional[float] = None
    repeat: Repeat = Repeat.SAFE
    follows_redirects: bool = False


@dataclass(frozen=True)
class Call(Generic[T]):
    """An operation: a request and the way to read its answer. The retry flow turns it into one or more `Send` steps."""

    request: Request
    parse: Callable[[httpx.Response], T]


@dataclass(frozen=True)
class Send:
    """Send one request once; answers with the response, or throws a `TransportError` into the flow."""

    request: Request

    def on(self, wire: Any) -> Any:
        """Perform this step on a wire."""
        return wire.send(self.request)


@dataclass(frozen=True)
class Open:
    """Send a request and leave the body unread; answers with the response head. Closes what was open before."""

    request: Request

    def on(self, wire: Any) -> Any:
        """Perform this step on a wire."""
        return wire.open(self.request)


@dataclass(frozen=True)
class Read:
    """Take the next bytes of the open body; answers with ``b""`` at its end."""

    def on(self, wire: Any) -> Any:
        """Perform this step on a wire."""
        return wire.read()


@dataclass(frozen=True)
class Load:
    """Read a whole file into memory, for data URIs; answers with its bytes."""

    upload: Upload

    def on(self, wire: Any) -> Any:
        """Perform this step on a wire."""
        return wire.load(self.upload)


@dataclass(frozen=True)
class Sleep:
    """Wait for a number of seconds."""

    seconds: float

    def on(self, wire: Any) -> Any:
        """Perform this step on a wire."""
        return wire.sleep(self.seconds)


@dataclass(frozen=True)
class Now:
    """Ask for the monotonic time in seconds, for deadlines."""

    def on(self, wire: Any) -> Any:
        """Perform this step on a wire."""
        return wire.now()


@dataclass(frozen=True)
class Invoke:
    """Call one of the caller's own functions, or await it in an asynchronous flow; answers with its result."""

    function: Callable[..., Any]
    arguments: Tuple[Any, ...] = ()

    def on(self, wire: Any) -> Any:
        """Perform this step; the wire is not needed."""
        return self.function(*self.arguments)


@dataclass(frozen=True)
class Emit(Generic[T]):
    """Hand one item to the caller who iterates over the flow; answered by None when the next is wanted."""

    item: T


Action = Union[Send, Open, Read, Load, Sleep, Now, Invoke]
"""What a wire performs."""
Step = Union[Call[Any], Action]
Flow = Generator[Step, Any, T]
"""Steps that end in one value."""
Feed = Generator[Union[Step, Emit[T]], Any, None]
"""Steps that produce a sequence of items."""
Actions = Generator[Action, Any, T]
"""A flow whose calls have been replaced by the actions of the retry flow."""
ActionFeed = Generator[Union[Action, Emit[T]], Any, None]
"""A feed, likewise."""


def call(operation: Call[T]) -> Flow[T]:
    """Perform one operation inside a flow, with the type of its answer kept."""
    answer: T = yield operation
    return answer
