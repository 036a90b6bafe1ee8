"""What a token may be allowed to do, and the roles of an organization's members. Pure."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """One permission of a token."""

    READ = "read"
    """See everything that the account may see."""
    RUN = "run"
    """Create and cancel predictions, upload files."""
    WRITE = "write"
    """Create, change, publish and delete models, versions and deployments; delete files."""
    ADMIN = "admin"
    """Everything, and what concerns the account's secrets."""


ALL_SCOPES = frozenset(Scope)


def parse_scopes(text: str) -> frozenset[Scope]:
    """Read a comma-separated list of scopes.

    Raises:
        ValueError: If one is unknown, or there is none.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in set(Scope)]
    if unknown or not names:
        raise ValueError(f"name some of {', '.join(Scope)}" + (f"; unknown: {', '.join(unknown)}" if unknown else ""))
    return frozenset(Scope(name) for name in names)


class Role(StrEnum):
    """What a member of an organization may do with what it owns."""

    MEMBER = "member"
    """See and run its private models and use its deployments."""
    ADMIN = "admin"
    """The same, and change them."""


def allows(scopes: frozenset[Scope], needed: Scope) -> bool:
    """Whether a token with these scopes may do what needs one."""
    return needed in scopes or Scope.ADMIN in scopes
