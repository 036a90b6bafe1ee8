"""The publish route: a packed folder in, progress and the new version out, line by line as NDJSON."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from replicate_server.api import wire
from replicate_server.api.bodies import read_chunks
from replicate_server.api.calls import Call
from replicate_server.api.problems import build_problem, confess
from replicate_server.domain.errors import OperatingError
from replicate_server.domain.records import Version
from replicate_server.services.publishing import PublishLog

MEDIA_TYPE = "application/x-ndjson"


async def publish(call: Call) -> ASGIApp:
    """``POST /v1/models/{owner}/{name}/versions``: body tar+gzip, answer one JSON object a line.

    What is refused before the first progress is an ordinary error answer; what fails later is the last line.
    """
    progress = call.services.publishing.publish(
        call.account, owner=call.parameters["owner"], name=call.parameters["name"], archive=read_chunks(call.receive)
    )
    first = await anext(progress, None)
    return _PublishAnswer(first, progress)


class _PublishAnswer:
    """Sends progress as it comes."""

    def __init__(self, first: PublishLog | Version | None, progress: AsyncIterator[PublishLog | Version]) -> None:
        self._first = first
        self._progress = progress

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for line in self._lines(scope):
            await send({"type": "http.response.body", "body": wire.encode(line) + b"\n", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _lines(self, scope: Scope) -> AsyncIterator[dict[str, Any]]:
        try:
            if self._first is not None:
                yield _line(self._first)
            async for item in self._progress:
                yield _line(item)
        except OperatingError as error:
            yield {"type": "error", **build_problem(error)}
        except Exception as error:  # noqa: BLE001 - the status line is sent; the caller still has to learn that it failed
            yield {"type": "error", **build_problem(confess(error, method=scope["method"], path=scope["path"]))}


def _line(item: PublishLog | Version) -> dict[str, Any]:
    if isinstance(item, Version):
        return {"type": "version", "version": wire.build_version(item)}
    return {"type": "log", "text": item.text}
