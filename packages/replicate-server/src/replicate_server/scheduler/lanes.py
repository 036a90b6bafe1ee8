"""Lanes: what the server remembers of each version that runs or waits here. Plain state with small rules; no I/O, no clock.

A lane's backlog holds predictions that are claimed but not started. It belongs to the version and not to one instance, so a stuck
instance never holds back work that its sisters could do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from replicate_server.domain.ids import InstanceId, PredictionId, VersionId
from replicate_server.domain.records import Version
from replicate_server.ports.engine import Instance, Resources
from replicate_server.scheduler.log_text import BoundedLog
from replicate_server.scheduler.options import SchedulerOptions
from replicate_server.scheduler.recorder import Recorder


class InstanceState(StrEnum):
    """Where an instance stands."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    """Finishes what it runs and gets nothing new."""
    STOPPING = "stopping"


@dataclass(slots=True, eq=False)
class Run:
    """One claimed prediction here, waiting in a backlog or placed on an instance."""

    recorder: Recorder
    lane: Lane
    instance: PooledInstance | None = None
    """None until it has a slot, and again once it ended."""
    preparing: asyncio.Task[None] | None = None
    """Brings its input files; the code starts afterwards."""
    folder: str | None = None
    """Holds its input files."""


@dataclass(slots=True, eq=False)
class PooledInstance:
    """One instance as the scheduler sees it."""

    id: InstanceId
    version: Version
    resources: Resources
    setup_log: BoundedLog
    used_at: datetime
    """When it last became ready, or last ended a prediction."""
    ready_at: datetime
    """When its setup ended; until then, when it was asked for."""
    state: InstanceState = InstanceState.STARTING
    handle: Instance | None = None
    slots: int = 0
    running: dict[PredictionId, Run] = field(default_factory=dict)
    served: int = 0
    setup_error: str | None = None

    @property
    def free_slots(self) -> int:
        """How many predictions it could start now."""
        if self.state is not InstanceState.SERVING or self.handle is None:
            return 0
        return self.slots - len(self.running)


@dataclass(slots=True, eq=False)
class Lane:
    """One version's instances, backlog and history."""

    version: Version
    instances: list[PooledInstance] = field(default_factory=list)
    backlog: deque[Run] = field(default_factory=deque)
    may_have_queued: bool = True
    """Whether the store may hold queued rows of it. While so, new predictions queue behind them: first in, first out."""
    is_claiming: bool = False
    claim_again: bool = False
    """Rows were queued while a claim was under way that may have missed them."""
    run_seconds: float | None = None
    """Moving average of run times; None before the first."""
    setup_failures: int = 0
    """Failed starts in a row."""
    setup_error: str = ""
    setup_log: str = ""
    retry_at: datetime | None = None
    """Not before this time is another start tried."""
    quarantined_until: datetime | None = None
    left_at: datetime | None = None
    """When its last instance ended."""

    def serving(self) -> list[PooledInstance]:
        """Instances that take work."""
        return [instance for instance in self.instances if instance.state is InstanceState.SERVING]

    def pick_free(self) -> PooledInstance | None:
        """The least loaded instance with a free slot."""
        best: PooledInstance | None = None
        for instance in self.instances:
            if instance.free_slots > 0 and (best is None or len(instance.running) < len(best.running)):
                best = instance
        return best

    def observe_run(self, seconds: float) -> None:
        """Take a finished run into the average."""
        self.run_seconds = seconds if self.run_seconds is None else 0.8 * self.run_seconds + 0.2 * seconds

    def is_fast(self, options: SchedulerOptions) -> bool:
        """Whether its predictions are so short that a slot should never wait for a claim to be written."""
        return self.run_seconds is not None and self.run_seconds < options.fast_seconds

    def backlog_max(self, options: SchedulerOptions) -> int:
        """How many predictions may be claimed ahead: as many as run in `lookahead_seconds`, none for slow versions."""
        if self.run_seconds is None or self.run_seconds >= options.fast_seconds:
            return 0
        slots = 0
        for instance in self.instances:
            if instance.state is InstanceState.SERVING:
                slots += instance.slots
        per_slot = min(options.lookahead_max, int(options.lookahead_seconds / max(self.run_seconds, 1e-4)))
        return slots * per_slot

    def claim_wish(self, options: SchedulerOptions) -> int:
        """How many queued predictions to claim now; 0 when the backlog still suffices.

        The backlog is filled up when it has run half empty, so that a claim carries many predictions and a slot never waits.
        """
        free = sum(instance.free_slots for instance in self.instances)
        ahead = self.backlog_max(options)
        if len(self.backlog) > free + ahead // 2:
            return 0
        return max(0, free + ahead - len(self.backlog))


class Lanes:
    """All lanes by version."""

    def __init__(self) -> None:
        self._lanes: dict[VersionId, Lane] = {}

    def of(self, version: Version) -> Lane:
        """The lane of a version, opened when it is new."""
        lane = self._lanes.get(version.id)
        if lane is None:
            lane = self._lanes[version.id] = Lane(version)
        return lane

    def find(self, version_id: VersionId) -> Lane | None:
        """The lane of a version, if it is open."""
        return self._lanes.get(version_id)

    def all(self) -> list[Lane]:
        """Every open lane."""
        return list(self._lanes.values())

    def close_unused(self, *, but: frozenset[VersionId]) -> None:
        """Forget lanes with nothing to remember, so that a server that saw many versions stays small."""
        for version_id, lane in list(self._lanes.items()):
            is_used = lane.instances or lane.backlog or lane.is_claiming or lane.setup_failures or version_id in but
            if not is_used:
                del self._lanes[version_id]
