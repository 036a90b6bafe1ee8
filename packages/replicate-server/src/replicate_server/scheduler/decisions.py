"""What the planner may know and what it may decide, as frozen values. See `scheduler.decide` for the choice itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from replicate_server.domain.ids import InstanceId, VersionId
from replicate_server.ports.engine import Resources


@dataclass(frozen=True, slots=True)
class InstanceView:
    """One instance."""

    id: InstanceId
    version_id: VersionId
    state: str
    """``starting``, ``serving``, ``draining`` or ``stopping``. All four hold their resources."""
    running: int
    slots: int
    used_at: datetime
    """When it last became ready or ended a prediction."""
    ready_at: datetime
    """When its setup ended; meaningless while it is starting."""
    resources: Resources

    @property
    def is_idle(self) -> bool:
        """Whether it is warm and runs nothing."""
        return self.state == "serving" and self.running == 0


@dataclass(frozen=True, slots=True)
class QueueView:
    """What waits for one version."""

    version_id: VersionId
    waiting: int
    """Queued, or claimed here and not started."""
    oldest_at: datetime
    """When the oldest of them was created."""
    waiting_since: datetime
    """Since when it waits without an instance: the later of ``oldest_at`` and the end of its last instance. So a version that
    gave up its place queues up behind those it gave it up for."""
    needs: Resources
    """Of one instance."""
    run_seconds: float | None = None
    """Average run time; None when unknown."""
    retry_at: datetime | None = None
    """After a failed start: not before this."""
    quarantined_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings the choice depends on."""

    instances_per_version_max: int
    instance_idle_seconds: float
    starvation_seconds: float
    scale_up_seconds: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one tick may know."""

    queues: tuple[QueueView, ...]
    """Only versions with something waiting."""
    instances: tuple[InstanceView, ...]
    capacity: Resources
    limits: Limits


@dataclass(frozen=True, slots=True)
class StartInstance:
    """Start one instance of a version."""

    version_id: VersionId


@dataclass(frozen=True, slots=True)
class StopInstance:
    """Stop an instance that runs nothing."""

    instance_id: InstanceId


@dataclass(frozen=True, slots=True)
class DrainInstance:
    """Give a busy instance no more work, so that it can be stopped soon."""

    instance_id: InstanceId


@dataclass(frozen=True, slots=True)
class FailQueued:
    """Fail what waits for a version that cannot run now."""

    version_id: VersionId
    reason: str
    """``quarantined`` or ``too_big``."""


Decision = StartInstance | StopInstance | DrainInstance | FailQueued
