"""How recorded metrics add up."""

from __future__ import annotations

from typing import Any

import pytest
from replicate_server.domain.metrics import fold_metric


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("a", 1, "replace"), ("a", 2, "replace")], {"a": 2}),
        ([("a", 1, "increment"), ("a", 2.5, "increment")], {"a": 3.5}),
        ([("a", 1, "append"), ("a", 2, "append")], {"a": [1, 2]}),
        ([("a.b.c", 1, "replace"), ("a.b.d", 2, "replace")], {"a": {"b": {"c": 1, "d": 2}}}),
        ([("a", 1, "replace"), ("a", None, "replace")], {}),
        ([("a.b", None, "replace")], {}),
        ([("a", 1, "replace"), ("a.b", 2, "replace")], {"a": {"b": 2}}),
        ([("a", "x", "increment")], {"a": "x"}),
        ([("a..b", 1, "replace")], {"a..b": 1}),
    ],
)
def test_metrics_fold(steps: list[tuple[str, Any, str]], expected: dict[str, Any]) -> None:
    metrics: dict[str, Any] = {}
    for name, value, mode in steps:
        fold_metric(metrics, name, value, mode)
    assert metrics == expected
