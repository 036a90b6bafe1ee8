"""Sends stored bytes: type, length, ETag and one range.

Owns the headers that keep a model's HTML or SVG from running in our origin (promise F6).
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import cast
from urllib.parse import quote

from starlette.types import ASGIApp, Receive, Scope, Send

from replicate_server.api.answers import Answer
from replicate_server.api.calls import Call
from replicate_server.domain.errors import NotFound
from replicate_server.domain.media_types import DEFAULT
from replicate_server.domain.records import StoredFile
from replicate_server.ports.blobs import BlobMissing

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
# Types that a browser runs or may be talked into running as a document.
_ACTIVE = re.compile(
    r"(?:text/(?:html|xml|xsl)|(?:application|image)/(?:xml|[\w.-]+\+xml)|application/pdf|multipart/.*)", re.IGNORECASE
)


async def download_file(call: Call) -> ASGIApp:
    """``GET /v1/files/{file_id}/download``: the signature in the query is the permission; without one, the owner's token is."""
    file_id = call.parameters["file_id"]
    if "signature" in call.query:
        owner, expiry, signature = (call.query.get(name, "") for name in ("owner", "expiry", "signature"))
        file = await call.services.files.signed(file_id, owner=owner, expiry=expiry, signature=signature)
    else:
        file = await call.services.files.get(await call.authenticate(), file_id)
    return await _send_file(call, file, content_type=DEFAULT)


async def deliver(call: Call) -> ASGIApp:
    """``GET /delivery/{delivery_token}/{name}``: the unguessable path is the permission."""
    file = await call.services.files.delivered(call.parameters["delivery_token"], call.parameters["name"])
    return await _send_file(call, file, content_type=file.content_type)


async def _send_file(call: Call, file: StoredFile, *, content_type: str) -> ASGIApp:
    headers = _file_headers(file, content_type)
    if _names_etag(call.header(b"if-none-match"), headers["etag"]):
        return Answer(status=304, headers={"etag": headers["etag"]})
    span = parse_range(call.header(b"range"), file.size_bytes)
    if call.header(b"if-range") not in ("", headers["etag"]):
        span = None
    if span is not None and span[0] >= span[1]:
        unsatisfied = {"content-range": f"bytes */{file.size_bytes}", "accept-ranges": "bytes"}
        return Answer(status=416, media_type=None, headers=unsatisfied)
    start, end = (0, file.size_bytes) if span is None else span
    if span is not None:
        headers["content-range"] = f"bytes {start}-{end - 1}/{file.size_bytes}"
    headers["content-length"] = str(end - start)
    status = 200 if span is None else 206
    chunks = call.services.files.read(file, start=start, end=end)
    try:
        # The first chunk decides whether there is anything to send; after the headers it would be too late to say 404.
        first = await anext(chunks, b"") if call.scope["method"] != "HEAD" else b""
    except BlobMissing as error:
        raise NotFound("File not found") from error
    return _Download(status, headers, first, chunks)


class _Download:
    """Sends chunks at the client's pace."""

    def __init__(self, status: int, headers: Mapping[str, str], first: bytes, rest: AsyncIterator[bytes]) -> None:
        self._status = status
        self._headers = headers
        self._first = first
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = [(name.encode(), value.encode("latin-1", "replace")) for name, value in self._headers.items()]
        await send({"type": "http.response.start", "status": self._status, "headers": head})
        async with aclosing(cast(AsyncGenerator[bytes, None], self._rest)) as rest:
            if scope["method"] != "HEAD":
                await send({"type": "http.response.body", "body": self._first, "more_body": True})
                async for chunk in rest:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def parse_range(text: str, size_bytes: int) -> tuple[int, int] | None:
    """Read a ``Range`` header as ``(start, end)``, the end exclusive.

    Returns:
        None when the whole is to be sent: no header, another unit, or several ranges (which a server may ignore, RFC 9110 §14.2).
        An empty span when nothing of it can be sent.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        length = min(int(last), size_bytes)
        return size_bytes - length, size_bytes
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size_bytes) if last else size_bytes


def _file_headers(file: StoredFile, content_type: str) -> dict[str, str]:
    is_active = _ACTIVE.match(content_type) is not None
    disposition = "attachment" if is_active else "inline"
    headers = {
        "content-type": content_type,
        "accept-ranges": "bytes",
        "etag": f'"{file.md5}"',
        "content-disposition": f"{disposition}; filename*=UTF-8''{quote(file.name)}",
        "cache-control": "private, max-age=3600",
        "x-content-type-options": "nosniff",
        "access-control-allow-origin": "*",
    }
    if is_active:
        headers["content-security-policy"] = "sandbox; default-src 'none'"
    return headers


def _names_etag(if_none_match: str, etag: str) -> bool:
    given = [part.strip().removeprefix("W/") for part in if_none_match.split(",")]
    return etag in given or given == ["*"]
