"""The event hub of one process: wakes readers and waiters, and keeps a short tail of what running predictions said.

What it tells is a hint; the store holds what is true. A reader is a position and nothing more, so a stalled one costs a constant.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from replicate_server.domain.ids import PredictionId
from replicate_server.domain.lifecycle import is_terminal
from replicate_server.domain.records import Event, Prediction
from replicate_server.events.tail import Tail
from replicate_server.ports.store import PredictionStore

# What one reader holds of a log that it reads from the store. A stalled one holds it for ever, and there may be hundreds.
_PAGE_EVENTS = 100
_PAGE_BYTES = 32 * 1024


class _Topic:
    """What the hub holds of one prediction while somebody reads it."""

    __slots__ = ("readers", "tail", "wakers")

    def __init__(self, tail: Tail) -> None:
        self.tail = tail
        self.readers = 0
        self.wakers: list[asyncio.Future[None]] = []

    def wake(self) -> None:
        wakers, self.wakers = self.wakers, []
        for waker in wakers:
            if not waker.done():
                waker.set_result(None)


class LocalEventHub:
    """`EventHub` for readers and writers on one event loop."""

    def __init__(
        self,
        store: PredictionStore,
        *,
        heartbeat_seconds: float = 15.0,
        tail_events_max: int = 512,
        tail_bytes_max: int = 256 * 1024,
    ) -> None:
        """Make a hub.

        Args:
            store: Where events and outcomes are read when the tail does not have them.
            heartbeat_seconds: Longest silence of `read`; it also looks into the store then, so a lost wake-up costs no more.
            tail_events_max: Events kept for each prediction that is being read.
            tail_bytes_max: Bytes kept for each of them.
        """
        self._store = store
        self._heartbeat_seconds = heartbeat_seconds
        self._tail_events_max = tail_events_max
        self._tail_bytes_max = tail_bytes_max
        self._topics: dict[PredictionId, _Topic] = {}
        self._expected: dict[PredictionId, list[asyncio.Future[Prediction | None]]] = {}
        self._is_closed = False

    # --- telling ------------------------------------------------------------------------------------------------------

    def committed(self, prediction_id: PredictionId, events: Sequence[Event]) -> None:
        """See the port. Events that nobody reads now are only in the store."""
        topic = self._topics.get(prediction_id)
        if topic is not None:
            topic.tail.add(events)
            topic.wake()

    def finished(self, prediction: Prediction) -> None:
        """See the port."""
        for future in self._expected.pop(prediction.id, ()):
            if not future.done():
                future.set_result(prediction)
        topic = self._topics.get(prediction.id)
        if topic is not None:
            topic.wake()

    def abandoned(self, prediction_id: PredictionId, error: Exception) -> None:
        """See the port."""
        for future in self._expected.pop(prediction_id, ()):
            if not future.done():
                future.set_exception(error)

    def close(self) -> None:
        """See the port."""
        self._is_closed = True
        for prediction_id in list(self._expected):
            for future in self._expected.pop(prediction_id):
                _give_up(future)
        for topic in self._topics.values():
            topic.wake()

    # --- waiting ------------------------------------------------------------------------------------------------------

    def expect_finished(self, prediction_id: PredictionId) -> asyncio.Future[Prediction | None]:
        """See the port."""
        future: asyncio.Future[Prediction | None] = asyncio.get_running_loop().create_future()
        waiting = self._expected.get(prediction_id)
        if waiting is None:
            self._expected[prediction_id] = [future]
        else:
            waiting.append(future)
        return future

    async def wait_expected(
        self, prediction_id: PredictionId, expected: asyncio.Future[Prediction | None], *, timeout_seconds: float
    ) -> Prediction | None:
        """See the port."""
        timer = asyncio.get_running_loop().call_later(0 if self._is_closed else timeout_seconds, _give_up, expected)
        try:
            return await expected
        finally:
            timer.cancel()
            self._forget(prediction_id, expected)

    async def wait_finished(self, prediction_id: PredictionId, *, timeout_seconds: float) -> Prediction | None:
        """See the port."""
        expected = self.expect_finished(prediction_id)
        # Registered before the look into the store: an outcome between the two wakes the future.
        try:
            current = await self._store.prediction(prediction_id)
        except BaseException:
            self._forget(prediction_id, expected)
            raise
        if current is not None and is_terminal(current.status):
            self._forget(prediction_id, expected)
            return current
        return await self.wait_expected(prediction_id, expected, timeout_seconds=timeout_seconds)

    def _forget(self, prediction_id: PredictionId, expected: asyncio.Future[Prediction | None]) -> None:
        waiting = self._expected.get(prediction_id)
        if waiting is not None and expected in waiting:
            waiting.remove(expected)
            if not waiting:
                del self._expected[prediction_id]

    # --- reading ------------------------------------------------------------------------------------------------------

    async def read(self, prediction_id: PredictionId, *, after: int) -> AsyncGenerator[Sequence[Event], None]:
        """See the port."""
        topic = self._topics.get(prediction_id)
        if topic is None:
            tail = Tail(count_max=self._tail_events_max, bytes_max=self._tail_bytes_max)
            topic = self._topics[prediction_id] = _Topic(tail)
        topic.readers += 1
        try:
            async for events in self._follow(topic, prediction_id, after):
                yield events
        finally:
            topic.readers -= 1
            if topic.readers == 0:
                self._topics.pop(prediction_id, None)

    async def _follow(self, topic: _Topic, prediction_id: PredictionId, position: int) -> AsyncIterator[Sequence[Event]]:
        is_ended = False
        while True:
            # Made before looking: news that arrive while the store is read complete it.
            waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            topic.wakers.append(waker)
            events = topic.tail.after(position, size_bytes_max=_PAGE_BYTES)
            if not events:
                events = await self._store.events_after(prediction_id, position, limit=_PAGE_EVENTS, size_bytes_max=_PAGE_BYTES)
            if events:
                position = events[-1].sequence
                _discard(topic, waker)
                yield events
                if events[-1].kind == "done":
                    return
                continue
            if is_ended or self._is_closed:
                return
            current = await self._store.prediction(prediction_id)
            if current is None or is_terminal(current.status):
                # One more look: its last events may have been written between the two reads.
                is_ended = True
                _discard(topic, waker)
                continue
            if not await self._woken(topic, waker):
                yield ()

    async def _woken(self, topic: _Topic, waker: asyncio.Future[None]) -> bool:
        try:
            await asyncio.wait([waker], timeout=self._heartbeat_seconds)
            return waker.done()
        finally:
            # Also when the reader left meanwhile: others may stay for long.
            _discard(topic, waker)


def _discard(topic: _Topic, waker: asyncio.Future[None]) -> None:
    if waker in topic.wakers:
        topic.wakers.remove(waker)


def _give_up(expected: asyncio.Future[Prediction | None]) -> None:
    if not expected.done():
        expected.set_result(None)
