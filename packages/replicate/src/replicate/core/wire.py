"""The I/O of the SDK: the only module that sends, reads, sleeps or looks at a clock.

A wire lives as long as one flow and holds at most one open body. The token is added here, only for requests to the client's own
origin, and taken off again before anybody can see the request in an error.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, AsyncIterator, Dict, Iterator, Optional, Union, cast

import httpx

from replicate.exceptions import transport_error

if TYPE_CHECKING:
    from replicate.core.steps import Request, Upload

CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Endpoint:
    """Where the API is and who calls it.

    Attributes:
        base_url: Scheme, host, port and optional prefix, without ``/v1`` and without a trailing slash.
        token: Sent as a bearer token to this origin only; never shown.
    """

    base_url: str
    token: Optional[str] = None

    def __repr__(self) -> str:
        return f"Endpoint(base_url={self.base_url!r}, token={'None' if self.token is None else '[secure]'})"

    def build(self, client: Union[httpx.Client, httpx.AsyncClient], request: Request) -> httpx.Request:
        """Turn a request value into an httpx request with absolute URL, token and body."""
        url = httpx.URL(request.path if "://" in request.path else self.base_url + request.path)
        arguments: Dict[str, Any] = {"headers": dict(request.headers)}
        if request.params:
            arguments["params"] = dict(request.params)
        if request.json is not None:
            arguments["json"] = request.json
        if request.upload is not None:
            arguments["files"] = {"content": (request.upload.name, request.upload.source, request.upload.content_type)}
            arguments["data"] = dict(request.fields)
        if request.read_timeout_seconds is not None:
            limits = client.timeout.as_dict()
            arguments["timeout"] = httpx.Timeout(**{**limits, "read": request.read_timeout_seconds})
        built = client.build_request(request.method, url, **arguments)
        if not self.is_home(url):
            built.headers.pop("authorization", None)
        elif self.token and "authorization" not in built.headers:
            built.headers["authorization"] = f"Bearer {self.token}"
        return built

    def is_home(self, url: httpx.URL) -> bool:
        """Whether a URL belongs to this endpoint's own scheme, host and port."""
        home = httpx.URL(self.base_url)
        return (url.scheme, url.host, _port(url)) == (home.scheme, home.host, _port(home))


def _port(url: httpx.URL) -> Optional[int]:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)


@contextmanager
def _sending(request: httpx.Request) -> Iterator[None]:
    """Translate transport errors, and take the token off the request once it has been used."""
    try:
        yield
    except httpx.TransportError as error:
        raise transport_error(error, request) from error
    finally:
        request.headers.pop("authorization", None)


@contextmanager
def _opened(request: Request) -> Iterator[Request]:
    """Open the file behind a path for the time of one request; an open file stays the caller's to close."""
    upload = request.upload
    if upload is None or not isinstance(upload.source, Path):
        yield request
        return
    with upload.source.open("rb") as file:
        yield replace(request, upload=replace(upload, source=file))


def load_upload(upload: Upload) -> bytes:
    """Read the whole content of an upload."""
    if isinstance(upload.source, bytes):
        return upload.source
    if isinstance(upload.source, Path):
        return upload.source.read_bytes()
    return upload.source.read()


class Wire:
    """Performs the steps of one flow on the calling thread."""

    def __init__(self, client: httpx.Client, endpoint: Endpoint) -> None:
        self._client = client
        self._endpoint = endpoint
        self._response: Optional[httpx.Response] = None
        self._chunks: Iterator[bytes] = iter(())

    def send(self, request: Request) -> httpx.Response:
        """Send a request and read its whole answer."""
        with _opened(request) as ready:
            built = self._endpoint.build(self._client, ready)
            with _sending(built):
                return self._client.send(built, follow_redirects=request.follows_redirects)

    def open(self, request: Request) -> httpx.Response:
        """Send a request and read only the head of its answer, or all of it when it is an error."""
        self.close()
        built = self._endpoint.build(self._client, request)
        with _sending(built):
            self._response = self._client.send(built, stream=True, follow_redirects=request.follows_redirects)
            if not self._response.is_success:
                self._response.read()
            else:
                self._chunks = self._response.iter_bytes()
        return self._response

    def read(self) -> bytes:
        """Return the next bytes of the open answer, ``b""`` at its end."""
        assert self._response is not None  # noqa: S101  # a flow that reads before it opens is a bug
        with _sending(self._response.request):
            return next(self._chunks, b"")

    def load(self, upload: Upload) -> bytes:
        """Read a whole file."""
        return load_upload(upload)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)  # noqa: TID251  # the one place where the SDK sleeps

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def close(self) -> None:
        """Close the open answer, if there is one."""
        response, self._response = self._response, None
        if response is not None:
            response.close()


class AsyncWire:
    """Performs the steps of one flow on the running event loop."""

    def __init__(self, client: httpx.AsyncClient, endpoint: Endpoint) -> None:
        self._client = client
        self._endpoint = endpoint
        self._response: Optional[httpx.Response] = None
        self._chunks: Optional[AsyncIterator[bytes]] = None

    async def send(self, request: Request) -> httpx.Response:
        """Send a request and read its whole answer."""
        with _opened(request) as ready:
            built = self._endpoint.build(self._client, ready)
            with _sending(built):
                return await self._client.send(built, follow_redirects=request.follows_redirects)

    async def open(self, request: Request) -> httpx.Response:
        """Send a request and read only the head of its answer, or all of it when it is an error."""
        await self.close()
        built = self._endpoint.build(self._client, request)
        with _sending(built):
            self._response = await self._client.send(built, stream=True, follow_redirects=request.follows_redirects)
            if not self._response.is_success:
                await self._response.aread()
            else:
                self._chunks = self._response.aiter_bytes()
        return self._response

    async def read(self) -> bytes:
        """Return the next bytes of the open answer, ``b""`` at its end."""
        assert self._response is not None and self._chunks is not None  # noqa: S101, PT018  # reading before opening is a bug
        with _sending(self._response.request):
            try:
                return await self._chunks.__anext__()
            except StopAsyncIteration:
                return b""

    async def load(self, upload: Upload) -> bytes:
        """Read a whole file on a thread, so that the loop stays free."""
        return await asyncio.get_running_loop().run_in_executor(None, load_upload, upload)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    async def close(self) -> None:
        """Close the open answer, if there is one."""
        response, self._response = self._response, None
        chunks, self._chunks = self._chunks, None
        if chunks is not None:
            await cast("Any", chunks).aclose()
        if response is not None:
            await response.aclose()
