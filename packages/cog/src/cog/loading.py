"""Importing a runner by its reference, ``file.py:Class`` or ``file.py:function``, and finding its parts."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from dataclasses import dataclass
from typing import Any, Callable, List, Optional

from cog.errors import RunnerError
from cog.runner import BaseRunner

DEFAULT_CLASSES = ("Runner", "Predictor")
"""Looked for, in this order, when a reference names only a file."""


@dataclass(frozen=True)
class LoadedRunner:
    """A runner's class or function, imported but not started."""

    target: Any
    file: str
    """As written in the reference."""

    @property
    def is_class(self) -> bool:
        """Whether the target is a class to be instantiated."""
        return inspect.isclass(self.target)

    def method_of(self, owner: Any) -> Callable[..., Any]:
        """The function that answers predictions: the target itself, or ``run``/``predict`` of ``owner`` (class or instance).

        Raises:
            RunnerError: If the class defines neither, or both.
        """
        if not self.is_class:
            return self.target  # type: ignore[no-any-return]
        names = [name for name in ("run", "predict") if defines(self.target, name)]
        if len(names) != 1:
            found = "both run() and predict()" if names else "neither run() nor predict()"
            raise RunnerError(f"{self.file}: class {self.target.__name__} defines {found}; define exactly one of them")
        return getattr(owner, names[0])  # type: ignore[no-any-return]


def defines(cls: type, name: str) -> bool:
    """Whether a class, or one of its bases other than cog's own, defines a method."""
    return any(name in vars(base) for base in cls.__mro__ if base.__module__ != BaseRunner.__module__)


def load_runner(reference: str, source_dir: str) -> LoadedRunner:
    """Import the file and find the class or function.

    The source directory becomes ``sys.path[0]``, so that the model imports its own modules.

    Raises:
        RunnerError: If the file or the name does not exist.
        BaseException: Whatever importing the file raises.
    """
    file, _, name = reference.partition(":")
    path = os.path.join(source_dir, file)
    if not os.path.isfile(path):
        raise RunnerError(f"{file}: there is no such file in the model's folder; check the path in cog.yaml")
    if source_dir not in sys.path:
        sys.path.insert(0, source_dir)
    module = _import_file(path)
    candidates: List[str] = [name] if name else [item for item in DEFAULT_CLASSES if hasattr(module, item)]
    target = getattr(module, candidates[0], None) if candidates else None
    if not callable(target):
        wanted = f"nothing named {name}" if name else f"no class named {' or '.join(DEFAULT_CLASSES)}"
        raise RunnerError(f"{file}: there is {wanted} to run; name a class or a function of this file in cog.yaml")
    return LoadedRunner(target=target, file=file)


def _import_file(path: str) -> Any:
    """Import a file as a top-level module under its own name, so that pickles and subprocesses find it again."""
    name = os.path.splitext(os.path.basename(path))[0]
    known: Optional[Any] = sys.modules.get(name)
    if known is not None:
        if getattr(known, "__file__", None) == path:
            return known
        name = f"cog_runner_{name}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RunnerError(f"{os.path.basename(path)}: not a Python file; a runner's file ends with .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def unwrap(method: Callable[..., Any]) -> Callable[..., Any]:
    """The function below wrappers and bindings, whose signature and kind count."""
    function: Callable[..., Any] = inspect.unwrap(getattr(method, "__func__", method))
    return function


def is_async(method: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine or an async generator."""
    function = unwrap(method)
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def concurrency_of(method: Callable[..., Any]) -> int:
    """What ``@concurrent`` says, else 1."""
    found: int = getattr(method, "__cog_concurrent_max__", getattr(unwrap(method), "__cog_concurrent_max__", 1))
    return found
