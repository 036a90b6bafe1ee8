"""What the API's objects have in common: plain dataclasses, read leniently, bound to the client that fetched them.

Unknown keys are ignored and absent ones take their defaults, so that a newer server does not break an older client. ``dict()``,
``json()`` and ``copy()`` are there for code written against 1.x. No I/O here.
"""

from __future__ import annotations

import copy as copies
import json
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Type, TypeVar

if TYPE_CHECKING:
    from replicate.client import Client

R = TypeVar("R", bound="Record")


@dataclass
class Record:
    """Base of the API's objects."""

    _client: Optional[Client] = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def from_json(cls: Type[R], data: Mapping[str, Any]) -> R:
        """Read a decoded JSON object.

        Raises:
            UnexpectedAnswerError: If it is not an object or lacks a field that the record cannot do without.
        """
        known = {item.name: item for item in fields(cls) if item.init}
        required = [name for name, item in known.items() if item.default is MISSING and item.default_factory is MISSING]
        missing = required if not isinstance(data, Mapping) else [name for name in required if data.get(name) is None]
        if missing:
            from replicate.exceptions import UnexpectedAnswerError

            raise UnexpectedAnswerError(title="Unexpected answer", detail=f"a {cls.__name__} without {', '.join(missing)}")
        return cls(**{name: value for name, value in data.items() if name in known})

    @property
    def _bound(self) -> Client:
        """The client that fetched this object; the default one for objects made by hand."""
        if self._client is None:
            from replicate import default_client

            return default_client
        return self._client

    def bind(self, client: Client) -> None:
        """Remember the client for methods such as ``reload``; also in records inside this one."""
        self._client = client
        for item in fields(self):
            bind(getattr(self, item.name), client)

    def take(self: R, fresh: R) -> R:
        """Become equal to a fresher copy of the same object, in place."""
        for item in fields(self):
            if item.init:
                setattr(self, item.name, getattr(fresh, item.name))
        return self

    def dict(self) -> Dict[str, Any]:
        """Return the fields as plain dictionaries and lists."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self) if item.init}

    def json(self, **options: Any) -> str:
        """Return the fields as JSON text; options go to ``json.dumps``."""
        return json.dumps(self.dict(), default=_text, **options)

    def copy(self: R) -> R:
        """Return a copy that shares nothing with this object but its client."""
        twin = copies.copy(self)
        for item in fields(self):
            if item.init:
                setattr(twin, item.name, copies.deepcopy(getattr(self, item.name)))
        return twin

    def __deepcopy__(self: R, memo: Dict[int, Any]) -> R:
        return self.copy()


def bind(value: Any, client: Client) -> None:
    """Bind a record, or the records in a list; anything else is left alone."""
    if isinstance(value, Record):
        value.bind(client)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, Record):
                item.bind(client)


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.dict()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)
