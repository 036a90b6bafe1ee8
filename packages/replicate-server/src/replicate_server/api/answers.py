"""The answers that handlers return: plain ASGI, because a JSON answer on the hot path needs two messages and nothing more.

Each is a callable ``(scope, receive, send)`` like a Starlette response, and may be mixed with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from replicate_server.api import wire

JSON = "application/json"

_NO_BODY = frozenset({204, 304})


class Answer:
    """A body that is already bytes."""

    __slots__ = ("body", "headers", "media_type", "status")

    def __init__(
        self, body: bytes = b"", *, status: int = 200, media_type: str | None = JSON, headers: Mapping[str, str] | None = None
    ) -> None:
        self.body = body
        self.status = status
        self.media_type = media_type
        self.headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; to a HEAD request without the body."""
        head: list[tuple[bytes, bytes]] = []
        if self.status not in _NO_BODY:
            head.append((b"content-length", str(len(self.body)).encode()))
            if self.media_type is not None:
                head.append((b"content-type", self.media_type.encode()))
        if self.headers:
            head += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": head})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else self.body})


class NamingMethods:
    """Another answer with an ``Allow`` header."""

    __slots__ = ("_allowed", "_answer")

    def __init__(self, answer: ASGIApp, allowed: str) -> None:
        self._answer = answer
        self._allowed = (b"allow", allowed.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it with the header."""

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], self._allowed]
            await send(message)

        await self._answer(scope, receive, send_named)


def json_answer(shape: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A wire shape as JSON."""
    return Answer(wire.encode(shape), status=status, headers=headers)


def no_content() -> Answer:
    """204."""
    return Answer(status=204, media_type=None)
