"""Keeps this process's claims alive: one statement moves the lease of all of them."""

from __future__ import annotations

from datetime import timedelta

from replicate_server.domain.ids import HolderId
from replicate_server.ports.clock import Clock
from replicate_server.ports.store import PredictionStore


class LeaseKeeper:
    """Renews the leases of one holder. Called at a third of the lease, so that two failures in a row lose nothing."""

    def __init__(self, store: PredictionStore, clock: Clock, holder: HolderId, lease_seconds: float) -> None:
        self._store = store
        self._clock = clock
        self._holder = holder
        self._lease = timedelta(seconds=lease_seconds)

    async def renew(self) -> int:
        """Move every lease; returns how many."""
        return await self._store.renew_claims(self._holder, expires_at=self._clock.now() + self._lease)
