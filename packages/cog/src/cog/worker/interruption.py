"""Stopping a sync prediction from outside: `CancelationException` raised in the main thread by a signal.

A signal interrupts blocking calls (``time.sleep``, a full pipe) at once, which an exception set from another thread does not. The
handler raises only while the model's code of the canceled prediction runs: never in the worker's own code, never in the next
prediction, and a request that comes before the code starts is remembered.
"""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any, Callable, NoReturn, Optional, Set, TypeVar

from cog.errors import CancelationException

Result = TypeVar("Result")

SIGNAL = getattr(signal, "SIGRTMIN", signal.SIGUSR1) + (7 if hasattr(signal, "SIGRTMIN") else 0)
"""A real-time signal nobody uses by convention; models and their libraries do use SIGUSR1."""

RETRY_INTERVAL_SECONDS = 0.02


class Interruption:
    """The gate between cancel requests (any thread) and the model's code (the main thread)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._main_thread = threading.main_thread().ident or 0
        self._outstanding: Set[str] = set()
        self._canceled: Set[str] = set()
        self._current: Optional[str] = None
        self._armed: Optional[str] = None
        self._has_fired = False
        self._previous_hook: Callable[[Any], Any] = sys.__unraisablehook__

    def install(self) -> None:
        """Take the signal, unless it is taken already. Main thread only; cheap enough to call before every prediction."""
        # Compared by equality: every access to a bound method makes a new object.
        if signal.getsignal(SIGNAL) != self._handle:
            signal.signal(SIGNAL, self._handle)
        if sys.unraisablehook != self._rearm_if_swallowed:
            self._previous_hook = sys.unraisablehook
            sys.unraisablehook = self._rearm_if_swallowed

    def _handle(self, signal_number: int, frame: Any) -> None:
        """Runs in the main thread between two bytecodes. Takes no lock: the main thread may hold it."""
        armed = self._armed
        if armed is not None and armed in self._canceled and not self._has_fired:
            self._fire()

    def _fire(self) -> NoReturn:
        self._armed = None
        self._has_fired = True
        raise CancelationException("the prediction was canceled")

    def _rearm_if_swallowed(self, unraisable: Any) -> None:
        """Try again when the exception landed in a finalizer or callback, where Python discards exceptions."""
        if unraisable.exc_type is CancelationException and self._has_fired:
            # The next signal tries again: an exception raised while this hook still runs would be discarded, too.
            self._has_fired = False
            self._armed = self._current
            return
        self._previous_hook(unraisable)

    def expect(self, prediction_id: str) -> None:
        """Note that a prediction was received: from here on it can be canceled."""
        with self._lock:
            self._outstanding.add(prediction_id)

    def request(self, prediction_id: str) -> None:
        """Cancel a prediction; unknown and finished ones are ignored."""
        with self._lock:
            if prediction_id not in self._outstanding:
                return
            if prediction_id in self._canceled:
                return
            self._canceled.add(prediction_id)
        signal.pthread_kill(self._main_thread, SIGNAL)
        threading.Thread(target=self._insist, args=(prediction_id,), name="cog-cancel", daemon=True).start()

    def _insist(self, prediction_id: str) -> None:
        """Send the signal again until the canceled prediction has ended.

        One signal is not enough: it may come after the interpreter last looked for signals and before a blocking call begins,
        which then blocks with the signal already handled.
        """
        pause = threading.Event()
        while prediction_id in self._canceled:
            if not self._has_fired:
                signal.pthread_kill(self._main_thread, SIGNAL)
            pause.wait(RETRY_INTERVAL_SECONDS)

    def begin(self, prediction_id: str) -> None:
        """Start a prediction; its code is not interruptible until `guard`."""
        self.install()
        self._current = prediction_id
        self._has_fired = False

    def end(self) -> bool:
        """Finish the current prediction and tell whether its code was interrupted. Later requests for it are ignored."""
        with self._lock:
            self._outstanding.discard(self._current or "")
            self._canceled.discard(self._current or "")
            self._current = None
        return self._has_fired

    def guard(self, function: Callable[[], Result]) -> Result:
        """Call the model's code, interruptibly.

        Raises:
            CancelationException: If the prediction is or becomes canceled.
            BaseException: Whatever the function raises.
        """
        try:
            # Armed first and looked up second: a request in between is seen by one of the two.
            self._armed = self._current
            if self._current in self._canceled and not self._has_fired:
                self._fire()
            return function()
        finally:
            # An exception raised by the handler just before this line leaves through the caller's handlers like any other,
            # and the handler has disarmed itself.
            self._armed = None

    def shield(self, function: Callable[[], None]) -> None:
        """Call the worker's own code from within the model's: a cancel request waits until it is done."""
        if threading.get_ident() != self._main_thread:
            function()
            return
        armed, self._armed = self._armed, None
        try:
            function()
        finally:
            self._armed = armed
        if armed is not None and armed in self._canceled and not self._has_fired:
            self._fire()
