"""The scheduler: puts the dispatcher, the fleet and the background duties together, starts and stops them, and cancels."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from replicate_server.domain.ids import HolderId, build_record_id
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Prediction
from replicate_server.ports.clock import Clock, Randomness
from replicate_server.ports.engine import Engine
from replicate_server.ports.events import EventHub
from replicate_server.ports.store import Store
from replicate_server.scheduler.collaborators import InputLocalizing, OutputIngesting, WebhookComposing
from replicate_server.scheduler.dispatcher import Dispatch, Dispatcher
from replicate_server.scheduler.duty import Duty
from replicate_server.scheduler.expirer import Expirer
from replicate_server.scheduler.fleet import Fleet, FleetContext
from replicate_server.scheduler.lanes import Lanes
from replicate_server.scheduler.leases import LeaseKeeper
from replicate_server.scheduler.options import SchedulerOptions
from replicate_server.scheduler.planner import Planner
from replicate_server.scheduler.rescuer import Rescuer
from replicate_server.scheduler.run_counts import RunCounts
from replicate_server.scheduler.scribe import RecordingDesk, Result
from replicate_server.scheduler.standing import Standing, stand_in_queue, stand_of_run
from replicate_server.scheduler.unclaimed import UnclaimedEnder

logger = logging.getLogger(__name__)

_PLANNER_SPACING_SECONDS = 0.01
_CANCEL_MARGIN_SECONDS = 2.0
_STOP_FLUSH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class SchedulerParts:
    """The outside that a scheduler works with."""

    store: Store
    hub: EventHub
    engine: Engine
    clock: Clock
    randomness: Randomness
    composer: WebhookComposing
    outputs: OutputIngesting
    inputs: InputLocalizing
    inputs_dir: str
    """Existing folder for input files of running predictions."""
    wake_deliverer: Callable[[], None]
    """Called after webhook messages were written."""


class Scheduler:
    """Runs predictions. `start` rescues what an earlier process left; `stop` leaves nothing claimed that has not started."""

    def __init__(self, parts: SchedulerParts, options: SchedulerOptions) -> None:
        self._parts = parts
        self._options = options
        holder = HolderId(build_record_id("hold", parts.randomness(16)))
        desk = RecordingDesk(parts.store, parts.hub, parts.clock, options, parts.composer, parts.outputs, parts.wake_deliverer)
        lanes = self._lanes = Lanes()
        self.dispatcher = Dispatcher(Dispatch(desk, lanes, holder, parts.inputs, parts.inputs_dir, self.wake))
        self.fleet = Fleet(FleetContext(parts.engine, lanes, self.dispatcher, parts.clock, parts.randomness, options, self.wake))
        self._ender = UnclaimedEnder(desk, self.dispatcher)
        self._planner = Planner(parts.store, desk, lanes, self.dispatcher, self.fleet, self._ender)
        self._expirer = Expirer(desk, self.dispatcher, self._ender)
        self._rescuer = Rescuer(desk, self.dispatcher, holder)
        self._leases = LeaseKeeper(parts.store, parts.clock, holder, options.lease_seconds)
        self.run_counts = RunCounts(parts.store)
        self._planning = Duty(
            "planner", self._plan, interval_seconds=options.tick_seconds, spacing_seconds=_PLANNER_SPACING_SECONDS
        )
        self._expiring = Duty("expirer", self._expire, interval_seconds=options.tick_seconds)
        self._renewing = Duty("leases", self._renew, interval_seconds=options.lease_seconds / 3)
        self._counting = Duty("run counts", self._count, interval_seconds=options.tick_seconds)

    def wake(self) -> None:
        """Let the planner look soon."""
        self._planning.wake()

    def wake_expirer(self) -> None:
        """Let deadlines be looked at soon: a new one may be the next."""
        self._expiring.wake()

    async def start(self) -> None:
        """Rescue what an earlier process left, then begin."""
        await self._rescuer.rescue_at_start()
        await self._planner.count_queued()
        for duty in self._duties():
            duty.start()

    def close_admission(self) -> None:
        """Refuse new predictions from now on; the first thing a stop does."""
        self.dispatcher.close_admission()

    async def stop(self, *, grace_seconds: float | None = None) -> None:
        """Refuse new work, let running predictions end within the grace, stop instances, and write what is left to write.

        Args:
            grace_seconds: Instead of the option's. Stopping again with another grace is fine.
        """
        self.close_admission()
        await self._planning.stop()
        if not await self.dispatcher.drain(self._options.shutdown_grace_seconds if grace_seconds is None else grace_seconds):
            logger.warning("some predictions did not end within the grace; they run again after the next start")
        await self.fleet.stop_all()
        await self.dispatcher.drain(_STOP_FLUSH_SECONDS)
        for duty in self._duties():
            await duty.stop()
        await self.run_counts.flush()

    async def cancel(self, prediction: Prediction) -> Prediction:
        """Cancel an active prediction and return it as it then is.

        Code that runs is asked to stop, and killed after the engine's grace; the answer waits for that, so it is honest (J6).
        """
        now = self._parts.clock.now()
        result = Result(Status.CANCELED, now)
        prediction_id = prediction.id
        wait_seconds = self._options.cancel_grace_seconds + _CANCEL_MARGIN_SECONDS
        if not self.dispatcher.end_early(prediction_id, unstarted=Status.CANCELED, now=now):
            # A claim may be under way: whoever of the two comes first ends it.
            self.dispatcher.end_when_claimed(prediction_id, result)
            try:
                await self.dispatcher.until_given_back(prediction_id, timeout_seconds=wait_seconds)
                if await self._ender.end(prediction, result):
                    return await self._reload(prediction)
                if not self.dispatcher.end_early(prediction_id, unstarted=Status.CANCELED, now=now):
                    await self._parts.store.request_cancel(prediction_id, at=now)
                await self._parts.hub.wait_finished(prediction_id, timeout_seconds=wait_seconds)
            finally:
                self.dispatcher.withdraw_ending(prediction_id)
        else:
            await self._parts.hub.wait_finished(prediction_id, timeout_seconds=wait_seconds)
        return await self._reload(prediction)

    async def standing(self, prediction: Prediction) -> Standing:
        """Where an active prediction stands now. One query for a queued one, none for the others."""
        now = self._parts.clock.now()
        run = self.dispatcher.run_of(prediction.id)
        if run is not None:
            return stand_of_run(run, now)
        if prediction.claim is not None:
            return Standing()
        queued_before = await self._parts.store.queued_before(prediction)
        return stand_in_queue(self._lanes.find(prediction.version_id), queued_before, now)

    async def _reload(self, prediction: Prediction) -> Prediction:
        return await self._parts.store.prediction(prediction.id) or prediction

    def _duties(self) -> list[Duty]:
        return [self._planning, self._expiring, self._renewing, self._counting]

    async def _plan(self) -> None:
        await self._rescuer.tick()
        await self._planner.tick()

    async def _expire(self) -> float | None:
        upcoming = await self._expirer.tick()
        return None if upcoming is None else (upcoming - self._parts.clock.now()).total_seconds()

    async def _renew(self) -> None:
        await self._leases.renew()

    async def _count(self) -> None:
        await self.run_counts.flush()
