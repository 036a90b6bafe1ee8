"""The grammar of blob keys, checked before every access: no key can leave the store's folder (promise F3)."""

from __future__ import annotations

import re

KEY_LENGTH_MAX = 512

_KEY = re.compile(r"[a-z0-9_-][a-z0-9._-]*(?:/[a-z0-9_-][a-z0-9._-]*)*")


class InvalidKey(ValueError):
    """A key that this project never makes. Always a bug in the caller."""


def check_key(key: str) -> str:
    """Return the key.

    Raises:
        InvalidKey: If it is not a relative path of plain segments.
    """
    if len(key) > KEY_LENGTH_MAX or _KEY.fullmatch(key) is None:
        raise InvalidKey(f"not a blob key: {key[:80]!r}")
    return key
