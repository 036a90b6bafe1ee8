"""What users write to name things: account names, model names, version references. One strict grammar for all (promise F3).

Pure. Everything that reaches a file name, a key or a query passes through here first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME_LENGTH_MAX = 63

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
_NAME_RULE = "lower-case letters, digits, dots, dashes and underscores, at most 63, beginning and ending with a letter or digit"
_HEX = re.compile(r"[0-9a-f]{6,64}")

VERSION_ID_LENGTH = 64


class InvalidReference(ValueError):
    """Text that names nothing by its form alone."""


@dataclass(frozen=True, slots=True)
class VersionReference:
    """A parsed reference: a model, a version id or its prefix, or both."""

    owner: str | None
    name: str | None
    id_prefix: str | None
    """6 to 64 lower-case hex digits; None means the model's latest version."""


def is_name(text: str) -> bool:
    """Whether text may name an account or a model."""
    return _NAME.fullmatch(text) is not None


def name_rule() -> str:
    """The grammar of names in words, for error messages."""
    return _NAME_RULE


def parse_version_reference(text: str) -> VersionReference:
    """Read ``<id>``, ``<prefix>...``, ``owner/name`` or ``owner/name:<id or prefix>``.

    Trailing dots of an abbreviated id are ignored.

    Raises:
        InvalidReference: If the text has none of these forms.
    """
    model, colon, version = text.partition(":")
    if "/" not in model:
        if colon:
            raise InvalidReference(text)
        return VersionReference(None, None, _parse_id_prefix(model))
    owner, _, name = model.partition("/")
    if not (is_name(owner) and is_name(name)):
        raise InvalidReference(text)
    return VersionReference(owner, name, _parse_id_prefix(version) if colon else None)


def _parse_id_prefix(text: str) -> str:
    prefix = text.rstrip(".")
    if _HEX.fullmatch(prefix) is None:
        raise InvalidReference(text)
    return prefix
