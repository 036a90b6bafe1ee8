"""References to models and versions, as people write them."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

_REFERENCE = re.compile(r"^(?P<owner>[^/:\s]+)/(?P<name>[^/:\s]+)(:(?P<version>\S+))?$")


class ModelVersionIdentifier(NamedTuple):
    """``owner/name`` or ``owner/name:version``."""

    owner: str
    name: str
    version: Optional[str] = None

    @classmethod
    def parse(cls, ref: str) -> ModelVersionIdentifier:
        """Read a reference.

        Raises:
            ValueError: If it is neither ``owner/name`` nor ``owner/name:version``.
        """
        match = _REFERENCE.match(ref)
        if match is None:
            raise ValueError(f"Invalid reference to model version: {ref}. Expected format: owner/name or owner/name:version")
        return cls(match["owner"], match["name"], match["version"])

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}" + (f":{self.version}" if self.version else "")
