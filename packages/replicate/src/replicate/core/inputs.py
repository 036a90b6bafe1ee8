"""Turning what callers pass as input into JSON. Pure: uploads and file contents are asked for with steps.

Local files are uploaded or put in as data URIs on the way. Files may be nested anywhere in lists and dictionaries. A
`FileOutput` of an earlier prediction goes back as its URL, without a download.
"""

from __future__ import annotations

import base64
import mimetypes
import os
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, Optional
from uuid import UUID

import httpx

from replicate.core import operations
from replicate.core.steps import Flow, Load, Upload, call

if TYPE_CHECKING:
    from replicate.file import FileEncodingStrategy

DEFAULT_CONTENT_TYPE = "application/octet-stream"


def build_upload(source: Any, *, name: Optional[str] = None, content_type: Optional[str] = None) -> Upload:
    """Describe a file to send; name and type are taken from it when not given."""
    if isinstance(source, (bytearray, memoryview)):
        source = bytes(source)
    elif isinstance(source, (str, os.PathLike)):
        source = Path(source)
    given = source if isinstance(source, Path) else getattr(source, "name", None)
    name = name or (Path(given).name if isinstance(given, (str, Path)) else "") or "file"
    content_type = content_type or mimetypes.guess_type(name)[0] or DEFAULT_CONTENT_TYPE
    return Upload(source=source, name=name, content_type=content_type)


def is_file(value: Any) -> bool:
    """Whether an input value is a local file: a path, an open file or bytes."""
    return isinstance(value, (os.PathLike, bytes, bytearray, memoryview)) or hasattr(value, "read")


def encode_input(value: Any, strategy: Optional[FileEncodingStrategy] = None) -> Flow[Any]:
    """Turn an input into JSON values; one upload after the other, in the order of the input.

    Args:
        value: Anything that JSON can say, plus files, enumerations, times, UUIDs, arrays with ``tolist`` and pydantic models.
        strategy: ``"base64"`` for data URIs; otherwise files are uploaded.
    """
    if isinstance(value, httpx.URL):
        return str(value)
    if is_file(value):
        return (yield from _encode_file(build_upload(value), strategy))
    if isinstance(value, Mapping):
        pairs = {}
        for key, item in value.items():
            pairs[str(key)] = yield from encode_input(item, strategy)
        return pairs
    if isinstance(value, (list, tuple, set, frozenset)):
        items = []
        for item in value:
            items.append((yield from encode_input(item, strategy)))
        return items
    return (yield from _encode_scalar(value, strategy))


def _encode_scalar(value: Any, strategy: Optional[FileEncodingStrategy]) -> Flow[Any]:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    for name in ("tolist", "model_dump"):
        if hasattr(value, name):
            return (yield from encode_input(getattr(value, name)(), strategy))
    return value


def _encode_file(upload: Upload, strategy: Optional[FileEncodingStrategy]) -> Flow[str]:
    if strategy == "base64":
        content: bytes = yield Load(upload)
        return f"data:{upload.content_type};base64,{base64.b64encode(content).decode('ascii')}"
    file = yield from call(operations.create_file(upload))
    return file.urls["get"]
