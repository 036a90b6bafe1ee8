"""The background duty that records when tokens were last used: many uses, one write every few seconds.

Owns the uses not yet written. A lost write costs a few seconds of a "last used" column, so it is logged and never raised.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import datetime

from replicate_server.ports.store import AccountStore

INTERVAL_SECONDS = 5.0

_log = logging.getLogger(__name__)


class TokenUses:
    """Collects uses and writes them in batches between ``start`` and ``stop``."""

    def __init__(self, store: AccountStore, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._store = store
        self._interval_seconds = interval_seconds
        self._used: dict[str, datetime] = {}
        self._task: asyncio.Task[None] | None = None

    def record(self, token_id: str, at: datetime) -> None:
        """Remember a use; the latest counts. One entry a token, so memory is bounded by the number of tokens."""
        self._used[token_id] = at

    def start(self) -> None:
        """Begin writing every few seconds."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="token-uses")

    async def stop(self) -> None:
        """End the duty and write what is left. Harmless when it was never started."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self.flush()

    async def flush(self) -> None:
        """Write what was recorded since the last write."""
        used, self._used = self._used, {}
        if not used:
            return
        try:
            await self._store.touch_tokens(used)
        except Exception:  # noqa: BLE001 - a background duty outlives every failure of the store
            _log.warning("last uses of %d tokens were not recorded", len(used), exc_info=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_seconds)
            await self.flush()
