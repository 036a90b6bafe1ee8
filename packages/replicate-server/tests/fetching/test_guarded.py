"""The fetcher over real sockets: redirects, limits, rebinding, webhooks' POST (promises N2-N5)."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from replicate_server.fetching import GuardedFetcher
from replicate_server.fetching.addresses import IPAddress
from replicate_server.fetching.retry_after import parse_retry_after
from replicate_server.ports.fetching import FetchFailed, FetchRefused

pytestmark = pytest.mark.anyio

LOOPBACK = ipaddress.ip_address("127.0.0.1")
PUBLIC = ipaddress.ip_address("93.184.216.34")


class FlippingResolver:
    """Answers each question with the next prepared answer."""

    def __init__(self, *answers: Sequence[IPAddress]) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[IPAddress]:
        self.questions.append(host)
        return self.answers[min(len(self.questions), len(self.answers)) - 1]


async def read(fetcher: GuardedFetcher, url: str, *, size_bytes_max: int = 1000) -> bytes:
    async with fetcher.get(url, size_bytes_max=size_bytes_max) as fetched:
        return b"".join([chunk async for chunk in fetched.chunks])


@pytest.fixture
async def fetcher() -> AsyncIterator[GuardedFetcher]:
    made = GuardedFetcher(allows_private=True)
    yield made
    await made.close()


async def test_a_file_is_read_with_its_type_and_name(fetcher: GuardedFetcher, server: Any) -> None:
    server.answer("/a/photo.png", b"pixels", headers="Content-Type: image/png\r\n")
    async with fetcher.get(server.url("/a/photo.png?x=1"), size_bytes_max=100) as fetched:
        assert [chunk async for chunk in fetched.chunks] == [b"pixels"]
    assert (fetched.content_type, fetched.name) == ("image/png", "photo.png")


async def test_a_name_is_resolved_once_and_the_connection_goes_to_the_judged_address(server: Any) -> None:
    server.answer("/x", b"ok")
    resolver = FlippingResolver([LOOPBACK], [PUBLIC])
    fetcher = GuardedFetcher(allows_private=True, resolve=resolver)
    assert await read(fetcher, server.url("/x", host="rebind.example")) == b"ok"
    assert resolver.questions == ["rebind.example"]
    assert f"Host: rebind.example:{server.port}" in server.requests[0]
    await fetcher.close()


@pytest.mark.parametrize("answer", [[LOOPBACK], [PUBLIC, LOOPBACK]])
async def test_a_name_with_any_private_address_is_not_contacted(server: Any, answer: list[IPAddress]) -> None:
    fetcher = GuardedFetcher(allows_private=False, resolve=FlippingResolver(answer))
    with pytest.raises(FetchRefused, match="loopback"):
        await read(fetcher, server.url("/x", host="innocent.example"))
    assert server.requests == []
    await fetcher.close()


async def test_a_redirect_is_followed_and_checked(fetcher: GuardedFetcher, server: Any) -> None:
    server.answer("/old", status="302 Found", headers="Location: /new\r\n")
    server.answer("/new", b"moved")
    assert await read(fetcher, server.url("/old")) == b"moved"


@pytest.mark.parametrize("location", ["http://169.254.169.254/", "file:///etc/passwd", "http://u:p@example.com/"])
async def test_a_redirect_to_a_refused_target_is_refused(fetcher: GuardedFetcher, server: Any, location: str) -> None:
    server.answer("/old", status="307 Temporary Redirect", headers=f"Location: {location}\r\n")
    with pytest.raises(FetchRefused):
        await read(fetcher, server.url("/old"))


async def test_the_sixth_redirect_is_refused(fetcher: GuardedFetcher, server: Any) -> None:
    server.answer("/loop", status="301 Moved Permanently", headers="Location: /loop\r\n")
    with pytest.raises(FetchRefused, match="5 times"):
        await read(fetcher, server.url("/loop"))
    assert len(server.requests) == 6


async def test_a_redirect_never_leaves_https() -> None:
    answers = httpx.MockTransport(lambda request: httpx.Response(302, headers={"Location": "http://example.com/b"}))
    fetcher = GuardedFetcher(allows_private=True)
    fetcher.__dict__["_client"] = httpx.AsyncClient(transport=answers)
    with pytest.raises(FetchRefused, match="from https to http"):
        await read(fetcher, "https://example.com/a")
    await fetcher.close()


async def test_environment_proxies_are_ignored(fetcher: GuardedFetcher, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    server.answer("/x", b"direct")
    assert await read(fetcher, server.url("/x")) == b"direct"


async def test_a_declared_length_over_the_limit_is_refused_before_reading(fetcher: GuardedFetcher, server: Any) -> None:
    server.answer("/big", b"x" * 11)
    with pytest.raises(FetchRefused, match="larger than 10 bytes"):
        await read(fetcher, server.url("/big"), size_bytes_max=10)


async def test_an_undeclared_length_over_the_limit_is_refused_while_reading(fetcher: GuardedFetcher, server: Any) -> None:
    server.answers["/big"] = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 11
    with pytest.raises(FetchRefused, match="larger than 10 bytes"):
        await read(fetcher, server.url("/big"), size_bytes_max=10)


async def test_an_error_status_fails(fetcher: GuardedFetcher, server: Any) -> None:
    server.answer("/gone", status="404 Not Found")
    with pytest.raises(FetchFailed, match="404"):
        await read(fetcher, server.url("/gone"))


async def test_a_closed_port_fails(fetcher: GuardedFetcher) -> None:
    with pytest.raises(FetchFailed, match="could not be read"):
        await read(fetcher, "http://127.0.0.1:1/")


async def test_a_truncated_file_fails(fetcher: GuardedFetcher, server: Any) -> None:
    server.answers["/cut"] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"
    with pytest.raises(FetchFailed):
        await read(fetcher, server.url("/cut"))


async def test_a_silent_server_fails_at_the_total_time_limit() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    fetcher = GuardedFetcher(allows_private=True, get_timeout_seconds=0.05, post_timeout_seconds=0.05)
    with pytest.raises(FetchFailed, match="in time"):
        await read(fetcher, f"http://127.0.0.1:{port}/")
    with pytest.raises(FetchFailed, match="in time"):
        await fetcher.post(f"http://127.0.0.1:{port}/", body=b"", headers={})
    await fetcher.close()
    silent.close()


async def test_a_post_reports_the_status_and_does_not_follow_redirects(fetcher: GuardedFetcher, server: Any) -> None:
    server.answer("/hook", status="302 Found", headers="Location: /elsewhere\r\n")
    answer = await fetcher.post(server.url("/hook"), body=b"{}", headers={"webhook-id": "msg_1"})
    assert (answer.status, answer.retry_after_seconds) == (302, None)
    assert "webhook-id: msg_1" in server.requests[0]
    assert len(server.requests) == 1


async def test_a_post_reads_no_more_than_a_small_answer(fetcher: GuardedFetcher, server: Any) -> None:
    server.answer("/hook", b"x" * 10_000_000)
    assert (await fetcher.post(server.url("/hook"), body=b"{}", headers={})).status == 200


async def test_a_post_to_plain_http_is_refused_unless_private_targets_are_allowed() -> None:
    with pytest.raises(FetchRefused, match="https"):
        await GuardedFetcher(allows_private=False).post("http://example.com/", body=b"", headers={})


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        ("0", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 60.0),
        ("Wed, 21 Oct 2015 07:26:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
    ],
)
async def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, now=datetime(2015, 10, 21, 7, 27, tzinfo=UTC)) == seconds
