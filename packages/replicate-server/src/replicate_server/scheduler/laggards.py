"""Notices predictions that take longer than a moment: one timer for all of them, because most end before it fires.

A timer per prediction would cost more than the whole dispatch of a short one.
"""

from __future__ import annotations

import asyncio
from collections import deque

from replicate_server.scheduler.recorder import Recorder


class Laggards:
    """Calls `Recorder.appear` on every recorder that has not ended after a fixed delay."""

    def __init__(self, delay_seconds: float) -> None:
        self._delay_seconds = delay_seconds
        self._waiting: deque[tuple[float, Recorder]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, recorder: Recorder) -> None:
        """Give a recorder the delay to end. One that is watched already keeps its time."""
        if recorder.is_watched:
            return
        recorder.is_watched = True
        loop = asyncio.get_running_loop()
        self._waiting.append((loop.time() + self._delay_seconds, recorder))
        if self._timer is None:
            self._timer = loop.call_later(self._delay_seconds, self._fire)

    def _fire(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._waiting and self._waiting[0][0] <= now:
            _, recorder = self._waiting.popleft()
            recorder.is_watched = False
            if recorder.ending is None:
                recorder.appear()
        # Equal delays keep the deque sorted. A floor on the next delay lets one firing serve many predictions.
        self._timer = (
            loop.call_later(max(self._waiting[0][0] - now, self._delay_seconds / 8), self._fire) if self._waiting else None
        )
