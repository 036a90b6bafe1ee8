"""Log capture: everything written to file descriptors 1 and 2, by Python, C code or subprocesses, becomes `Log` messages.

Both descriptors are replaced by pipes. A thread reads them while code runs; at the end of a prediction the worker drains them
itself, under the same lock. A pipe keeps order and a returned write is in it, so after `drain` no line of the prediction can be
missing, and a prediction that writes nothing pays for two system calls and no thread switch.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import select
import sys
import termios
import threading
from typing import Callable, Dict, List, Optional, TextIO

from cog.worker.log_lines import LogLines
from cog.worker.protocol import Log

READ_SIZE_BYTES = 1 << 16
PIPE_SIZE_BYTES = 1 << 20
"""Asked of the kernel so that a burst of prints does not wait for the reading thread; a smaller pipe works too."""

_F_SETPIPE_SZ = 1031  # Linux; the constant is in fcntl from CPython 3.10 on


class CapturedStream:
    """One descriptor, replaced by a pipe whose other end is read here."""

    def __init__(self, descriptor: int, source: str) -> None:
        self.source = source
        self.lines = LogLines()
        self.reader, writer = os.pipe()
        os.dup2(writer, descriptor, inheritable=True)
        os.close(writer)
        os.set_blocking(self.reader, False)
        with contextlib.suppress(OSError):  # over the user's pipe allowance: the default size serves
            fcntl.fcntl(self.reader, _F_SETPIPE_SZ, PIPE_SIZE_BYTES)
        self._waiting = array.array("i", [0])

    def waiting_size_bytes(self) -> int:
        """How much was written and not read yet."""
        fcntl.ioctl(self.reader, termios.FIONREAD, self._waiting, True)
        return self._waiting[0]

    def read(self) -> bytes:
        """What is there now; empty when nothing is, or every writer is gone."""
        try:
            return os.read(self.reader, READ_SIZE_BYTES)
        except BlockingIOError:
            return b""


class OutputCapture:
    """Both standard streams of the process."""

    def __init__(self, send: Callable[[List[Log]], None]) -> None:
        """Redirect the descriptors and start reading.

        Args:
            send: Takes complete lines, in order; called from the reading thread.
        """
        self._send = send
        self._lock = threading.Lock()
        self._owner: Optional[str] = None
        self._streams = [CapturedStream(1, "stdout"), CapturedStream(2, "stderr")]
        sys.stdout = self.stdout = _open_text(1)
        sys.stderr = self.stderr = _open_text(2)
        threading.Thread(target=self._read_for_ever, name="cog-logs", daemon=True).start()

    def assign(self, prediction_id: Optional[str]) -> None:
        """Attribute what is written from now on."""
        self._owner = prediction_id

    def drain(self) -> List[Log]:
        """Every line written so far that was not sent yet, the partial last ones included.

        Lines already handed to ``send`` have been sent when this returns.
        """
        for text in {id(item): item for item in (sys.stdout, sys.stderr, self.stdout, self.stderr)}.values():
            try:
                text.flush()
            except (ValueError, OSError, AttributeError):
                continue  # the model closed or replaced it
        logs: List[Log] = []
        with self._lock:
            for stream in self._streams:
                remaining = stream.waiting_size_bytes()
                while remaining > 0:
                    chunk = stream.read()
                    logs += self._to_logs(stream, stream.lines.feed(chunk))
                    # Bounded by what was there at first: a background process may write for ever.
                    remaining = remaining - len(chunk) if chunk else 0
                logs += self._to_logs(stream, stream.lines.flush())
        return logs

    def _to_logs(self, stream: CapturedStream, texts: List[str]) -> List[Log]:
        return [Log(text=text, id=self._owner, source=stream.source) for text in texts]

    def _read_for_ever(self) -> None:
        poller = select.poll()
        streams: Dict[int, CapturedStream] = {stream.reader: stream for stream in self._streams}
        for descriptor in streams:
            poller.register(descriptor, select.POLLIN)
        while streams:
            for descriptor, events in poller.poll():
                stream = streams[descriptor]
                with self._lock:
                    chunk = stream.read()
                    if chunk:
                        logs = self._to_logs(stream, stream.lines.feed(chunk))
                        if logs:
                            self._send(logs)
                if not chunk and events & select.POLLHUP and not events & select.POLLIN:
                    # The model closed the descriptor: nobody can write any more.
                    poller.unregister(descriptor)
                    del streams[descriptor]


def _open_text(descriptor: int) -> TextIO:
    """A line-buffered text stream on a descriptor that stays open without it."""
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
