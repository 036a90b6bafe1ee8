"""The head of a request is read before anybody is asked for a token, so it is bounded in bytes and in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from replicate_server import http_protocol
from replicate_server.http_protocol import HEAD_BYTES_MAX, BoundedHeadProtocol
from replicate_server.serving import AnnouncingServer, open_socket

pytestmark = pytest.mark.anyio

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    size_bytes, is_whole = 0, False
    while not is_whole:
        message = await receive()
        size_bytes, is_whole = size_bytes + len(message["body"]), not message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
    await send({"type": "http.response.body", "body": b"%08d" % size_bytes})


class IdlePlatform:
    """Has nothing to begin, to finish or to release."""

    app = staticmethod(answer)

    async def start(self) -> None: ...

    def close_admission(self) -> None: ...

    async def drain(self, grace_seconds: float) -> None: ...

    async def close(self) -> None: ...


@pytest.fixture
async def connection() -> AsyncIterator[Connection]:
    """A connection to a server whose application answers with the length of the body."""
    with open_socket("127.0.0.1", 0) as listening:
        config = uvicorn.Config(answer, http=BoundedHeadProtocol, ws="none", lifespan="off", log_level="critical")
        server = AnnouncingServer(config, IdlePlatform(), grace_seconds=1)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await server.ready.wait()
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        yield reader, writer
        writer.close()
        server.should_exit = True
        await serving


async def test_a_head_without_end_is_refused_and_the_connection_closed(connection: Connection) -> None:
    reader, writer = connection
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * HEAD_BYTES_MAX)
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")


async def test_a_long_body_is_no_part_of_the_head(connection: Connection) -> None:
    reader, writer = connection
    body = b"x" * 3 * HEAD_BYTES_MAX
    for _ in range(2):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert int(await reader.readexactly(8)) == len(body)


async def test_a_client_that_never_finishes_its_head_is_let_go(monkeypatch: pytest.MonkeyPatch, connection: Connection) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS_MAX", 0.05)
    reader, writer = connection
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
    assert await reader.read() == b""
