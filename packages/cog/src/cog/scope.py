"""The running prediction as the model's code sees it: its metrics and its context.

`current_scope` finds it through a context variable (async predictions) or a process-wide value (sync predictions, so that threads
a model starts see it too). What becomes of a metric is the business of the sink the worker passes in.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Any, Callable, Dict, Mapping, Optional

MetricSink = Callable[[str, Any, str], None]

NAME_LENGTH_MAX = 128
NAME_SEGMENTS_MAX = 4
_SEGMENT = re.compile(r"[A-Za-z](?:_?[A-Za-z0-9])*_?")
_MODES = {"replace": "replace", "incr": "increment", "increment": "increment", "append": "append"}


def _discard(name: str, value: Any, mode: str) -> None:
    """The sink of the scope outside any prediction."""


def check_metric_name(name: str) -> None:
    """Refuse names that could not be nested, or that belong to the platform.

    Raises:
        ValueError: Naming the rule that is broken.
    """
    segments = name.split(".")
    if len(name) > NAME_LENGTH_MAX or len(segments) > NAME_SEGMENTS_MAX:
        raise ValueError(
            f"metric name {name!r} is too long: at most {NAME_LENGTH_MAX} characters in {NAME_SEGMENTS_MAX} segments"
        )
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise ValueError(
            f"metric name {name!r} is invalid: use dot-separated segments of letters, digits and single underscores, "
            "each starting with a letter"
        )
    if name == "predict_time" or segments[0] == "cog":
        raise ValueError(f"metric name {name!r} is reserved")


def _kind(value: Any) -> str:
    """The type of a metric for the rule that it must not change; int and float are one."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


class Metrics:
    """The measurements of one prediction; ``metrics["name"] = value`` records, ``del metrics["name"]`` deletes."""

    def __init__(self, sink: MetricSink) -> None:
        self._sink = sink
        self._kinds: Dict[str, str] = {}

    def record(self, key: str, value: Any, mode: str = "replace") -> None:
        """Record a value.

        Args:
            key: Dot-separated name; ``timing.pre`` nests under ``timing`` in the result.
            value: A number, text, boolean or JSON value; None deletes the metric.
            mode: ``replace``, ``incr`` (adds a number) or ``append`` (makes a list).

        Raises:
            ValueError: If the name or the mode is not allowed.
            TypeError: If the metric had another type and was not deleted first.
        """
        check_metric_name(key)
        if mode not in _MODES:
            raise ValueError(f"metric mode {mode!r} is unknown: use replace, incr or append")
        if value is None:
            self.delete(key)
            return
        kind = "list" if mode == "append" else _kind(value)
        if mode in {"incr", "increment"} and kind != "number":
            raise TypeError(f"metric {key!r}: only numbers can be added up, not {type(value).__name__}")
        known = self._kinds.setdefault(key, kind)
        if known != kind:
            raise TypeError(f"metric {key!r} holds a {known}; delete it before recording a {kind}")
        self._sink(key, value, _MODES[mode])

    def delete(self, key: str) -> None:
        """Remove a metric; unknown names are ignored."""
        check_metric_name(key)
        self._kinds.pop(key, None)
        self._sink(key, None, "replace")

    def __setitem__(self, key: str, value: Any) -> None:
        self.record(key, value)

    def __delitem__(self, key: str) -> None:
        self.delete(key)


class Scope:
    """One prediction, as its own code may see it."""

    def __init__(
        self, prediction_id: Optional[str] = None, context: Optional[Mapping[str, str]] = None, sink: MetricSink = _discard
    ) -> None:
        self.prediction_id = prediction_id
        self.context: Dict[str, str] = dict(context or {})
        self._sink = sink
        self._metrics: Optional[Metrics] = None

    @property
    def metrics(self) -> Metrics:
        """Its measurements."""
        if self._metrics is None:
            self._metrics = Metrics(self._sink)
        return self._metrics

    def record_metric(self, key: str, value: Any, mode: str = "replace") -> None:
        """Record a measurement; see `Metrics.record`."""
        self.metrics.record(key, value, mode)


OUTSIDE = Scope()
"""The scope when no prediction runs: it accepts everything and keeps nothing."""

task_scope: ContextVar[Optional[Scope]] = ContextVar("cog_scope", default=None)
"""Set by an async worker in each prediction's task."""

_process_scope: Scope = OUTSIDE


def set_process_scope(scope: Scope) -> None:
    """Make a scope current for every thread; a sync worker does so for the one prediction it runs."""
    global _process_scope
    _process_scope = scope


def current_scope() -> Scope:
    """The scope of the prediction that is running here; a silent one outside predictions."""
    return task_scope.get() or _process_scope
