"""Looking at predictions and processes from outside, as an operator would."""

from __future__ import annotations

import os
import signal
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx

WAIT_SECONDS_MAX = 60


def until_status(api: httpx.Client, prediction_id: str, *statuses: str) -> dict[str, Any]:
    """Look until a prediction has one of these statuses; returns it."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < deadline:
        prediction: dict[str, Any] = api.get(f"/v1/predictions/{prediction_id}").json()
        if prediction["status"] in statuses:
            return prediction
        time.sleep(0.01)  # noqa: TID251 - spares the server between two looks
    raise AssertionError(f"{prediction_id} did not become {' or '.join(statuses)}: {prediction}")


def descendants(pid: int) -> list[int]:
    """Every process below one."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name may hold spaces and parentheses; the parent is the second field behind it.
            children[int(entry.read_text().rpartition(")")[2].split()[1])].append(int(entry.parent.name))
        except OSError:
            continue
    found = [*children[pid]]
    for one in found:
        found += children[one]
    return found


def signal_all(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to processes, some of which may be gone."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
