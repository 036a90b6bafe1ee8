"""The account behind a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from replicate.records import Record


@dataclass
class Account(Record):
    """A user or an organization."""

    type: str
    username: str
    name: Optional[str] = None
    github_url: Optional[str] = None
    avatar_url: Optional[str] = None
