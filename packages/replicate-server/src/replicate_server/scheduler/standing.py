"""Where an active prediction stands: its place in the queue and when it may start, or the instance it runs on. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from replicate_server.domain.ids import InstanceId
from replicate_server.scheduler.lanes import Lane, Run


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of an active prediction beside its record."""

    instance_id: InstanceId | None = None
    """Where its code runs."""
    queue_position: int | None = None
    """1 for the next to start; None when it has started."""
    estimated_start_at: datetime | None = None
    """None when unknown: nothing serves its version, or nothing of it ever ran."""


def stand_of_run(run: Run, now: datetime) -> Standing:
    """Where a claimed prediction stands."""
    if run.recorder.started_at is not None:
        return Standing(instance_id=run.recorder.instance_id)
    if run not in run.lane.backlog:
        # It has its slot and waits for its input files.
        return Standing(queue_position=1, estimated_start_at=now)
    position = run.lane.backlog.index(run) + 1
    return Standing(queue_position=position, estimated_start_at=estimate_start(run.lane, position, now))


def stand_in_queue(lane: Lane | None, queued_before: int, now: datetime) -> Standing:
    """Where an unclaimed prediction stands, behind what is queued before it and what is claimed already."""
    if lane is None:
        return Standing(queue_position=queued_before + 1)
    position = queued_before + len(lane.backlog) + 1
    return Standing(queue_position=position, estimated_start_at=estimate_start(lane, position, now))


def estimate_start(lane: Lane, position: int, now: datetime) -> datetime | None:
    """When a place in the queue comes up, if runs go on taking what they took lately; None where that is unknown."""
    slots = sum(instance.slots for instance in lane.serving())
    if lane.run_seconds is None or not slots:
        return None
    return now + timedelta(seconds=lane.run_seconds * position / slots)
