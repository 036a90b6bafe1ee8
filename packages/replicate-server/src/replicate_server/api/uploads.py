"""Reads a multipart upload as it arrives: content to whoever stores it, small fields into memory. Nothing is buffered whole.

Clients send the facts of a file in four encodings (reference http-api §7.1); all end up as the same `UploadFacts`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.types import Receive

from replicate_server.api.bodies import read_chunks
from replicate_server.domain.errors import FieldError, InvalidInput, InvalidRequest
from replicate_server.domain.media_types import DEFAULT
from replicate_server.services.files import UploadFacts

FIELDS_BYTES_MAX = 1024 * 1024
PARTS_MAX = 1_000

_CONTENT = "content"
_METADATA = "metadata"


class MultipartUpload:
    """One upload request. Implements `services.files.Upload`."""

    def __init__(self, content_type: str, receive: Receive) -> None:
        """Begin to read a request.

        Raises:
            InvalidRequest: If it is not multipart/form-data.
        """
        media_type, options = parse_options_header(content_type)
        if media_type != b"multipart/form-data" or not options.get(b"boundary"):
            raise InvalidRequest("Send the file as multipart/form-data, in a part named content")
        self._receive = receive
        self._parts = _Parts()
        try:
            self._parser = MultipartParser(options[b"boundary"], self._parts.callbacks())
        except FormParserError as error:
            raise InvalidRequest("The multipart boundary is longer than allowed") from error

    async def content(self) -> AsyncIterator[bytes]:
        """The bytes of the part named ``content``. To be read once.

        Raises:
            InvalidRequest: If the request is malformed or ends early.
        """
        try:
            async for chunk in read_chunks(self._receive):
                self._parser.write(chunk)
                if content := self._parts.take_content():
                    yield content
        except FormParserError as error:
            raise InvalidRequest("The multipart body is malformed") from error

    def facts(self) -> UploadFacts:
        """What the request says about the content; complete when it was read to its end.

        Raises:
            InvalidRequest: If there was no content, or the body ended early.
            InvalidInput: If the metadata is not a JSON object.
        """
        parts = self._parts
        if not parts.is_complete:
            raise InvalidRequest("The multipart body ended early")
        if not parts.has_content:
            raise InvalidRequest("The request has no part named content")
        return UploadFacts(
            name=_text(parts.fields.get("filename")) or parts.content_name or "file",
            content_type=_text(parts.fields.get("type")) or parts.content_type or DEFAULT,
            metadata=_parse_metadata(parts.fields),
        )


class _Parts:
    """Receives the parser's callbacks."""

    def __init__(self) -> None:
        self.fields: dict[str, bytes] = {}
        self.has_content = False
        self.is_complete = False
        self.content_name = ""
        self.content_type = ""
        self._content: list[bytes] = []
        self._name = ""
        self._value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._header_name = b""
        self._header_value = b""
        self._fields_bytes = 0
        self._count = 0

    def callbacks(self) -> Any:
        """The parser's callback table."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_header_name,
            "on_header_value": self._add_header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add_data,
            "on_part_end": self._end,
            "on_end": self._end_all,
        }

    def take_content(self) -> bytes:
        """The content bytes since the last call."""
        content = b"".join(self._content)
        self._content.clear()
        return content

    def _begin(self) -> None:
        self._count += 1
        if self._count > PARTS_MAX:
            raise InvalidRequest(f"A multipart body can have at most {PARTS_MAX} parts")
        self._headers = {}
        self._value = bytearray()

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = _text(options.get(b"name"))
        if self._name == _CONTENT:
            if self.has_content:
                raise InvalidRequest("The request has more than one part named content")
            self.has_content = True
            self.content_name = _unescape(_text(options.get(b"filename")))
            self.content_type = self._headers.get(b"content-type", b"").decode("latin-1")

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == _CONTENT:
            self._content.append(data[start:end])
            return
        self._fields_bytes += end - start
        if self._fields_bytes > FIELDS_BYTES_MAX:
            raise InvalidRequest(f"The fields beside the content can have at most {FIELDS_BYTES_MAX} bytes")
        self._value += data[start:end]

    def _end(self) -> None:
        if self._name != _CONTENT:
            self.fields[self._name] = bytes(self._value)

    def _end_all(self) -> None:
        self.is_complete = True


def _parse_metadata(fields: dict[str, bytes]) -> dict[str, Any]:
    """Metadata from one JSON field (text or file part), or from ``metadata[key]`` fields."""
    prefix = f"{_METADATA}["
    bracketed = {
        name[len(prefix) : -1]: _text(value) for name, value in fields.items() if name.startswith(prefix) and name.endswith("]")
    }
    text = fields.get(_METADATA, b"").strip()
    if not text:
        return bracketed
    try:
        metadata = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise InvalidInput([FieldError("invalid_type", _METADATA, "metadata must be a JSON object")])
    return {**metadata, **bracketed}


def _unescape(name: str) -> str:
    """Undo the three escapes that clients put into the names of parts, and no others.

    Source: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data
    """
    return name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
