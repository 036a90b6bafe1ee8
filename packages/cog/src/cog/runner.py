"""The base classes of a model author's object, and the two decorators for its method."""

from __future__ import annotations

from typing import Any, Callable, TypeVar

from cog.scope import Scope, current_scope

Method = TypeVar("Method", bound=Callable[..., Any])


class BaseRunner:
    """A model: ``setup()`` once, then ``run()`` (or, in the older spelling, ``predict()``) for every prediction.

    Both methods may be ``async``. Define ``run`` or ``predict``, not both.
    """

    def setup(self, *args: Any, **kwargs: Any) -> Any:
        """Load what every prediction needs. Called once, before the first prediction.

        Yours takes nothing, or one parameter ``weights``: a place to load weights from, None when none is configured. (This one
        takes anything, so that type checkers accept both.)
        """

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Answer one prediction; the signature declares the inputs, the return annotation the output."""
        raise NotImplementedError("define run() or predict() in your runner")

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """The older name of `run`."""
        return self.run(*args, **kwargs)

    @property
    def scope(self) -> Scope:
        """The running prediction's metrics and context."""
        return current_scope()

    def record_metric(self, key: str, value: Any, mode: str = "replace") -> None:
        """Record a measurement of the running prediction."""
        current_scope().record_metric(key, value, mode)


class BasePredictor(BaseRunner):
    """The older name of `BaseRunner`; models written for it run unchanged."""


def streaming(method: Method) -> Method:
    """Mark a runner's method as one whose output is meant to be streamed; it must return an iterator."""
    method.__cog_streaming__ = True  # type: ignore[attr-defined]
    return method


def concurrent(*, max: int) -> Callable[[Method], Method]:
    """Let an async runner answer several predictions at once; ``concurrency.max`` in cog.yaml takes precedence.

    Raises:
        ValueError: If ``max`` is not a whole number of at least 1.
    """
    if not isinstance(max, int) or isinstance(max, bool) or max < 1:
        raise ValueError(f"concurrent(max=…) takes a whole number of at least 1, not {max!r}")

    def mark(method: Method) -> Method:
        method.__cog_concurrent_max__ = max  # type: ignore[attr-defined]
        return method

    return mark
