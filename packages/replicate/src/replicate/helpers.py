"""Output files as values: a URL that can also be read. The module's name is 1.x's public import path.

`FileOutput` is an ``httpx.URL``, so ``httpx.get(output[0])`` works, and has the reading side of 1.x: ``read()``, ``aread()``
and iteration over bytes. Reading sends the token to the client's own origin only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, AsyncIterator, Iterator, Optional

import httpx

from replicate.core.streams import download

if TYPE_CHECKING:
    from replicate.client import Client

__all__ = ["FileOutput", "transform_output"]

_FILE_URL = re.compile(r"(https?://[^\s/]\S*|data:[^\s,]*,\S*)")
_SHOWN_CHARACTERS_MAX = 120


class FileOutput(httpx.URL, httpx.SyncByteStream, httpx.AsyncByteStream):
    """A file that a model made.

    Attributes:
        url: Its address, http(s) or a data URI.
    """

    def __init__(self, url: str, client: Optional[Client] = None) -> None:
        # httpx.URL refuses more than 65,536 characters, which data URIs reach; they get a stub as their parsed form.
        super().__init__("data:," if url.startswith("data:") else url)
        self.url = url
        self._client = client
        self._reader: Optional[Iterator[bytes]] = None
        self._rest = b""

    @property
    def _bound(self) -> Client:
        if self._client is None:
            from replicate import default_client

            return default_client
        return self._client

    def read(self, size: int = -1) -> bytes:
        """Return the whole content, or with a size the next bytes of it, as files do."""
        if size is None or size < 0:
            return b"".join(self)
        if self._reader is None:
            self._reader = iter(self)
        while len(self._rest) < size:
            chunk = next(self._reader, b"")
            if not chunk:
                break
            self._rest += chunk
        part, self._rest = self._rest[:size], self._rest[size:]
        return part

    async def aread(self) -> bytes:
        """Return the whole content."""
        return b"".join([chunk async for chunk in self])

    def __iter__(self) -> Iterator[bytes]:
        return self._bound.iterate(download(self.url, self._bound.retry_policy))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._bound.iterate_async(download(self.url, self._bound.retry_policy))

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        shown = self.url if len(self.url) <= _SHOWN_CHARACTERS_MAX else self.url[:_SHOWN_CHARACTERS_MAX] + "…"
        return f"FileOutput({shown!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (str, httpx.URL)) and self.url == str(other)

    def __hash__(self) -> int:
        return hash(self.url)


def transform_output(value: Any, client: Optional[Client] = None) -> Any:
    """Replace every file URL in an output by a `FileOutput`, also inside lists and dictionaries."""
    if isinstance(value, dict):
        return {key: transform_output(item, client) for key, item in value.items()}
    if isinstance(value, list):
        return [transform_output(item, client) for item in value]
    if isinstance(value, str) and _FILE_URL.fullmatch(value):
        try:
            return FileOutput(value, client)
        except httpx.InvalidURL:
            return value
    return value
