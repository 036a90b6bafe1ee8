"""What only real I/O reaches: refused downloads, files read for data URIs, errors handed back to flows, time-outs per request."""

from __future__ import annotations

import enum
import io
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest
from replicate import Client
from replicate.core.retry import RetryPolicy
from replicate.core.steps import Request
from replicate.core.wire import Endpoint
from replicate.exceptions import NotFoundError, StreamInterruptedError, TransportError
from replicate.helpers import FileOutput
from replicate.version import may_hold_files

pytestmark = pytest.mark.anyio


class Mood(enum.Enum):
    """An input that is an enumeration."""

    GLAD = "glad"


class Array:
    """An input that numpy could have made."""

    def tolist(self) -> list[int]:
        return [1, 2]


async def test_a_refused_download_is_the_apis_error_both_ways(client: Client) -> None:
    output = FileOutput("http://api.test/gone.png", client)
    with pytest.raises(NotFoundError):
        output.read()
    with pytest.raises(NotFoundError):
        await output.aread()


async def test_a_download_that_breaks_is_an_error_both_ways(client: Client, platform: Any) -> None:
    platform.answer("GET", "/a.png", httpx.ReadError("cut"))
    output = FileOutput("http://api.test/a.png", client)
    with pytest.raises(TransportError):
        output.read()
    with pytest.raises(TransportError):
        await output.aread()


@pytest.mark.parametrize("kind", ["path", "file", "bytes"])
async def test_a_file_becomes_a_data_uri_both_ways(kind: str, client: Client, platform: Any, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"hi")
    sources: dict[str, Any] = {"path": path, "bytes": b"hi"}
    platform.answer("POST", "/v1/predictions", {"id": "p1"})
    for _ in range(2):
        source = sources.get(kind) or io.BytesIO(b"hi")
        client.predictions.create("v", {"file": source}, file_encoding_strategy="base64")
        await client.predictions.async_create(
            "v", {"file": sources.get(kind) or io.BytesIO(b"hi")}, file_encoding_strategy="base64"
        )
    assert {platform.sent(index)["input"]["file"] for index in range(4)} == {"data:application/octet-stream;base64,aGk="}


def test_values_that_json_cannot_say_are_written_as_it_can(client: Client, platform: Any) -> None:
    platform.answer("POST", "/v1/predictions", {"id": "p1"})
    moment = datetime(2026, 1, 2, tzinfo=timezone.utc)
    client.predictions.create("v", {"mood": Mood.GLAD, "at": moment, "id": uuid.UUID(int=1), "array": Array(), "set": {1}})
    assert platform.sent()["input"] == {
        "mood": "glad",
        "at": "2026-01-02T00:00:00+00:00",
        "id": "00000000-0000-0000-0000-000000000001",
        "array": [1, 2],
        "set": [1],
    }


def test_a_held_create_has_its_own_read_limit_and_keeps_the_others() -> None:
    with httpx.Client(timeout=httpx.Timeout(7.0, connect=3.0)) as http:
        built = Endpoint("http://api.test").build(http, Request("POST", "/v1/predictions", read_timeout_seconds=65.0))
    assert built.extensions["timeout"] == {"connect": 3.0, "read": 65.0, "write": 7.0, "pool": 7.0}


def test_the_callers_own_authorization_stays_at_home(platform: Any) -> None:
    platform.answer("GET", "/v1/account", {"type": "user", "username": "ada"})
    platform.answer("GET", "/a.png", lambda: httpx.Response(200, content=b"PNG"))
    headers = {"Authorization": "Token r8_old"}
    with Client("r8_secret", base_url="http://api.test", transport=httpx.MockTransport(platform), headers=headers) as client:
        client.accounts.current()
        FileOutput("http://cdn.test/a.png", client).read()
    assert [request.headers.get("authorization") for request in platform.requests] == ["Token r8_old", None]


def test_an_endpoint_does_not_show_its_token() -> None:
    assert "r8_secret" not in repr(Endpoint("http://api.test", "r8_secret"))


def test_a_stream_waits_as_long_as_the_server_asked(platform: Any, event_stream: Any, prediction_json: Any) -> None:
    platform.answer("POST", "/v1/models/o/n/predictions", prediction_json(urls={"stream": "http://api.test/s"}))
    platform.answer("GET", "/s", event_stream(b"retry: 0\nid: 1\nevent: output\ndata: a\n\n"))
    policy = RetryPolicy(attempts_max=3, backoff_seconds=3600.0)
    with Client(base_url="http://api.test", transport=httpx.MockTransport(platform), retry_policy=policy) as client:
        events = client.stream("o/n", {})
        assert str(next(events)) == "a"
        assert str(next(events)) == "a"


async def test_an_asynchronous_stream_that_never_gives_anything_is_given_up(
    client: Client, platform: Any, event_stream: Any, prediction_json: Any
) -> None:
    platform.answer("POST", "/v1/models/o/n/predictions", prediction_json(urls={"stream": "http://api.test/s"}))
    platform.answer("GET", "/s", httpx.ReadError("cut"), event_stream(b": beat\n"))
    with pytest.raises(StreamInterruptedError):
        await client.async_stream("o/n", {}).__anext__()


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, False),
        ({"type": "string", "format": "uri"}, True),
        ({"type": "array", "items": {"type": "number"}}, False),
        ({"type": "array", "items": {"$ref": "#/components/schemas/File"}}, True),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, False),
        ({"type": "object"}, True),
        ({"anyOf": [{"type": "integer"}, {"type": "string", "format": "uri"}]}, True),
        ({"$ref": "#/components/schemas/Loop"}, True),
        ({}, True),
    ],
)
def test_a_schema_says_whether_an_output_can_be_a_file(schema: Any, expected: bool) -> None:
    schemas = {"File": {"type": "string", "format": "uri"}, "Loop": {"$ref": "#/components/schemas/Loop"}}
    assert may_hold_files(schema, {"components": {"schemas": schemas}}) is expected
