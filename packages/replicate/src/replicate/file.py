"""Files stored on the platform, mostly as inputs of predictions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Literal, Optional

from replicate.records import Record

FileEncodingStrategy = Literal["base64", "url"]
"""How a local file reaches a model: ``"url"`` uploads it first, ``"base64"`` puts it into the request as a data URI."""


@dataclass
class File(Record):
    """A stored file."""

    id: str
    name: str = ""
    content_type: str = "application/octet-stream"
    size: int = 0
    etag: str = ""
    checksums: Dict[str, str] = field(default_factory=dict)
    metadata: Dict[str, Any] = field(default_factory=dict)
    created_at: Optional[str] = None
    expires_at: Optional[str] = None
    urls: Dict[str, str] = field(default_factory=dict)
