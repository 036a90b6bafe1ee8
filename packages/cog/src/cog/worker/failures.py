"""What an exception of the model's code looks like in messages: one line for callers, a traceback without our frames for logs."""

from __future__ import annotations

import os
from types import TracebackType
from typing import List, Optional

from cog.errors import CogError
from cog.worker.protocol import Done, Log

_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def error_message(error: BaseException) -> str:
    """The exception's message, or its class where there is none. Exits name themselves: their message is only a number."""
    if isinstance(error, (SystemExit, KeyboardInterrupt)):
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001 - a model's __str__ may raise anything
        return type(error).__name__


def named_error(error: BaseException) -> str:
    """``ExceptionClass: message``; only the message where it is advice of ours to the author."""
    message = error_message(error)
    if isinstance(error, CogError):
        return message
    name = type(error).__name__
    return message if message.startswith(name) else f"{name}: {message}"


def format_traceback(error: BaseException) -> str:
    """The traceback, beginning at the model's own code; "" for advice of ours that comes from none of it."""
    import traceback  # here, because a worker that never fails should not wait for it to start

    frames: Optional[TracebackType] = error.__traceback__
    while frames is not None and _is_own(frames):
        frames = frames.tb_next
    if frames is None and isinstance(error, CogError):
        return ""
    # A file that cannot be parsed has no frame of its own; the error itself shows the line.
    shown = frames if frames is not None or isinstance(error, SyntaxError) else error.__traceback__
    return "".join(traceback.format_exception(type(error), error, shown))


def _is_own(frames: TracebackType) -> bool:
    name = frames.tb_frame.f_code.co_filename
    return name.startswith((_OWN_FOLDER, "<frozen importlib"))


def traceback_logs(text: str, prediction_id: Optional[str]) -> List[Log]:
    """A traceback as lines on standard error."""
    return [Log(text=line, id=prediction_id, source="stderr") for line in text.splitlines(keepends=True)]


def cancel(done: Done) -> None:
    """Make an end a cancelation; what the model returned all the same is dropped."""
    done.status, done.output, done.files = "canceled", None, []


def fail(done: Done, error: BaseException) -> None:
    """Make an end a failure."""
    done.status, done.output, done.files = "failed", None, []
    done.error = error_message(error)
    done.traceback = format_traceback(error)
