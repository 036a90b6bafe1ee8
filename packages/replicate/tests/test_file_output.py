"""Output files: a URL for httpx, a reader for everybody, and no token for strangers."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from replicate import Client
from replicate.helpers import FileOutput, transform_output

pytestmark = pytest.mark.anyio


def test_httpx_can_fetch_an_output(served: str, platform: Any) -> None:
    platform.answer("GET", "/delivery/t/a.txt", lambda: httpx.Response(200, content=b"content"))
    output = transform_output([f"{served}/delivery/t/a.txt"])
    assert httpx.get(output[0]).content == b"content"


@pytest.mark.parametrize(
    ("host", "authorization"), [("http://api.test", "Bearer r8_secret"), ("https://api.test", None), ("http://cdn.test", None)]
)
def test_only_the_own_origin_sees_the_token(client: Client, platform: Any, host: str, authorization: str | None) -> None:
    platform.answer("GET", "/a.txt", lambda: httpx.Response(200, content=b"content"))
    assert FileOutput(f"{host}/a.txt", client).read() == b"content"
    assert platform.requests[0].headers.get("authorization") == authorization


def test_a_redirect_is_followed_without_the_token(client: Client, platform: Any) -> None:
    platform.answer("GET", "/a.txt", lambda: httpx.Response(302, headers={"location": "https://cdn.test/b.txt"}))
    platform.answer("GET", "/b.txt", lambda: httpx.Response(200, content=b"content"))
    assert FileOutput("http://api.test/a.txt", client).read() == b"content"
    assert "authorization" not in platform.requests[1].headers


async def test_an_output_is_read_asynchronously(client: Client, platform: Any) -> None:
    platform.answer("GET", "/a.txt", lambda: httpx.Response(200, content=b"content"))
    output = FileOutput("http://api.test/a.txt", client)
    assert await output.aread() == b"content"
    assert b"".join([chunk async for chunk in output]) == b"content"


def test_an_output_is_read_in_parts_like_a_file(client: Client, platform: Any) -> None:
    platform.answer("GET", "/a.txt", lambda: httpx.Response(200, content=b"content"))
    output = FileOutput("http://api.test/a.txt", client)
    assert [output.read(4), output.read(4), output.read(4)] == [b"cont", b"ent", b""]


@pytest.mark.parametrize(
    ("uri", "content"),
    [("data:text/plain;base64,aGk=", b"hi"), ("data:,a%20b", b"a b"), ("data:a/b;base64," + "QUFB" * 30_000, b"A" * 90_000)],
)
def test_a_data_uri_is_read_without_a_request(client: Client, platform: Any, uri: str, content: bytes) -> None:
    assert FileOutput(uri, client).read() == content
    assert platform.requests == []


def test_an_output_is_its_url_in_every_spelling() -> None:
    output = FileOutput("https://files.example/a.png")
    assert f"{output}" == str(output) == output.url == "https://files.example/a.png"
    assert output == "https://files.example/a.png"
    assert {output: 1}[FileOutput("https://files.example/a.png")] == 1
    assert repr(output) == "FileOutput('https://files.example/a.png')"


@pytest.mark.parametrize(
    "text", ["https: a protocol", "http://", "see https://x.example", "https://a.example and more", "data: none", "http://[::bad"]
)
def test_text_that_only_resembles_a_url_stays_text(text: str) -> None:
    assert type(transform_output(text)) is str


def test_urls_are_found_in_lists_and_dictionaries() -> None:
    output = transform_output({"a": ["https://x.example/1", 2], "b": None})
    assert isinstance(output["a"][0], FileOutput)
    assert json.dumps(output, default=str) == '{"a": ["https://x.example/1", 2], "b": null}'
