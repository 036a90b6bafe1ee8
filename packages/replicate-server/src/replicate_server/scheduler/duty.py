"""A background duty: one action repeated at its own pace, woken early by events, with one way to start and stop it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)


class Duty:
    """Runs an action every interval, and sooner after `wake`. A failing action is logged and tried again at the next turn."""

    def __init__(
        self,
        name: str,
        action: Callable[[], Awaitable[float | None]],
        *,
        interval_seconds: float,
        spacing_seconds: float = 0.0,
    ) -> None:
        """Describe a duty.

        Args:
            name: For the log.
            action: Does the work; returns in how many seconds it would like to run again, or None for the interval.
            interval_seconds: Longest pause.
            spacing_seconds: Shortest pause, however often it is woken.
        """
        self._name = name
        self._action = action
        self._interval_seconds = interval_seconds
        self._spacing_seconds = spacing_seconds
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first run is at once."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self._name)

    def wake(self) -> None:
        """Run soon."""
        self._woken.set()

    async def stop(self) -> None:
        """End at the next await of the action and wait for it."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            wish: float | None = None
            try:
                wish = await self._action()
            except Exception:
                logger.exception("the duty %r failed; it goes on", self._name)
            pause = self._interval_seconds if wish is None else min(self._interval_seconds, max(0.0, wish))
            await asyncio.sleep(min(self._spacing_seconds, pause))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._woken.wait()
