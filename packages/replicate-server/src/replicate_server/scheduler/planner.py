"""The planner: once a tick it reads what waits and what runs, lets `scheduler.decide` choose, and performs the choice."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

from replicate_server.domain.ids import ModelId, VersionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Version
from replicate_server.ports.store import Store, VersionQueue
from replicate_server.scheduler.decide import decide
from replicate_server.scheduler.decisions import (
    Decision,
    DrainInstance,
    FailQueued,
    InstanceView,
    Limits,
    QueueView,
    Snapshot,
    StartInstance,
    StopInstance,
)
from replicate_server.scheduler.dispatcher import Dispatcher
from replicate_server.scheduler.fleet import Fleet
from replicate_server.scheduler.invariants import known
from replicate_server.scheduler.lanes import Lane, Lanes, PooledInstance
from replicate_server.scheduler.scribe import RecordingDesk, Result
from replicate_server.scheduler.unclaimed import UnclaimedEnder

logger = logging.getLogger(__name__)

_QUEUE_COUNT_EXACT_BELOW = 1_000
"""`VersionQueue.queued` counts up to this."""
_FAIL_PAGE = 200
_FAIL_PAGES_MAX = 20
"""Pages failed in one tick."""
_RECOUNT_INTERVAL = timedelta(seconds=60)
"""How often everything queued is counted while some version has more than `VersionQueue` counts."""
_VERSIONS_REMEMBERED = 1_000


class Planner:
    """Keeps instances where predictions wait."""

    def __init__(
        self, store: Store, desk: RecordingDesk, lanes: Lanes, dispatcher: Dispatcher, fleet: Fleet, ender: UnclaimedEnder
    ) -> None:
        self._store = store
        self._desk = desk
        self._lanes = lanes
        self._dispatcher = dispatcher
        self._fleet = fleet
        self._ender = ender
        self._versions: dict[VersionId, Version] = {}
        self._counted_at: datetime | None = None

    async def count_queued(self) -> None:
        """Count everything queued, however much it is, for the dispatcher's limit."""
        self._counted_at = self._desk.clock.now()
        self._dispatcher.queued_count = await self._store.count_queued()

    async def tick(self) -> None:
        """Look, choose, act."""
        queues = await self._store.queues()
        if all(queue.queued < _QUEUE_COUNT_EXACT_BELOW for queue in queues):
            self._dispatcher.queued_count = sum(queue.queued for queue in queues)
        elif self._counted_at is None or abs(self._desk.clock.now() - self._counted_at) >= _RECOUNT_INTERVAL:
            await self.count_queued()
        snapshot = await self._build_snapshot(queues)
        for decision in decide(snapshot, now=self._desk.clock.now()):
            await self._perform(decision)
        self._lanes.close_unused(but=frozenset(queue.version_id for queue in queues))
        self._dispatcher.feed_all()

    # --- looking ------------------------------------------------------------------------------------------------------

    async def _build_snapshot(self, queues: list[VersionQueue]) -> Snapshot:
        options = self._desk.options
        waiting = {queue.version_id: queue for queue in queues}
        for queue in queues:
            version = await self._load_version(queue.model_id, queue.version_id)
            if version is not None:
                self._lanes.of(version)
        lanes = self._lanes.all()
        views = [self._view_queue(lane, waiting.get(lane.version.id)) for lane in lanes]
        return Snapshot(
            queues=tuple(view for view in views if view is not None),
            instances=tuple(_view_instance(instance) for lane in lanes for instance in lane.instances),
            capacity=self._fleet.capacity(),
            limits=Limits(
                options.instances_per_version_max,
                options.instance_idle_seconds,
                options.starvation_seconds,
                options.scale_up_seconds,
            ),
        )

    async def _load_version(self, model_id: ModelId, version_id: VersionId) -> Version | None:
        lane = self._lanes.find(version_id)
        version = lane.version if lane is not None else self._versions.get(version_id)
        if version is None:
            version = await self._store.version(model_id, version_id)
            if version is None:
                logger.error("predictions wait for version %s, which is not stored", version_id)
                return None
            if len(self._versions) >= _VERSIONS_REMEMBERED:
                self._versions.clear()
            self._versions[version_id] = version
        return version

    def _view_queue(self, lane: Lane, queue: VersionQueue | None) -> QueueView | None:
        waiting = (queue.queued if queue is not None else 0) + len(lane.backlog)
        if not waiting:
            return None
        if queue is not None:
            lane.may_have_queued = True
        oldest = [queue.oldest_created_at] if queue is not None else []
        oldest += [lane.backlog[0].recorder.prediction.created_at] if lane.backlog else []
        return QueueView(
            version_id=lane.version.id,
            waiting=waiting,
            oldest_at=min(oldest),
            waiting_since=max(min(oldest), lane.left_at) if lane.left_at is not None else min(oldest),
            needs=self._fleet.needs(lane.version),
            run_seconds=lane.run_seconds,
            retry_at=lane.retry_at,
            quarantined_until=lane.quarantined_until,
        )

    # --- acting -------------------------------------------------------------------------------------------------------

    async def _perform(self, decision: Decision) -> None:
        match decision:
            case StartInstance(version_id):
                await self._fleet.start(known(self._lanes.find(version_id)).version)
            case StopInstance(instance_id):
                self._fleet.stop(instance_id)
            case DrainInstance(instance_id):
                self._fleet.drain(instance_id)
            case FailQueued(version_id, reason):
                await self._fail_queued(version_id, reason)

    async def _fail_queued(self, version_id: VersionId, reason: str) -> None:
        lane = known(self._lanes.find(version_id))
        if reason == "too_big":
            error, logs = self._too_big(lane.version), ""
        else:
            error, logs = f"Model setup failed: {lane.setup_error}", lane.setup_log
        # A bounded number at a time: a long queue of a broken version must not keep the planner from the others.
        for _ in range(_FAIL_PAGES_MAX):
            predictions = await self._store.queued_predictions(version_id, limit=_FAIL_PAGE)
            result = Result(Status.FAILED, self._desk.clock.now(), error)
            ended = await asyncio.gather(*(self._ender.end(prediction, result, logs=logs) for prediction in predictions))
            if not any(ended):
                return

    def _too_big(self, version: Version) -> str:
        need, have = self._fleet.needs(version), self._fleet.capacity()
        return (
            f"This model needs {need.cpu_slots:g} CPU slots, {need.memory_bytes // 1024**2} MiB of memory and {need.gpus} GPUs; "
            f"this server has {have.cpu_slots:g}, {have.memory_bytes // 1024**2} MiB and {have.gpus}"
        )


def _view_instance(instance: PooledInstance) -> InstanceView:
    return InstanceView(
        id=instance.id,
        version_id=instance.version.id,
        state=instance.state.value,
        running=len(instance.running),
        slots=instance.slots,
        used_at=instance.used_at,
        ready_at=instance.ready_at,
        resources=instance.resources,
    )
