"""A closed-loop HTTP load: N clients, each on its own connection, each sending its next request when the last one is answered.

Bounded in requests and in time, loopback only. The client does as little as it can (no URLs parsed, no header objects), as it
shares the machine's cores with what it measures. Answers other than 2xx end the run: a fast error is no throughput.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from dataclasses import asdict, dataclass
from typing import cast
from urllib.parse import urlsplit

import uvloop


@dataclass(frozen=True)
class LoadResult:
    """What a run measured."""

    clients: int
    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float

    def as_dict(self) -> dict[str, float]:
        """For the JSON report."""
        return asdict(self)


class LoadFailed(Exception):
    """An answer that was not 2xx, or a connection that broke."""


class _Client(asyncio.Protocol):
    """One connection: writes the same request, notes how long each answer took."""

    def __init__(self, request: bytes, count: int) -> None:
        self._request = request
        self._left = count
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.latencies: list[float] = []
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def start(self) -> None:
        """Send the first request."""
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        at = head.find(b"content-length:")
        if at < 0:
            self._fail("an answer without Content-Length")
            return
        line_end = head.find(b"\r\n", at)
        length = int(head[at + 15 : line_end if line_end > 0 else head_end])
        if len(self._buffer) < head_end + 4 + length:
            return
        if self._buffer[9:10] != b"2":
            self._fail(self._buffer[:600].decode(errors="replace"))
            return
        self._buffer = self._buffer[head_end + 4 + length :]
        self.latencies.append(time.perf_counter() - self._sent_at)
        self._left -= 1
        if self._left > 0:
            self._send()
        elif not self.finished.done():
            self.finished.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"connection lost: {error}")

    def _fail(self, reason: str) -> None:
        if not self.finished.done():
            self.finished.set_exception(LoadFailed(reason))


def build_request(url: str, body: object, headers: dict[str, str]) -> bytes:
    """Write one HTTP/1.1 POST, byte for byte as it goes out."""
    parts = urlsplit(url)
    content = json.dumps(body).encode()
    lines = [
        f"POST {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


async def load(
    url: str, body: object, *, headers: dict[str, str], clients: int, requests: int, time_max_seconds: float
) -> LoadResult:
    """Run the load once.

    Raises:
        LoadFailed: If an answer was not 2xx.
        TimeoutError: If the run took longer than ``time_max_seconds``.
    """
    parts = urlsplit(url)
    request = build_request(url, body, headers)
    loop = asyncio.get_running_loop()
    connections = []
    for _ in range(clients):
        _, client = await loop.create_connection(
            lambda: _Client(request, requests // clients), parts.hostname or "", parts.port or 80
        )
        connections.append(client)
    began = time.perf_counter()
    for client in connections:
        client.start()
    async with asyncio.timeout(time_max_seconds):
        await asyncio.gather(*(client.finished for client in connections))
    elapsed = time.perf_counter() - began
    latencies = sorted(latency for client in connections for latency in client.latencies)
    return LoadResult(
        clients=clients,
        requests=len(latencies),
        per_second=len(latencies) / elapsed,
        p50_ms=statistics.median(latencies) * 1000,
        p99_ms=latencies[int(len(latencies) * 0.99)] * 1000,
    )


def run_load(
    url: str, body: object, *, headers: dict[str, str], clients: int, requests: int, time_max_seconds: float = 120
) -> LoadResult:
    """Run the load once, on a loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(load(url, body, headers=headers, clients=clients, requests=requests, time_max_seconds=time_max_seconds))
