"""Turns of requests with the same key, and keys that are forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from replicate_server.domain.ids import AccountId
from replicate_server.services.idempotency import IdempotentCreates
from replicate_server.store import SqlStore, open_store

pytestmark = pytest.mark.anyio

ADA = AccountId("acct_a")


@dataclass
class SetClock:
    """A clock that tests set."""

    time: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def store(anyio_backend: str, tmp_path: Path, clock: SetClock) -> AsyncIterator[SqlStore]:
    opened = open_store(tmp_path / "store.db", clock=clock)
    yield opened
    await opened.close()


@pytest.fixture
def creates(store: SqlStore, clock: SetClock) -> IdempotentCreates:
    return IdempotentCreates(store, clock, keep_seconds=60)


async def record(creates: IdempotentCreates, key: str) -> None:
    async with creates.turn(ADA, key) as turn:
        turn.fingerprint = "digest"
        await creates.record(turn, status=201, body=b"{}")


async def test_a_second_request_waits_for_the_first_and_finds_what_it_left(creates: IdempotentCreates) -> None:
    async with creates.turn(ADA, "k") as first:
        second = asyncio.create_task(record_or_find(creates))
        await asyncio.sleep(0)
        assert not second.done()
        first.fingerprint = "digest"
        await creates.record(first, status=201, body=b"first")
    assert await second == b"first"


async def record_or_find(creates: IdempotentCreates) -> bytes | None:
    async with creates.turn(ADA, "k") as turn:
        return turn.found.body if turn.found is not None else None


async def test_a_turn_that_is_recorded_lets_the_next_go_before_its_answer(creates: IdempotentCreates) -> None:
    async with creates.turn(ADA, "k") as first:
        first.recorded()
        assert await record_or_find(creates) is None


async def test_a_turn_that_fails_lets_the_next_try(creates: IdempotentCreates) -> None:
    with pytest.raises(ZeroDivisionError):
        async with creates.turn(ADA, "k"):
            raise ZeroDivisionError
    assert await record_or_find(creates) is None


async def test_no_turn_is_remembered_when_nobody_waits(creates: IdempotentCreates) -> None:
    await asyncio.gather(*(record_or_find(creates) for _ in range(20)))
    assert (creates._locks, creates._waiting) == ({}, {})


async def test_expired_keys_are_forgotten_and_others_stay(creates: IdempotentCreates, store: SqlStore, clock: SetClock) -> None:
    await record(creates, "old")
    clock.time += timedelta(seconds=30)
    await record(creates, "new")
    clock.time += timedelta(seconds=30)
    assert await creates.remove_expired() == 1
    assert await store.idempotency_key(ADA, "old") is None
    assert await store.idempotency_key(ADA, "new") is not None
