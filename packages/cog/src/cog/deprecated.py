"""Names that old models still import. Loaded, with a warning line, only when one is used."""

from __future__ import annotations

import sys
from typing import Any, Set

from cog.scope import current_scope


class ExperimentalFeatureWarning(Warning):
    """A category that old models silence; nothing raises it any more."""


def emit_metric(name: str, value: Any) -> None:
    """Record a metric; ``current_scope().record_metric`` is the present name."""
    current_scope().record_metric(name, value)


_REPLACEMENTS = {
    "emit_metric": "current_scope().record_metric",
    "ExperimentalFeatureWarning": "nothing: no feature warns so any more",
}
_announced: Set[str] = set()


def announce(name: str) -> Any:
    """The deprecated object, saying once on standard error what replaces it."""
    if name not in _announced:
        _announced.add(name)
        sys.stderr.write(f"cog: warning: cog.{name} is deprecated; use {_REPLACEMENTS[name]}\n")
    return globals()[name]
