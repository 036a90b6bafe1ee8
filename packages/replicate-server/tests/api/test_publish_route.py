"""Publishing over HTTP: progress and the version as lines; refusals as ordinary errors."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from replicate_server.domain.errors import BrokenPackage, PermissionDenied
from replicate_server.services.publishing import PublishLog

pytestmark = pytest.mark.anyio

Call = Callable[..., Awaitable[httpx.Response]]
PATH = "/v1/models/alice/echo/versions"


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_progress_and_the_version_come_line_by_line(call: Call, world: Any) -> None:
    world.publishing.items = [PublishLog("resolving"), world.version]
    answer = await call("POST", PATH, content=b"archive", headers={"Content-Type": "application/gzip"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    log, version = lines(answer)
    assert log == {"type": "log", "text": "resolving"}
    assert (version["type"], version["version"]["id"]) == ("version", "a" * 64)
    assert world.publishing.archives == [b"archive"]


async def test_a_refusal_before_any_progress_is_an_ordinary_error(call: Call, world: Any) -> None:
    world.publishing.items = [PermissionDenied("not yours")]
    answer = await call("POST", PATH, content=b"archive")
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_later_failure_is_the_last_line(call: Call, world: Any) -> None:
    world.publishing.items = [PublishLog("resolving"), BrokenPackage("no such module")]
    _, error = lines(await call("POST", PATH, content=b"archive"))
    assert error == {"type": "error", "status": 422, "title": "Package cannot be run", "detail": "no such module"}


async def test_a_bug_while_publishing_is_told_by_reference_only(call: Call, world: Any) -> None:
    world.publishing.items = [PublishLog("resolving"), RuntimeError("internals")]
    _, error = lines(await call("POST", PATH, content=b"archive"))
    assert error["status"] == 500
    assert "internals" not in error["detail"]
