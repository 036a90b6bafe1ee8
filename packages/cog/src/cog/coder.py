"""`Coder`: how a model author teaches the worker to write and read a type of their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Dict, List, Optional, Type


class Coder(ABC):
    """Turns values of some types into JSON objects and back. Register a subclass with `Coder.register`."""

    _registered: ClassVar[List[Type[Coder]]] = []

    @classmethod
    def register(cls, coder: Type[Coder]) -> Type[Coder]:
        """Add a coder; the most recent one that accepts a type is used. Works as a class decorator."""
        Coder._registered.insert(0, coder)
        return coder

    @classmethod
    def lookup(cls, value_type: Type[Any]) -> Optional[Coder]:
        """The coder for a type, or None."""
        for coder in Coder._registered:
            made = coder.factory(value_type)
            if made is not None:
                return made
        return None

    @staticmethod
    @abstractmethod
    def factory(value_type: Type[Any]) -> Optional[Coder]:
        """A coder for the type, or None when this class does not handle it."""

    @abstractmethod
    def encode(self, value: Any) -> Dict[str, Any]:
        """The value as a JSON object."""

    @abstractmethod
    def decode(self, value: Dict[str, Any]) -> Any:
        """The value a JSON object stands for."""
