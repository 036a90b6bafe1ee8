"""Background duties: woken early, undeterred by failures, stopped for good."""

from __future__ import annotations

import asyncio

import pytest
from replicate_server.scheduler.duty import Duty

pytestmark = pytest.mark.anyio


class Work:
    """Counts its turns and tells of each."""

    def __init__(self, *, fails: bool = False, wish: float | None = None) -> None:
        self.turns: asyncio.Queue[int] = asyncio.Queue()
        self.count = 0
        self.fails = fails
        self.wish = wish

    async def __call__(self) -> float | None:
        self.count += 1
        self.turns.put_nowait(self.count)
        if self.fails:
            raise OSError("storage is away")
        return self.wish


async def test_a_duty_runs_at_its_start_and_when_woken() -> None:
    work = Work()
    duty = Duty("work", work, interval_seconds=3600)
    duty.start()
    assert await work.turns.get() == 1
    duty.wake()
    assert await work.turns.get() == 2
    await duty.stop()


async def test_a_failing_duty_goes_on() -> None:
    work = Work(fails=True)
    duty = Duty("work", work, interval_seconds=3600)
    duty.start()
    assert await work.turns.get() == 1
    duty.wake()
    assert await work.turns.get() == 2
    await duty.stop()


async def test_a_duty_may_wish_for_an_earlier_turn() -> None:
    work = Work(wish=0.001)
    duty = Duty("work", work, interval_seconds=3600)
    duty.start()
    assert await work.turns.get() == 1
    assert await work.turns.get() == 2
    await duty.stop()


async def test_a_stopped_duty_never_runs_again() -> None:
    work = Work(wish=0.0)
    duty = Duty("work", work, interval_seconds=0.0)
    duty.start()
    await work.turns.get()
    await duty.stop()
    count = work.count
    for _ in range(10):
        await asyncio.sleep(0)
    assert work.count == count
