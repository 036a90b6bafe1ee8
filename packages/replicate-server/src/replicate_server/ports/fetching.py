"""The fetching port: guarded HTTP to addresses that users name.

The server reads what a user's URL points to, and posts to it, without becoming a proxy into private networks (promises N1–N4).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


class FetchRefused(Exception):
    """The URL may not be contacted, or its answer broke a limit. The message says which rule, without secrets of the URL."""


class FetchFailed(Exception):
    """The URL could not be read or did not answer: network failure, time-out or an error status."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer being read. Iterate ``chunks`` to the end or leave the context."""

    chunks: AsyncIterator[bytes]
    content_type: str | None
    name: str
    """A safe file name: the last path segment or the Content-Disposition's, never with a separator."""


@dataclass(frozen=True, slots=True)
class PostAnswer:
    """What a webhook receiver answered."""

    status: int
    retry_after_seconds: float | None


class Fetcher(Protocol):
    """Guarded outgoing HTTP."""

    def check(self, url: str) -> None:
        """Refuse what can be refused by its text alone: scheme, credentials in the URL, a literal private address.

        Raises:
            FetchRefused: With a sentence for the caller.
        """
        ...

    def get(self, url: str, *, size_bytes_max: int) -> AbstractAsyncContextManager[Fetched]:
        """GET with redirects re-checked.

        Raises:
            FetchRefused: If an address or limit forbids it, also while reading.
            FetchFailed: If it does not answer with 2xx.
        """
        ...

    async def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        """POST without following redirects.

        Raises:
            FetchRefused: If the address is not allowed.
            FetchFailed: If no HTTP answer came in time.
        """
        ...
