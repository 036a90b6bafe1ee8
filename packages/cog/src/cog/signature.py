"""The inputs of a runner: its method's parameters with their resolved annotations and their `FieldInfo`."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Tuple

from cog.annotations import resolve_annotations, split_optional
from cog.errors import RunnerError
from cog.fields import FieldInfo
from cog.loading import unwrap

_MISSING = inspect.Parameter.empty


@dataclass(frozen=True)
class Parameter:
    """One input."""

    name: str
    annotation: Any
    field: FieldInfo

    @property
    def members(self) -> List[Any]:
        """The annotation's types without None."""
        return split_optional(self.annotation)[0]

    @property
    def is_nullable(self) -> bool:
        """Whether None may reach the model: an optional annotation, or a default of None under any annotation."""
        return split_optional(self.annotation)[1] or (self.field.has_default and self.field.default is None)

    @property
    def is_required(self) -> bool:
        """Whether a caller must send it."""
        return not self.field.has_default and not self.is_nullable


@dataclass(frozen=True)
class Signature:
    """What a runner takes and gives back."""

    parameters: Tuple[Parameter, ...]
    returns: Any
    """The return annotation; ``inspect.Parameter.empty`` when there is none."""


def read_signature(method: Callable[..., Any], file: str) -> Signature:
    """Read the inputs of a method or function.

    Parameters without an annotation are left out when they have a plain default (the model keeps it), as are ``*args`` and
    ``**kwargs``.

    Raises:
        RunnerError: If a parameter has no annotation, or an annotation names something that does not exist.
    """
    function = unwrap(method)
    try:
        annotations = resolve_annotations(function)
    except (NameError, SyntaxError, TypeError, AttributeError) as error:
        raise RunnerError(
            f"{file}: an annotation of {function.__name__}() cannot be evaluated: {error}; import what it names"
        ) from error
    is_method = "." in function.__qualname__.rsplit("<locals>.", 1)[-1] and not isinstance(method, staticmethod)
    raw = list(inspect.signature(function).parameters.values())[1 if is_method else 0 :]
    parameters = []
    for item in raw:
        if item.kind in {item.VAR_POSITIONAL, item.VAR_KEYWORD}:
            continue
        if item.name not in annotations:
            if item.default is not _MISSING and not isinstance(item.default, FieldInfo):
                continue
            raise RunnerError(
                f"{file}: parameter `{item.name}` of {function.__name__}() has no type; write `{item.name}: str`, for example"
            )
        parameters.append(Parameter(item.name, annotations[item.name], _field_of(item, annotations)))
    return Signature(tuple(parameters), annotations.get("return", _MISSING))


def _field_of(item: inspect.Parameter, annotations: Dict[str, Any]) -> FieldInfo:
    """The `FieldInfo` of a parameter: its default, one inside ``Annotated``, or a plain default wrapped."""
    if isinstance(item.default, FieldInfo):
        return item.default
    metadata = getattr(annotations[item.name], "__metadata__", ())
    written = next((entry for entry in metadata if isinstance(entry, FieldInfo)), FieldInfo())
    if item.default is _MISSING:
        return written
    return FieldInfo(**{**vars(written), "default": item.default, "has_default": True})
