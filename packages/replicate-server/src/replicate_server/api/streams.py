"""The event stream routes: a capability in the path, server-sent events out. See `sse` for the bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from typing import cast

from starlette.types import ASGIApp, Receive, Scope, Send

from replicate_server.api.calls import Call
from replicate_server.api.headers import parse_last_event_id
from replicate_server.api.sse import GREETING, EventWriter
from replicate_server.domain.records import Event

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # Proxies must pass events on at once.
    (b"x-accel-buffering", b"no"),
]


async def show(call: Call) -> ASGIApp:
    """``GET /v1/streams/{stream_token}`` and ``GET /v1/files/{stream_token}``: from the start, or after ``Last-Event-ID``."""
    prediction = await call.services.predictions.by_stream(call.parameters["stream_token"])
    writer = EventWriter(
        last_seen=parse_last_event_id(call.header(b"last-event-id")), with_logs=call.query.get("logs") in ("1", "true")
    )
    return EventStream(call.services.predictions.events(prediction, after=writer.after), writer)


class EventStream:
    """Sends events until the last one, or until the client leaves. Holds one batch at a time: a slow reader costs a constant."""

    def __init__(self, events: AsyncIterator[Sequence[Event]], writer: EventWriter) -> None:
        self._events = events
        self._writer = writer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; to a HEAD request its headers alone."""
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        sending = asyncio.create_task(self._send_all(send))
        leaving = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            with suppress(asyncio.CancelledError):
                await leaving
            with suppress(asyncio.CancelledError):
                await sending

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.body", "body": GREETING, "more_body": True})
        async with aclosing(cast(AsyncGenerator[Sequence[Event], None], self._events)) as batches:
            async for events in batches:
                for piece in self._writer.write(events):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
