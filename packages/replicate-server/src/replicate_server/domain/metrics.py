"""How recorded metrics add up. Pure. The rules are Cog's: a dotted name nests; a mode says how a value meets the one before."""

from __future__ import annotations

from typing import Any

DEPTH_MAX = 8
"""A name with more dots is kept whole: the limit bounds recursion in whoever encodes the result."""


def fold_metric(metrics: dict[str, Any], name: str, value: Any, mode: str) -> None:
    """Apply one recorded metric to ``metrics`` in place.

    Args:
        metrics: The nested result so far.
        name: Dotted name; ``a.b`` is ``{"a": {"b": …}}``. A scalar in the way is replaced.
        value: A JSON value; None removes the metric.
        mode: ``replace``, ``increment`` (numbers add up; anything else is replaced) or ``append`` (into a list).
    """
    path = name.split(".")
    if len(path) > DEPTH_MAX or "" in path:
        path = [name]
    place = metrics
    for part in path[:-1]:
        inner = place.get(part)
        if not isinstance(inner, dict):
            if value is None:
                return
            inner = place[part] = {}
        place = inner
    leaf = path[-1]
    if value is None:
        place.pop(leaf, None)
    elif mode == "increment" and _is_number(place.get(leaf)) and _is_number(value):
        place[leaf] += value
    elif mode == "append":
        before = place.get(leaf)
        place[leaf] = [*before, value] if isinstance(before, list) else [value] if before is None else [before, value]
    else:
        place[leaf] = value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
