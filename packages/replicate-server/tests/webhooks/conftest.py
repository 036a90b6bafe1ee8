"""A webhook receiver on a real socket, an outbox in memory, and a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from replicate_server.domain.ids import AccountId, PredictionId
from replicate_server.domain.records import WebhookMessage

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class SetClock:
    """Shows the time it is given."""

    moment: datetime = START

    def now(self) -> datetime:
        return self.moment

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@dataclass
class MemoryOutbox:
    """The outbox port over a dict; `changed` is set by every write."""

    messages: dict[str, WebhookMessage] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    reads: int = 0

    def add(self, *messages: WebhookMessage) -> None:
        self.messages.update({message.id: message for message in messages})

    def _pending(self) -> list[WebhookMessage]:
        pending = [message for message in self.messages.values() if not (message.delivered_at or message.failed_at)]
        return sorted(pending, key=lambda message: (message.next_attempt_at, message.id))

    def _change(self, message_id: str, **changes: Any) -> None:
        self.messages[message_id] = replace(self.messages[message_id], **changes)
        self.changed.set()

    async def due_messages(self, now: datetime, *, limit: int) -> list[WebhookMessage]:
        self.reads += 1
        return [message for message in self._pending() if message.next_attempt_at <= now][:limit]

    async def next_message_at(self) -> datetime | None:
        return next((message.next_attempt_at for message in self._pending()), None)

    async def message_delivered(self, message_id: str, *, at: datetime) -> None:
        self._change(message_id, delivered_at=at)

    async def message_failed(self, message_id: str, *, at: datetime, error: str, next_attempt_at: datetime | None) -> None:
        message = self.messages[message_id]
        moment = {"failed_at": at} if next_attempt_at is None else {"next_attempt_at": next_attempt_at}
        self._change(message_id, attempts=message.attempts + 1, last_error=error, **moment)

    async def postpone_messages(self, message_ids: Sequence[str], *, until: datetime) -> None:
        for message_id in message_ids:
            self._change(message_id, next_attempt_at=until)

    async def until(self, condition: Callable[[MemoryOutbox], bool]) -> None:
        """Wait for a state of the outbox."""
        async with asyncio.timeout(10):
            while not condition(self):
                self.changed.clear()
                await self.changed.wait()


@dataclass(frozen=True)
class Received:
    """A request that arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers with the prepared status lines, one a request, then with 204; `hold` makes it hang until it is set."""

    port: int = 0
    statuses: list[str] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event | None = None
    concurrent: int = 0
    concurrent_max: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?id=7"

    @property
    def bodies(self) -> list[bytes]:
        return [request.body for request in self.received]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self._serve_one(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        request_line, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.concurrent += 1
        self.concurrent_max = max(self.concurrent, self.concurrent_max)
        self.received.append(Received(request_line.split(" ")[1], headers, body))
        self.arrived.set()
        if self.hold is not None:
            await self.hold.wait()
        self.concurrent -= 1
        status = self.statuses.pop(0) if self.statuses else "204 No Content"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()


@pytest.fixture
async def open_receiver() -> AsyncIterator[Callable[[], Any]]:
    """Makes receivers, each on a port of its own."""
    listeners: list[asyncio.Server] = []
    receivers: list[Receiver] = []

    async def open_one() -> Receiver:
        receiver = Receiver()
        listener = await asyncio.start_server(receiver.handle, "127.0.0.1", 0)
        receiver.port = listener.sockets[0].getsockname()[1]
        listeners.append(listener)
        receivers.append(receiver)
        return receiver

    yield open_one
    for receiver in receivers:
        (receiver.hold or asyncio.Event()).set()
    for listener in listeners:
        listener.close()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def outbox() -> MemoryOutbox:
    return MemoryOutbox()


@pytest.fixture
def make_message() -> Callable[..., WebhookMessage]:
    """Builds outbox rows, each later by a millisecond than the one before."""
    count = 0

    def make(url: str, *, event: str = "completed", prediction: str | None = None, **fields: Any) -> WebhookMessage:
        nonlocal count
        count += 1
        moment = START - timedelta(seconds=1) + timedelta(microseconds=count)
        return WebhookMessage(
            id=fields.pop("id", f"msg_{count:05}"),
            account_id=AccountId("acct_1"),
            prediction_id=PredictionId(prediction or f"p{count}"),
            event=event,
            url=url,
            body=fields.pop("body", f'{{"n":{count}}}'.encode()),
            created_at=moment,
            next_attempt_at=fields.pop("next_attempt_at", moment),
            attempts_max=fields.pop("attempts_max", {"completed": 10}.get(event, 1)),
            **fields,
        )

    return make
