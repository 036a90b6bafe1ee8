"""Counts runs of models in memory and adds them to the store in one write now and then. A crash loses at most a tick's worth."""

from __future__ import annotations

from collections import Counter

from replicate_server.domain.ids import ModelId
from replicate_server.ports.store import ModelStore


class RunCounts:
    """Batched run counts."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._runs: Counter[ModelId] = Counter()

    def add(self, model_id: ModelId) -> None:
        """Count one run."""
        self._runs[model_id] += 1

    async def flush(self) -> None:
        """Write what was counted; it is kept when the write fails."""
        if not self._runs:
            return
        runs, self._runs = self._runs, Counter()
        try:
            await self._store.add_runs(runs)
        except BaseException:
            self._runs.update(runs)
            raise
