"""What a running prediction has produced so far, folded from its events. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from replicate_server.domain.metrics import fold_metric
from replicate_server.domain.records import Prediction


def fold_events(prediction: Prediction, entries: Iterable[tuple[str, Any]]) -> Prediction:
    """Put the outputs (as a list), logs and metrics of an event log into its prediction.

    Args:
        prediction: An active one.
        entries: Kind and data of its events, in order.

    Returns:
        The prediction as it stands; ``output`` is None while nothing was yielded.
    """
    outputs: list[Any] = []
    logs: list[str] = []
    metrics: dict[str, Any] = {}
    for kind, data in entries:
        if kind == "output":
            outputs.append(data)
        elif kind == "log":
            logs.append(data)
        elif kind == "metric":
            fold_metric(metrics, *data)
    return replace(prediction, output=outputs or None, logs="".join(logs), metrics=metrics)
