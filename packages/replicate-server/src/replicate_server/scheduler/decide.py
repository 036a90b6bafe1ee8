"""The planner's choice: which instances to start, stop and drain, and which queues to fail. Pure: no clock, no I/O, no store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from replicate_server.domain.ids import InstanceId, VersionId
from replicate_server.ports.engine import Resources
from replicate_server.scheduler.decisions import (
    Decision,
    DrainInstance,
    FailQueued,
    InstanceView,
    QueueView,
    Snapshot,
    StartInstance,
    StopInstance,
)


def decide(snapshot: Snapshot, *, now: datetime) -> list[Decision]:
    """Choose what to start, stop, drain and fail for one tick.

    The rules, in order: quarantined versions and those too big for the machine fail what waits for them; drained and long idle
    instances stop; then, longest waiting first, a version without an instance gets one — in free resources, or by evicting the
    least recently used idle instances of others, or, when it has waited too long and all are busy, by draining one instance of
    the version that has most; last, versions whose queue outgrows their instances get one more if there is room.

    Pure: the same snapshot and time give the same decisions, in the order they must be performed.

    Args:
        snapshot: Everything the scheduler may know.
        now: Aware UTC time of the tick.

    Returns:
        Decisions; empty when the system is at rest.
    """
    return _Tick(snapshot, now).decide()


def add(left: Resources, right: Resources) -> Resources:
    """The sum."""
    return Resources(left.cpu_slots + right.cpu_slots, left.memory_bytes + right.memory_bytes, left.gpus + right.gpus)


def subtract(left: Resources, right: Resources) -> Resources:
    """The difference; negative where ``right`` is larger."""
    return Resources(left.cpu_slots - right.cpu_slots, left.memory_bytes - right.memory_bytes, left.gpus - right.gpus)


def fits(need: Resources, room: Resources) -> bool:
    """Whether a need can be met. CPU slots are fractions, so they get a little tolerance."""
    return need.cpu_slots <= room.cpu_slots + 1e-9 and need.memory_bytes <= room.memory_bytes and need.gpus <= room.gpus


def total(resources: Iterable[Resources]) -> Resources:
    """The sum of many."""
    result = Resources(0.0, 0, 0)
    for one in resources:
        result = add(result, one)
    return result


class _Tick:
    """One run of the rules; holds what the decisions so far would leave."""

    def __init__(self, snapshot: Snapshot, now: datetime) -> None:
        self._snapshot = snapshot
        self._now = now
        self._decisions: list[Decision] = []
        self._free = subtract(snapshot.capacity, total(instance.resources for instance in snapshot.instances))
        self._waiting = {queue.version_id for queue in snapshot.queues}
        self._counts = Counter(
            instance.version_id for instance in snapshot.instances if instance.state in {"starting", "serving"}
        )
        self._leaving: set[InstanceId] = {
            instance.id for instance in snapshot.instances if instance.state in {"draining", "stopping"}
        }

    def decide(self) -> list[Decision]:
        startable = [queue for queue in sorted(self._snapshot.queues, key=_urgency) if self._may_start(queue)]
        self._stop_finished()
        for queue in startable:
            if self._counts[queue.version_id] == 0:
                self._bring_up(queue)
        for queue in startable:
            if self._wants_one_more(queue) and fits(queue.needs, self._free):
                self._start(queue)
        return self._decisions

    def _may_start(self, queue: QueueView) -> bool:
        if not fits(queue.needs, self._snapshot.capacity):
            self._decisions.append(FailQueued(queue.version_id, "too_big"))
            return False
        if queue.quarantined_until is not None and self._now < queue.quarantined_until:
            self._decisions.append(FailQueued(queue.version_id, "quarantined"))
            return False
        return queue.retry_at is None or self._now >= queue.retry_at

    def _stop_finished(self) -> None:
        idle_before = self._now - timedelta(seconds=self._snapshot.limits.instance_idle_seconds)
        for instance in self._snapshot.instances:
            is_drained = instance.state == "draining" and instance.running == 0
            is_tired = instance.is_idle and instance.used_at <= idle_before and instance.version_id not in self._waiting
            if is_drained or is_tired:
                self._stop(instance)

    def _stop(self, instance: InstanceView) -> None:
        self._decisions.append(StopInstance(instance.id))
        self._leaving.add(instance.id)

    def _start(self, queue: QueueView) -> None:
        self._decisions.append(StartInstance(queue.version_id))
        self._free = subtract(self._free, queue.needs)
        self._counts[queue.version_id] += 1

    def _bring_up(self, queue: QueueView) -> None:
        """Give a version its first instance, or make room for it. Room that is being made is kept for it: ``_free`` shrinks."""
        if fits(queue.needs, self._free):
            self._start(queue)
            return
        self._free = subtract(self._free, queue.needs)
        room = add(self._free, self._leaving_resources())
        if self._is_enough(room):
            return
        for instance in self._evictable():
            self._stop(instance)
            room = add(room, instance.resources)
            if self._is_enough(room):
                return
        if self._now - queue.waiting_since >= timedelta(seconds=self._snapshot.limits.starvation_seconds):
            self._drain_for(room)

    def _is_enough(self, room: Resources) -> bool:
        return fits(Resources(0.0, 0, 0), room)

    def _leaving_resources(self) -> Resources:
        return total(instance.resources for instance in self._snapshot.instances if instance.id in self._leaving)

    def _evictable(self) -> list[InstanceView]:
        """Idle instances that nothing waits for, least recently used first."""
        return sorted(
            (
                instance
                for instance in self._snapshot.instances
                if instance.is_idle and instance.version_id not in self._waiting and instance.id not in self._leaving
            ),
            key=lambda instance: (instance.used_at, instance.id),
        )

    def _drain_for(self, room: Resources) -> None:
        """Drain instances of the versions that have most, until what they free will be enough.

        An instance keeps its place for the starvation time, so that versions in turn do more than set up.
        """
        ready_before = self._now - timedelta(seconds=self._snapshot.limits.starvation_seconds)
        while not self._is_enough(room):
            candidates = [
                instance
                for instance in self._snapshot.instances
                if instance.state == "serving" and instance.id not in self._leaving and instance.ready_at <= ready_before
            ]
            if not candidates:
                return
            victim = max(candidates, key=self._dispensability)
            self._decisions.append(DrainInstance(victim.id))
            self._leaving.add(victim.id)
            self._counts[victim.version_id] -= 1
            room = add(room, victim.resources)

    def _dispensability(self, instance: InstanceView) -> tuple[int, int, float, str]:
        # Idle ones first among equals; then the one used longest ago, which most likely runs the longest prediction.
        age = (self._now - instance.used_at).total_seconds()
        return (self._counts[instance.version_id], -instance.running, age, instance.id)

    def _wants_one_more(self, queue: QueueView) -> bool:
        count = self._counts[queue.version_id]
        if not 0 < count < self._snapshot.limits.instances_per_version_max:
            return False
        serving = [
            instance
            for instance in self._snapshot.instances
            if instance.version_id == queue.version_id and instance.state == "serving" and instance.id not in self._leaving
        ]
        # One start at a time: what the one under way changes is seen first.
        if len(serving) < count:
            return False
        slots = sum(instance.slots for instance in serving)
        if any(instance.running < instance.slots for instance in serving):
            return False
        wait_seconds = queue.waiting / slots * queue.run_seconds if queue.run_seconds is not None else None
        waited = (self._now - queue.oldest_at).total_seconds()
        if wait_seconds is None:
            return waited >= self._snapshot.limits.scale_up_seconds
        return wait_seconds >= self._snapshot.limits.scale_up_seconds


def _urgency(queue: QueueView) -> tuple[datetime, VersionId]:
    return (queue.waiting_since, queue.version_id)
