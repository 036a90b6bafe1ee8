"""What of a model's folder is not published: fixed leftovers of tools, and the folder's own ``.dockerignore``. Pure.

Source: https://docs.docker.com/build/concepts/context/#dockerignore-files
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

# Leftovers of tools, never part of a model. Anything else is the author's to name in .dockerignore.
EXCLUDED_NAMES = (".git", "__pycache__", ".cog", ".venv", "*.pyc", ".DS_Store", ".mypy_cache", ".pytest_cache", ".ruff_cache")


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """One line of an ignore file."""

    pattern: re.Pattern[str]
    is_exception: bool
    """The line began with ``!``."""


def parse_ignore_rules(text: str) -> list[IgnoreRule]:
    """Read an ignore file; the last rule that matches a path decides."""
    rules = []
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        is_exception = line.startswith("!")
        pattern = line.removeprefix("!").strip().removeprefix("./").strip("/")
        if pattern:
            rules.append(IgnoreRule(_translate(pattern), is_exception))
    return rules


def is_ignored(path: str, rules: Sequence[IgnoreRule]) -> bool:
    """Whether a ``/``-separated path relative to the folder is left out."""
    if any(fnmatch(part, name) for part in path.split("/") for name in EXCLUDED_NAMES):
        return True
    verdict = False
    for rule in rules:
        if rule.pattern.match(path):
            verdict = not rule.is_exception
    return verdict


def has_exceptions(rules: Sequence[IgnoreRule]) -> bool:
    """Whether an ignored folder may still hold files that are not ignored."""
    return any(rule.is_exception for rule in rules)


def _translate(pattern: str) -> re.Pattern[str]:
    """A pattern as an expression that also matches everything below what it names."""
    pieces = []
    index = 0
    while index < len(pattern):
        if pattern.startswith("**/", index):
            pieces.append("(?:.*/)?")
            index += 3
        elif pattern.startswith("**", index):
            pieces.append(".*")
            index += 2
        else:
            pieces.append({"*": "[^/]*", "?": "[^/]"}.get(pattern[index], re.escape(pattern[index])))
            index += 1
    return re.compile("".join(pieces) + "(?:/.*)?$")
