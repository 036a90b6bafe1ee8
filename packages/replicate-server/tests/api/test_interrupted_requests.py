"""Clients that leave in the middle: nothing is kept, nothing is answered, nothing is logged as a bug."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.anyio

AUTHORIZATION = (b"authorization", b"Bearer r8_first_account_of_the_tests")
HALF = b'--b\r\nContent-Disposition: form-data; name="content"; filename="a"\r\n\r\nhalf of it'


async def send_half(world: Any, path: str, content_type: bytes, half: bytes) -> list[Any]:
    """Send part of a body, then leave; returns what was answered."""
    arriving = [{"type": "http.request", "body": half, "more_body": True}, {"type": "http.disconnect"}]
    answered: list[Any] = []

    async def receive() -> Any:
        return arriving.pop(0)

    async def send(message: Any) -> None:
        answered.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [AUTHORIZATION, (b"content-type", content_type)],
    }
    await world.app(scope, receive, send)
    return answered


async def test_half_an_upload_leaves_nothing(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    answered = await send_half(world, "/v1/files", b"multipart/form-data; boundary=b", HALF)
    assert answered == []
    assert not (await world.store.list_files(world.account.id, cursor=None, limit=10)).results
    assert caplog.records == []


async def test_half_a_create_makes_nothing(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert await send_half(world, "/v1/predictions", b"application/json", b'{"version":') == []
    assert world.predictions.requests == []
    assert caplog.records == []
