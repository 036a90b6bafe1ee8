"""The fleet: starts and stops instances, hears what they report, and remembers whose setup keeps failing.

Whether to start or stop is decided in `scheduler.decide`; what predictions do is passed on to their recorders.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from cog.worker.protocol import Done, Log, Metric, Output

from replicate_server.domain.ids import InstanceId, PredictionId, build_record_id
from replicate_server.domain.records import Version
from replicate_server.ports.clock import Clock, Randomness
from replicate_server.ports.engine import Engine, InstanceSpec, Resources
from replicate_server.scheduler.dispatcher import Dispatcher
from replicate_server.scheduler.lanes import InstanceState, Lane, Lanes, PooledInstance, Run
from replicate_server.scheduler.log_text import BoundedLog
from replicate_server.scheduler.options import SchedulerOptions

logger = logging.getLogger(__name__)

_BACKOFF_DOUBLINGS_MAX = 8


@dataclass(frozen=True, slots=True)
class FleetContext:
    """What a fleet works with."""

    engine: Engine
    lanes: Lanes
    dispatcher: Dispatcher
    clock: Clock
    randomness: Randomness
    options: SchedulerOptions
    wake_planner: Callable[[], None]


class Fleet:
    """Every instance of this server; the observer that engines report to."""

    def __init__(self, context: FleetContext) -> None:
        self._engine = context.engine
        self._lanes = context.lanes
        self._dispatcher = context.dispatcher
        self._clock = context.clock
        self._randomness = context.randomness
        self._options = context.options
        self._wake_planner = context.wake_planner
        self._instances: dict[InstanceId, tuple[Lane, PooledInstance]] = {}
        self._stops: set[asyncio.Task[None]] = set()

    # --- acting -------------------------------------------------------------------------------------------------------

    def capacity(self) -> Resources:
        """What all instances together may use."""
        return self._engine.capacity()

    def needs(self, version: Version) -> Resources:
        """What one instance of a version uses."""
        base = self._options.instance_resources
        return Resources(base.cpu_slots, base.memory_bytes, 1) if version.package.is_gpu else base

    async def start(self, version: Version) -> None:
        """Begin to start an instance of a version."""
        lane = self._lanes.of(version)
        now = self._clock.now()
        instance = PooledInstance(
            id=InstanceId(build_record_id("inst", self._randomness(16))),
            version=version,
            resources=self.needs(version),
            setup_log=BoundedLog(self._options.setup_log_bytes_max),
            used_at=now,
            ready_at=now,
        )
        lane.instances.append(instance)
        self._instances[instance.id] = (lane, instance)
        spec = InstanceSpec(instance.id, version, instance.resources, self._options.setup_timeout_seconds)
        logger.info("starting instance %s of %s", instance.id, version.model)
        try:
            instance.handle = await self._engine.start_instance(spec, self)
        except Exception as error:
            logger.exception("instance %s of %s could not be started", instance.id, version.model)
            self.setup_failed(instance.id, f"The instance could not be started: {error}")
            self.exited(instance.id, "never started")
            return
        if instance.state is InstanceState.STOPPING:
            self._begin_stop(instance)
        self._dispatcher.feed(lane)

    def drain(self, instance_id: InstanceId) -> None:
        """Give an instance no more work; the planner stops it when it is idle."""
        found = self._instances.get(instance_id)
        if found is not None and found[1].state is InstanceState.SERVING:
            found[1].state = InstanceState.DRAINING
            self._yield_backlog(found[0])
            self._wake_planner()

    def stop(self, instance_id: InstanceId) -> None:
        """Begin to end an instance."""
        found = self._instances.get(instance_id)
        if found is None or found[1].state is InstanceState.STOPPING:
            return
        lane, instance = found
        instance.state = InstanceState.STOPPING
        self._yield_backlog(lane)
        logger.info("stopping instance %s of %s", instance.id, instance.version.model)
        self._begin_stop(instance)

    def _begin_stop(self, instance: PooledInstance) -> None:
        # Without a handle the engine is still beginning to start it; `start` comes back here.
        if instance.handle is not None:
            task = asyncio.get_running_loop().create_task(instance.handle.stop())
            self._stops.add(task)
            task.add_done_callback(self._stops.discard)

    def _yield_backlog(self, lane: Lane) -> None:
        if not lane.serving():
            self._dispatcher.release_backlog(lane)

    async def stop_all(self) -> None:
        """End every instance and wait for it."""
        for instance_id in list(self._instances):
            self.stop(instance_id)
        await self.until_stopped()

    async def until_stopped(self) -> None:
        """Return when every stop that was begun has ended."""
        while self._stops:
            await asyncio.wait(self._stops)

    # --- hearing ------------------------------------------------------------------------------------------------------

    def _run(self, instance_id: InstanceId, prediction_id: str | None) -> Run | None:
        found = self._instances.get(instance_id)
        if found is None or prediction_id is None:
            return None
        return found[1].running.get(PredictionId(prediction_id))

    def setup_logged(self, instance_id: InstanceId, text: str) -> None:
        """Keep setup text for whoever the setup fails."""
        found = self._instances.get(instance_id)
        if found is not None:
            found[1].setup_log.add(text)

    def ready(self, instance_id: InstanceId, slots: int) -> None:
        """Give it work."""
        found = self._instances.get(instance_id)
        if found is None or found[1].state is not InstanceState.STARTING:
            return
        lane, instance = found
        instance.state = InstanceState.SERVING
        instance.slots = max(1, slots)
        instance.used_at = instance.ready_at = self._clock.now()
        lane.setup_failures = 0
        lane.quarantined_until = lane.retry_at = None
        lane.may_have_queued = True
        self._dispatcher.feed(lane)

    def setup_failed(self, instance_id: InstanceId, error: str) -> None:
        """Remember why; `exited` follows and counts the failure."""
        found = self._instances.get(instance_id)
        if found is not None:
            found[1].setup_error = error

    def logged(self, instance_id: InstanceId, message: Log) -> None:
        """Pass on."""
        if (run := self._run(instance_id, message.id)) is not None:
            run.recorder.logged(message.text)

    def output(self, instance_id: InstanceId, message: Output) -> None:
        """Pass on; stop the code when its output is at fault."""
        run = self._run(instance_id, message.id)
        if run is None or run.recorder.yielded(message):
            return
        if run.instance is not None and run.instance.handle is not None:
            run.instance.handle.cancel(PredictionId(message.id))

    def metric(self, instance_id: InstanceId, message: Metric) -> None:
        """Pass on."""
        if (run := self._run(instance_id, message.id)) is not None:
            run.recorder.measured(message)

    def done(self, instance_id: InstanceId, message: Done) -> None:
        """Pass on: a slot is free."""
        found = self._instances.get(instance_id)
        if found is not None:
            self._dispatcher.done(found[1], message)

    def exited(self, instance_id: InstanceId, reason: str) -> None:
        """Forget it, count a failed setup, and decide about what it ran."""
        found = self._instances.pop(instance_id, None)
        if found is None:
            return
        lane, instance = found
        lane.instances.remove(instance)
        if not lane.instances:
            lane.left_at = self._clock.now()
        if instance.slots == 0 and instance.state is InstanceState.STARTING:
            self._count_failure(lane, instance, reason)
        logger.info("instance %s of %s ended: %s", instance.id, instance.version.model, reason)
        self._dispatcher.instance_lost(lane, instance, reason)
        self._wake_planner()

    def _count_failure(self, lane: Lane, instance: PooledInstance, reason: str) -> None:
        now = self._clock.now()
        lane.setup_failures += 1
        lane.setup_error = instance.setup_error or f"The instance ended during setup: {reason}"
        lane.setup_log = instance.setup_log.text
        doublings = min(lane.setup_failures - 1, _BACKOFF_DOUBLINGS_MAX)
        lane.retry_at = now + timedelta(seconds=self._options.setup_retry_seconds * 2**doublings)
        if lane.setup_failures >= self._options.setup_failures_max:
            lane.quarantined_until = now + timedelta(seconds=self._options.quarantine_seconds)
            logger.warning("%s is quarantined: %s", instance.version.model, lane.setup_error)
