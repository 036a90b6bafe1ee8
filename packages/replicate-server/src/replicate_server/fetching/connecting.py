"""Opening connections only to addresses that were checked.

Owns the network backend: a name is resolved once, every address it has is judged, and the connection goes to the very address
that was judged, so that a resolver that answers differently a moment later gains nothing (promise N2). TLS above it still
verifies the name, and the Host header is untouched. Nothing global is patched (promise N5).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import cast

import httpcore
import httpx

from replicate_server.fetching.addresses import IPAddress, address_refusal, parse_literal
from replicate_server.ports.fetching import FetchRefused

Resolver = Callable[[str, int], Awaitable[Sequence[IPAddress]]]
"""Turns a host name and a port into the addresses it has; raises OSError when it has none."""

ADDRESSES_MAX = 16

SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


async def resolve_by_system(host: str, port: int) -> Sequence[IPAddress]:
    """Ask the system's resolver, off the event loop."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(entry[4][0]) for entry in found]


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Resolves, judges, and connects to what was judged."""

    def __init__(self, *, allows_private: bool, resolve: Resolver) -> None:
        self._allows_private = allows_private
        self._resolve = resolve
        self._plain = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first checked address that answers.

        Raises:
            FetchRefused: If any address of the host is not allowed. A host with one public and one private address is
                refused as a whole: which of them is used would be the attacker's choice.
        """
        failure: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in await self._checked_addresses(host, port):
            try:
                return await self._plain.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError("the host has no address")

    async def _checked_addresses(self, host: str, port: int) -> list[IPAddress]:
        literal = parse_literal(host)
        try:
            found = [literal] if literal is not None else await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the host name cannot be resolved") from error
        for address in found:
            refusal = address_refusal(address, allows_private=self._allows_private)
            if refusal is not None:
                raise FetchRefused(f"the host may not be contacted: it resolves to a {refusal}")
        return list(dict.fromkeys(found))[:ADDRESSES_MAX]

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[SocketOption] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Never allowed: no URL of a user names a local socket."""
        raise FetchRefused("local sockets are not contacted")

    async def sleep(self, seconds: float) -> None:
        """Part of httpcore's interface, used between its connection retries."""
        await asyncio.sleep(seconds)


class _AnswerStream(httpx.AsyncByteStream):
    """The body of an answer, in httpx's terms."""

    def __init__(self, stream: AsyncIterator[bytes], close: Callable[[], Awaitable[None]]) -> None:
        self._stream = stream
        self._close = close

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        await self._close()


class CheckedTransport(httpx.AsyncBaseTransport):
    """An httpx transport over a pool that connects through a `CheckedBackend`; httpx's own takes no backend."""

    def __init__(self, backend: CheckedBackend) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            # Callers bound how many requests run at once; a queue in here would let one dead host delay the others.
            max_connections=None,
            max_keepalive_connections=64,
            keepalive_expiry=15.0,
            network_backend=backend,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request. Errors are httpcore's; `GuardedFetcher` turns them into the port's."""
        answer = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        stream = _AnswerStream(cast(AsyncIterator[bytes], answer.stream), answer.aclose)
        return httpx.Response(answer.status, headers=answer.headers, stream=stream, extensions=answer.extensions)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()
