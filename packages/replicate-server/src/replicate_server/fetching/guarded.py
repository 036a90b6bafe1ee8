"""The fetcher: GET with re-checked redirects and limits, and POST for webhooks.

Owns limits, redirects and the translation of errors into the port's two. Where a connection may go is decided in ``connecting``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property

import httpcore
import httpx

from replicate_server.fetching.connecting import CheckedBackend, CheckedTransport, Resolver, resolve_by_system
from replicate_server.fetching.retry_after import parse_retry_after
from replicate_server.fetching.targets import build_file_name, parse_target
from replicate_server.ports.clock import Clock, SystemClock
from replicate_server.ports.fetching import Fetched, FetchFailed, FetchRefused, PostAnswer

REDIRECTS_MAX = 5
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
CONNECT_TIMEOUT_SECONDS = 10.0
READ_TIMEOUT_SECONDS = 60.0
POST_ANSWER_BYTES_MAX = 64 * 1024
RATE_GRACE_SECONDS = 30.0
CHUNK_BYTES = 256 * 1024
USER_AGENT = "replicate-server"


class GuardedFetcher:
    """Implements `replicate_server.ports.fetching.Fetcher`.

    Args:
        allows_private: Whether loopback and private addresses may be contacted, and webhooks posted to plain http.
        clock: Reads the time, for Retry-After dates.
        resolve: Turns names into addresses.
        get_timeout_seconds: Time limit of one GET, redirects and body included.
        post_timeout_seconds: Time limit of one POST, name resolution included.
        bytes_per_second_min: After 30 s, a body that comes slower than this on average is given up. 0 for no floor.
    """

    def __init__(
        self,
        *,
        allows_private: bool,
        clock: Clock | None = None,
        resolve: Resolver = resolve_by_system,
        get_timeout_seconds: float = 300.0,
        post_timeout_seconds: float = 15.0,
        bytes_per_second_min: float = 0.0,
    ) -> None:
        self._allows_private = allows_private
        self._clock = clock or SystemClock()
        self._resolve = resolve
        self._get_timeout_seconds = get_timeout_seconds
        self._post_timeout_seconds = post_timeout_seconds
        self._bytes_per_second_min = bytes_per_second_min

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        # Made at first use: loading the certificate store takes longer than everything else at start-up.
        backend = CheckedBackend(allows_private=self._allows_private, resolve=self._resolve)
        return httpx.AsyncClient(
            transport=CheckedTransport(backend),
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(READ_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS),
            headers={"User-Agent": USER_AGENT},
        )

    async def close(self) -> None:
        """Close every connection. The fetcher must not be used afterwards."""
        if "_client" in self.__dict__:
            await self._client.aclose()

    def check(self, url: str) -> None:
        """Refuse what can be refused by its text alone.

        Raises:
            FetchRefused: With a sentence for the caller.
        """
        parse_target(url, allows_private=self._allows_private)

    @asynccontextmanager
    async def get(self, url: str, *, size_bytes_max: int) -> AsyncIterator[Fetched]:
        """GET with redirects re-checked; see the port.

        Raises:
            FetchRefused: If an address or limit forbids it, also while reading.
            FetchFailed: If it does not answer with 2xx, or not in time.
        """
        deadline = asyncio.get_running_loop().time() + self._get_timeout_seconds
        answer = await self._follow(parse_target(url, allows_private=self._allows_private), deadline=deadline)
        try:
            if not answer.is_success:
                raise FetchFailed(f"the URL answered with status {answer.status_code}")
            if int(answer.headers.get("content-length", "0")) > size_bytes_max:
                raise FetchRefused(f"the file is larger than {size_bytes_max} bytes")
            yield Fetched(
                chunks=self._read(answer, size_bytes_max=size_bytes_max, deadline=deadline),
                content_type=answer.headers.get("content-type"),
                name=build_file_name(answer.request.url, answer.headers.get("content-disposition")),
            )
        finally:
            await answer.aclose()

    async def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        """POST without following redirects; see the port.

        Raises:
            FetchRefused: If the address is not allowed.
            FetchFailed: If no HTTP answer came in time.
        """
        target = parse_target(url, allows_private=self._allows_private)
        if target.scheme == "http" and not self._allows_private:
            raise FetchRefused("webhooks are posted to https URLs only")
        request = self._client.build_request("POST", target, content=body, headers=dict(headers))
        with _port_errors():
            async with asyncio.timeout(self._post_timeout_seconds):
                answer = await self._client.send(request, stream=True)
                try:
                    await _drain(answer)
                finally:
                    await answer.aclose()
        seconds = parse_retry_after(answer.headers.get("retry-after"), now=self._clock.now())
        return PostAnswer(answer.status_code, seconds)

    async def _follow(self, target: httpx.URL, *, deadline: float) -> httpx.Response:
        """Send the request, and again for each redirect, each checked like the first."""
        for _ in range(REDIRECTS_MAX + 1):
            # identity: the size limit is about what is written to disk, and files are rarely compressible.
            request = self._client.build_request("GET", target, headers={"Accept-Encoding": "identity", "Accept": "*/*"})
            with _port_errors():
                async with asyncio.timeout_at(deadline):
                    answer = await self._client.send(request, stream=True)
            if answer.status_code not in REDIRECT_STATUSES or "location" not in answer.headers:
                return answer
            await answer.aclose()
            following = self._redirect_target(target, answer.headers["location"])
            if target.scheme == "https" and following.scheme != "https":
                raise FetchRefused("the URL redirects from https to http")
            target = following
        raise FetchRefused(f"the URL redirects more than {REDIRECTS_MAX} times")

    def _redirect_target(self, target: httpx.URL, location: str) -> httpx.URL:
        try:
            joined = str(target.join(location))
        except (httpx.InvalidURL, UnicodeError) as error:
            raise FetchRefused("the URL redirects to something that is no URL") from error
        return parse_target(joined, allows_private=self._allows_private)

    async def _read(self, answer: httpx.Response, *, size_bytes_max: int, deadline: float) -> AsyncIterator[bytes]:
        """Yield the body in chunks while it keeps the limits on size, time and rate."""
        time = asyncio.get_running_loop().time
        started, received = time(), 0
        chunks = answer.aiter_bytes(CHUNK_BYTES)
        while True:
            try:
                with _port_errors():
                    async with asyncio.timeout_at(deadline):
                        chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            received += len(chunk)
            if received > size_bytes_max:
                raise FetchRefused(f"the file is larger than {size_bytes_max} bytes")
            elapsed = time() - started
            if elapsed > RATE_GRACE_SECONDS and received < self._bytes_per_second_min * elapsed:
                raise FetchFailed(f"the file came slower than {self._bytes_per_second_min:.0f} bytes a second")
            yield chunk


async def _drain(answer: httpx.Response) -> None:
    """Read a small answer so that its connection can serve the next request; a longer one is cut off."""
    received = 0
    async for part in answer.aiter_raw():
        received += len(part)
        if received > POST_ANSWER_BYTES_MAX:
            return


@contextmanager
def _port_errors() -> Iterator[None]:
    """Turn what the network stack raises into the port's errors."""
    try:
        yield
    except TimeoutError as error:
        raise FetchFailed("the URL did not answer in time") from error
    except (httpcore.TimeoutException, httpx.TimeoutException) as error:
        raise FetchFailed("the URL did not answer in time") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpx.HTTPError) as error:
        raise FetchFailed(f"the URL could not be read: {error or type(error).__name__}") from error
