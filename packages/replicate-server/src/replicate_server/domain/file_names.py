"""File names that came from outside, made safe: one component, no separators, no control characters, bounded length. Pure."""

from __future__ import annotations

import re

NAME_BYTES_MAX = 255

_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\\u0085\u2028\u2029\ud800-\udfff]")


def safe_file_name(text: str, *, fallback: str = "file") -> str:
    """The last path component of ``text`` without anything dangerous, at most 255 bytes of UTF-8, its ending kept.

    Args:
        text: Whatever a URL, a header or a model said.
        fallback: The name when nothing usable is left.
    """
    last = re.split(r"[/\\]", text)[-1]
    name = _UNSAFE.sub("_", last).strip().lstrip(".")
    if not name:
        return fallback
    if len(name.encode()) <= NAME_BYTES_MAX:
        return name
    stem, dot, ending = name.rpartition(".")
    suffix = f".{ending}".encode() if dot and len(ending.encode()) <= 16 else b""
    kept = (stem if suffix else name).encode()[: NAME_BYTES_MAX - len(suffix)].decode(errors="ignore")
    return kept + suffix.decode()
