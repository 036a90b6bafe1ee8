"""Idempotency keys: a create that is sent again gets what the first one got, and creates nothing (promise J8).

Owns who goes first among requests with the same key, how long a key is remembered, and the duty that forgets it. It does not know
what is created: a prediction's key is written in the transaction that creates it, other keys after their creation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from replicate_server.domain.ids import AccountId, PredictionId
from replicate_server.domain.records import IdempotencyKey
from replicate_server.ports.clock import Clock
from replicate_server.ports.store import IdempotencyStore
from replicate_server.scheduler.duty import Duty

EXPIRY_INTERVAL_SECONDS = 60.0
EXPIRED_BATCH_MAX = 1000


class Turn:
    """The turn of one request among those with its key."""

    def __init__(self, account_id: AccountId, key: str, keep: timedelta, lock: asyncio.Lock) -> None:
        self._account_id = account_id
        self._key = key
        self._keep = keep
        self._lock = lock
        self._is_over = False
        self.fingerprint = ""
        """Digest of the request; set before anything is recorded."""
        self.found: IdempotencyKey | None = None
        """What the key stands for already."""
        self.is_recorded = False
        """Whether what the request created was stored together with the key."""

    def build_key(
        self, clock: Clock, *, prediction_id: PredictionId | None = None, status: int | None = None, body: bytes | None = None
    ) -> IdempotencyKey:
        """The record of what this request created."""
        now = clock.now()
        return IdempotencyKey(self._account_id, self._key, self.fingerprint, now, now + self._keep, prediction_id, status, body)

    def recorded(self) -> None:
        """The key is on disk: requests that wait for this one may look at it, however long its answer takes."""
        self.is_recorded = True
        self.end()

    def end(self) -> None:
        """Let the next one go. Calling it again is fine."""
        if not self._is_over:
            self._is_over = True
            self._lock.release()


class IdempotentCreates:
    """Puts requests with the same key in a row."""

    def __init__(self, store: IdempotencyStore, clock: Clock, *, keep_seconds: float) -> None:
        """Remember what to work with.

        Args:
            store: Where keys are kept.
            clock: Tells when they expire.
            keep_seconds: How long a key stands for its request.
        """
        self._store = store
        self._clock = clock
        self._keep = timedelta(seconds=keep_seconds)
        self._locks: dict[tuple[AccountId, str], asyncio.Lock] = {}
        self._waiting: dict[tuple[AccountId, str], int] = {}
        self._expiry = Duty("idempotency keys", self._expire, interval_seconds=EXPIRY_INTERVAL_SECONDS)

    def start(self) -> None:
        """Begin to forget expired keys."""
        self._expiry.start()

    async def stop(self) -> None:
        """End."""
        await self._expiry.stop()

    @asynccontextmanager
    async def turn(self, account_id: AccountId, key: str) -> AsyncIterator[Turn]:
        """Wait for the requests with this key that came before, then look what it stands for."""
        name = (account_id, key)
        lock = self._locks.setdefault(name, asyncio.Lock())
        self._waiting[name] = self._waiting.get(name, 0) + 1
        try:
            await lock.acquire()
            turn = Turn(account_id, key, self._keep, lock)
            try:
                found = await self._store.idempotency_key(account_id, key)
                turn.found = found if found is not None and found.expires_at > self._clock.now() else None
                yield turn
            finally:
                turn.end()
        finally:
            self._waiting[name] -= 1
            if not self._waiting[name]:
                del self._waiting[name], self._locks[name]

    async def record(self, turn: Turn, *, status: int, body: bytes) -> None:
        """Store the answer of a create that has no prediction."""
        await self._store.create_idempotency_key(turn.build_key(self._clock, status=status, body=body))

    async def remove_expired(self) -> int:
        """Forget keys whose time is over; returns how many."""
        return await self._store.remove_expired_keys(self._clock.now(), limit=EXPIRED_BATCH_MAX)

    async def _expire(self) -> float | None:
        return 0.0 if await self.remove_expired() >= EXPIRED_BATCH_MAX else None
