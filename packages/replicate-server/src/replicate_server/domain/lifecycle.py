"""The life of a prediction (and of a training) as one table.

Owns the statuses, which may follow which, and what counts as terminal. Everything else that needs to know (the database's
checks, the documentation, the scheduler) reads this table or is tested against it. Pure: no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Status(StrEnum):
    """Where a prediction stands; the values are the ones on the wire."""

    STARTING = "starting"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    ABORTED = "aborted"


TRANSITIONS: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        # A queued prediction fails when its version cannot be set up; it is aborted when its deadline passes first.
        Status.STARTING: frozenset({Status.PROCESSING, Status.FAILED, Status.CANCELED, Status.ABORTED}),
        # Back to starting: its instance was lost and an attempt is left.
        Status.PROCESSING: frozenset({Status.STARTING, Status.SUCCEEDED, Status.FAILED, Status.CANCELED}),
        Status.SUCCEEDED: frozenset(),
        Status.FAILED: frozenset(),
        Status.CANCELED: frozenset(),
        Status.ABORTED: frozenset(),
    }
)

TERMINAL = frozenset(status for status, following in TRANSITIONS.items() if not following)
ACTIVE = frozenset(TRANSITIONS) - TERMINAL


def is_terminal(status: Status) -> bool:
    """Whether nothing can follow: the outcome is recorded for good."""
    return status in TERMINAL
