"""Package machine-learning models: what a model author imports.

This module is the public list of names and nothing else. Everything here uses the standard library only, because it is loaded
inside the model author's environment.
"""

from __future__ import annotations

from typing import Any

from cog.annotations import Opaque
from cog.base_model import BaseModel
from cog.errors import CancelationException
from cog.fields import FieldInfo, Input
from cog.runner import BasePredictor, BaseRunner, concurrent, streaming
from cog.scope import current_scope
from cog.types import AsyncConcatenateIterator, ConcatenateIterator, File, Path, Secret, URLFile, URLPath

__version__ = "0.23.1+open"
"""The official interface this one matches, and that it is not the official one (docs/decisions/0004-cog-version-number.md)."""

__all__ = [
    "AsyncConcatenateIterator",
    "BaseModel",
    "BasePredictor",
    "BaseRunner",
    "CancelationException",
    "ConcatenateIterator",
    "ExperimentalFeatureWarning",
    "FieldInfo",
    "File",
    "Input",
    "Opaque",
    "Path",
    "Secret",
    "URLFile",
    "URLPath",
    "__version__",
    "concurrent",
    "current_scope",
    "emit_metric",
    "streaming",
]


def __getattr__(name: str) -> Any:
    """Load a deprecated name on its first use, with one line on standard error."""
    if name in {"ExperimentalFeatureWarning", "emit_metric"}:
        from cog import deprecated

        return deprecated.announce(name)
    raise AttributeError(f"module 'cog' has no attribute {name!r}")
