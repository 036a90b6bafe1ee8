"""Reading ``http(s):`` and ``data:`` URLs into files, for a worker that no server prepared inputs for.

Loaded only when such a value appears. There is no address filter here: the platform fetches inputs itself, behind its own guard,
and a sandboxed worker has the network its sandbox allows.
"""

from __future__ import annotations

import base64
import mimetypes
import os
import shutil
import tempfile
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

NAME_LENGTH_MAX = 200


@dataclass(frozen=True)
class DataUrl:
    """The two halves of a ``data:`` URL."""

    media_type: str
    content: bytes


def parse_data_url(url: str) -> DataUrl:
    """Decode a ``data:`` URL (RFC 2397).

    Raises:
        ValueError: If it has no comma or its base64 is broken.
    """
    header, comma, body = url[len("data:") :].partition(",")
    if not comma:
        raise ValueError("a data URL needs a comma before its content")
    media_type, *parameters = header.split(";")
    raw = urllib.parse.unquote_to_bytes(body)
    return DataUrl(media_type or "text/plain", base64.b64decode(raw) if "base64" in parameters else raw)


def name_of(url: str) -> str:
    """A file name for a URL: its last path segment, or ``file.<extension>`` for a data URL."""
    if url.startswith("data:"):
        media_type = url[len("data:") :].partition(",")[0].split(";")[0]
        return "file" + (mimetypes.guess_extension(media_type or "text/plain") or "")
    segment = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rsplit("/", 1)[-1])
    return segment.replace("/", "_").replace("\0", "_")[-NAME_LENGTH_MAX:] or "file"


def open_url(url: str, *, timeout_seconds: float) -> Any:
    """Open an ``http(s):`` URL for reading; the caller closes it.

    Raises:
        OSError: If it cannot be opened in time.
    """
    if not url.startswith(("http://", "https://")):
        raise OSError(f"not an http URL: {url[:80]}")
    agent = os.environ.get("COG_USER_AGENT", "cog-worker")
    return urllib.request.urlopen(urllib.request.Request(url, headers={"User-Agent": agent}), timeout=timeout_seconds)  # noqa: S310 - checked above


def fetch_to_file(url: str, *, timeout_seconds: float) -> str:
    """Write what a URL holds into a new temporary file and return its path. The file's name ends with the URL's name."""
    handle, path = tempfile.mkstemp(suffix="-" + name_of(url))
    with open(handle, "wb") as target:
        if url.startswith("data:"):
            target.write(parse_data_url(url).content)
        else:
            with open_url(url, timeout_seconds=timeout_seconds) as source:
                shutil.copyfileobj(source, target)
    return path
