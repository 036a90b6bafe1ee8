"""The instance protocol: what a server and a worker say to each other.

One JSON object a line (UTF-8, ended by a newline) over a Unix stream socket. Every message is a dataclass with a ``type`` tag;
this module owns the messages, their encoding and decoding, and nothing else: no socket, no thread, no clock. It runs on CPython
3.9 and imports the standard library only, because it is loaded inside the model author's environment.

Unknown fields are ignored and unknown types are refused, so that a newer peer may add fields but not change meaning.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any, Callable, ClassVar, Dict, FrozenSet, List, Optional, Tuple, Type, Union

PROTOCOL_VERSION = 1

LINE_SIZE_BYTES_MAX = 64 * 1024 * 1024
"""A longer line ends the connection: larger values belong in files."""


# --- server to worker -------------------------------------------------------------------------------------------------


@dataclass
class Setup:
    """Load the runner and call its ``setup()``. The first message of a connection, sent once."""

    type: ClassVar[str] = "setup"
    runner: str
    """``file.py:Class`` or ``file.py:function``, relative to ``source_dir``."""
    source_dir: str
    """The model's own folder, as the worker sees it; becomes the working directory and ``sys.path[0]``."""
    scratch_dir: str
    """Where the worker puts output files, one folder per prediction id."""
    concurrency_max: int = 1
    weights: Optional[str] = None
    protocol_version: int = PROTOCOL_VERSION


@dataclass
class Describe:
    """Import the runner and answer with its OpenAPI document, without calling ``setup()``. An alternative first message."""

    type: ClassVar[str] = "describe"
    runner: str
    source_dir: str
    train: Optional[str] = None


@dataclass
class Predict:
    """Run one prediction. Sent only while the worker has a free slot.

    File inputs are already local paths. The input was validated against the schema; defaults are applied by the worker.
    """

    type: ClassVar[str] = "predict"
    id: str
    input: Dict[str, Any] = field(default_factory=dict)
    context: Dict[str, str] = field(default_factory=dict)


@dataclass
class Cancel:
    """Stop a prediction. Ignored when the id is unknown or finished; never lost when it overtakes the start."""

    type: ClassVar[str] = "cancel"
    id: str


@dataclass
class Ping:
    """Answered by `Pong` from a thread of its own, also while predictions run."""

    type: ClassVar[str] = "ping"
    nonce: int = 0


@dataclass
class Shutdown:
    """Finish nothing more: exit with status 0 as soon as no prediction runs."""

    type: ClassVar[str] = "shutdown"


# --- worker to server -------------------------------------------------------------------------------------------------


@dataclass
class Ready:
    """``setup()`` returned; ``slots`` predictions may run at once."""

    type: ClassVar[str] = "ready"
    slots: int
    setup_seconds: float
    is_async: bool = False
    protocol_version: int = PROTOCOL_VERSION


@dataclass
class SetupFailed:
    """The runner could not be imported or its ``setup()`` raised. The worker exits after sending it."""

    type: ClassVar[str] = "setup_failed"
    error: str
    """``ExceptionClass: message``."""
    traceback: str = ""


@dataclass
class Described:
    """The answer to `Describe`. ``openapi_schema`` is the whole document."""

    type: ClassVar[str] = "described"
    openapi_schema: Dict[str, Any] = field(default_factory=dict)
    concurrency_max: int = 1
    is_async: bool = False


@dataclass
class Log:
    """One line of text (with its newline when it had one). ``id`` is None for setup and for lines no prediction can claim."""

    type: ClassVar[str] = "log"
    text: str
    id: Optional[str] = None
    source: str = "stdout"
    """``stdout`` or ``stderr``."""


@dataclass
class OutputFile:
    """A file inside an output value: the value at ``pointer`` (JSON Pointer, RFC 6901) is null and stands for this file.

    ``path`` is relative to ``scratch_dir`` and always of the form ``<prediction id>/outputs/<n>-<name>``.
    """

    pointer: str
    path: str
    name: str


@dataclass
class Output:
    """One value yielded by an iterator output. ``index`` counts from 0."""

    type: ClassVar[str] = "output"
    id: str
    index: int
    value: Any = None
    files: List[OutputFile] = field(default_factory=list)


@dataclass
class Metric:
    """A measurement the runner recorded; ``mode`` is ``replace``, ``increment`` or ``append``, and value None deletes."""

    type: ClassVar[str] = "metric"
    id: str
    name: str
    value: Any = None
    mode: str = "replace"


@dataclass
class Done:
    """The prediction ended and its slot is free. Always the last message of a prediction, after all its logs and outputs."""

    type: ClassVar[str] = "done"
    id: str
    status: str
    """``succeeded``, ``failed`` or ``canceled``."""
    predict_seconds: float = 0.0
    output: Any = None
    """The returned value; None for iterators, whose values came as `Output` messages."""
    files: List[OutputFile] = field(default_factory=list)
    is_iterator: bool = False
    error: Optional[str] = None
    """The exception's message, non-empty when failed."""
    traceback: str = ""


@dataclass
class Pong:
    """The answer to `Ping`."""

    type: ClassVar[str] = "pong"
    nonce: int = 0


ServerMessage = Union[Setup, Describe, Predict, Cancel, Ping, Shutdown]
WorkerMessage = Union[Ready, SetupFailed, Described, Log, Output, Metric, Done, Pong]
Message = Union[ServerMessage, WorkerMessage]

MESSAGE_TYPES: Dict[str, Type[Any]] = {
    message.type: message
    for message in (
        Setup, Describe, Predict, Cancel, Ping, Shutdown,
        Ready, SetupFailed, Described, Log, Output, Metric, Done, Pong,
    )
}  # fmt: skip

DONE_STATUSES = frozenset({"succeeded", "failed", "canceled"})

# What a field of a given annotation may hold on the wire. A worker runs other people's code: the server must not have to wonder.
_KINDS: Dict[str, Tuple[type, ...]] = {
    "str": (str,),
    "Optional[str]": (str, type(None)),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "Dict[str, Any]": (dict,),
    "Dict[str, str]": (dict,),
    "List[OutputFile]": (list,),
}
_CHECKS: Dict[Type[Any], List[Tuple[str, Tuple[type, ...]]]] = {
    message: [(item.name, _KINDS[str(item.type)]) for item in fields(message) if item.type != "Any"]
    for message in MESSAGE_TYPES.values()
}
_FIELD_NAMES: Dict[Type[Any], FrozenSet[str]] = {
    message: frozenset(item.name for item in fields(message)) for message in MESSAGE_TYPES.values()
}
_encode_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class ProtocolError(ValueError):
    """A line that is not a message of this protocol. The connection cannot be trusted any more."""


def encode(message: Message, dumps: Optional[Callable[[Any], bytes]] = None) -> bytes:
    """Write a message as one line, newline included.

    Args:
        message: Any message of this module.
        dumps: A faster JSON encoder to bytes; the standard library's when None. It must escape newlines and refuse NaN.

    Raises:
        ValueError: If a value cannot be written as JSON (NaN and infinities included).
    """
    body: Dict[str, Any] = {"type": message.type, **vars(message)}
    if body.get("files"):
        body["files"] = [{"pointer": item.pointer, "path": item.path, "name": item.name} for item in body["files"]]
    if dumps is not None:
        return dumps(body) + b"\n"
    return _encode_json(body).encode("utf-8", "replace") + b"\n"


def decode(line: Union[bytes, str], loads: Callable[[Any], Any] = json.loads) -> Message:
    """Read one line.

    Raises:
        ProtocolError: If the line is not JSON, has an unknown type, lacks a required field or has a field of another type.
    """
    try:
        body = loads(line)
        message_type = MESSAGE_TYPES[body.pop("type")]
        if not body.keys() <= _FIELD_NAMES[message_type]:
            body = {name: value for name, value in body.items() if name in _FIELD_NAMES[message_type]}
        if body.get("files"):
            body["files"] = [_read_file(item) for item in body["files"]]
        message: Message = message_type(**body)
    except Exception as error:
        raise ProtocolError(f"not a message of the instance protocol: {line[:200]!r}") from error
    for name, kinds in _CHECKS[message_type]:
        if not isinstance(getattr(message, name), kinds):
            raise ProtocolError(f"the {name} of a {message.type} message is of the wrong type: {line[:200]!r}")
    if message_type is Done and getattr(message, "status", None) not in DONE_STATUSES:
        raise ProtocolError(f"a done message has an unknown status: {line[:200]!r}")
    return message


def _read_file(item: Any) -> OutputFile:
    file = OutputFile(item["pointer"], item["path"], item["name"])
    if not all(isinstance(value, str) for value in vars(file).values()):
        raise TypeError("the parts of an output file are text")
    return file
