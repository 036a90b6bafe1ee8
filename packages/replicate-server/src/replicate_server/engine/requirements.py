"""Requirements files as text: what we provide ourselves is taken out, complete locks are recognised, environments get their name.

Pure: resolves nothing, reads nothing.
"""

from __future__ import annotations

import hashlib
import re

PROVIDED_PACKAGES = frozenset({"cog", "coglet"})
"""The instance runtime brings these itself; an author's pin of them would shadow it."""

_NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)")
_PINNED = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*(\[[^\]]*\])?\s*(==\s*[^\s*;]+(?=[\s;]|$)|@\s*\S+#sha256=[0-9a-f]{64})")
_ENVIRONMENT_FORMAT = 1


def logical_lines(text: str) -> list[str]:
    """Join continued lines; drop comments and blanks."""
    joined = re.sub(r"\\\r?\n", " ", text)
    lines = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line]


def strip_provided(text: str) -> tuple[str, list[str]]:
    """Take out what the runtime provides.

    Returns:
        The remaining requirements, one a line, and the lines that were taken out.
    """
    kept: list[str] = []
    removed: list[str] = []
    for line in logical_lines(text):
        name = _NAME.match(line)
        is_provided = name is not None and re.sub(r"[._-]+", "-", name.group(1)).lower() in PROVIDED_PACKAGES
        (removed if is_provided else kept).append(line)
    return "".join(f"{line}\n" for line in kept), removed


def is_locked(text: str) -> bool:
    """Whether every requirement is pinned to one release and carries a hash, so that nothing is left to resolve."""
    lines = logical_lines(text)
    return all(_PINNED.match(line) and ("--hash=" in line or "#sha256=" in line) for line in lines)


def environment_digest(*, interpreter: str, version: str, lock: str) -> str:
    """Name an environment by everything that decides its content: 32 hex digits.

    The interpreter's path is part of it because a virtual environment points to it.
    """
    parts = (str(_ENVIRONMENT_FORMAT), interpreter, version, "\n".join(logical_lines(lock)))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
