"""`BaseModel`: a structured output. Subclasses become dataclasses by being written."""

from __future__ import annotations

import copy
import dataclasses
import sys
from typing import Any, Callable, ClassVar, Dict, List, Type


def _make_factory(default: Any) -> Callable[[], Any]:
    return lambda: copy.copy(default)


def _soften(cls: Type[Any]) -> bool:
    """Give fields the defaults that authors rely on, and tell whether only keywords can then be used.

    Mutable defaults are copied for each instance, and a field annotated as optional needs no value: both as in the models written
    when this class was a pydantic one.
    """
    seen_default = False
    is_keyword_only = False
    for name, annotation in vars(cls).get("__annotations__", {}).items():
        default = cls.__dict__.get(name, dataclasses.MISSING)
        if isinstance(default, (list, dict, set)):
            default = dataclasses.field(default_factory=_make_factory(default))
            setattr(cls, name, default)
        elif default is dataclasses.MISSING and "ClassVar" not in str(annotation) and _is_optional(annotation):
            default = None
            setattr(cls, name, None)
        if default is not dataclasses.MISSING:
            seen_default = True
        elif seen_default:
            is_keyword_only = True
    return is_keyword_only


def _is_optional(annotation: Any) -> bool:
    text = annotation if isinstance(annotation, str) else str(annotation)
    return text.startswith(("Optional[", "typing.Optional[")) or text.endswith("| None") or text.startswith("None |")


class BaseModel:
    """Inherit from it to return several named values; annotate the fields. ``auto_dataclass=False`` leaves the subclass alone."""

    __dataclass_fields__: ClassVar[Dict[str, Any]]

    def __init_subclass__(cls, *, auto_dataclass: bool = True, **options: Any) -> None:
        super().__init_subclass__()
        if not auto_dataclass:
            return
        if _soften(cls) and sys.version_info >= (3, 10):
            options.setdefault("kw_only", True)
        dataclasses.dataclass(**options)(cls)

    def dict(self) -> Dict[str, Any]:
        """The fields as a dictionary, nested models included."""
        return {item.name: _plain(getattr(self, item.name)) for item in dataclasses.fields(self)}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.dict()
    if isinstance(value, list):
        items: List[Any] = [_plain(item) for item in value]
        return items
    return value
