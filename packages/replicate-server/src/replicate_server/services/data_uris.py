"""Reads ``data:`` URIs (RFC 2397): base64 and percent-encoded. Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

# RFC 2397 says text/plain for a URI without a type; most of ours hold unnamed bytes, and cog treats them the same.
DEFAULT_MEDIA_TYPE = "text/plain"


class InvalidDataUri(ValueError):
    """Text that begins with ``data:`` and is not a data URI."""


@dataclass(frozen=True, slots=True)
class DataUri:
    """What a data URI holds."""

    media_type: str
    content: bytes


def is_data_uri(text: str) -> bool:
    """Whether text claims to be a data URI."""
    return text[:5].lower() == "data:"


def parse_data_uri(text: str) -> DataUri:
    """Decode a data URI.

    Raises:
        InvalidDataUri: If it has no comma or its base64 is broken.
    """
    header, comma, body = text[5:].partition(",")
    if not is_data_uri(text) or not comma:
        raise InvalidDataUri("not a data URI")
    media_type, *parameters = [part.strip() for part in header.split(";")]
    if not any(parameter.lower() == "base64" for parameter in parameters):
        return DataUri(media_type or DEFAULT_MEDIA_TYPE, unquote_to_bytes(body))
    try:
        content = base64.b64decode(_standard_base64(body), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidDataUri("its base64 is broken") from error
    return DataUri(media_type or DEFAULT_MEDIA_TYPE, content)


def _standard_base64(body: str) -> bytes:
    """Base64 as the decoder wants it: clients also percent-encode it, wrap lines, use the URL alphabet and drop the padding."""
    raw = unquote_to_bytes(body) if "%" in body else body.encode("ascii", "replace")
    if not raw.isalnum():
        raw = b"".join(raw.split()).replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
    return raw + b"=" * (-len(raw) % 4)
