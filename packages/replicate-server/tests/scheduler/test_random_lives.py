"""Random lives of a whole server: whatever is created, canceled, crashed and restarted, every prediction gets one outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from replicate_server.domain.lifecycle import is_terminal
from replicate_server.engine.fake import ANY_VERSION, FakeModel


class Lives(RuleBasedStateMachine):
    """Drives a server by rules; remembers every accepted prediction and every outcome it ever saw."""

    build_world: Callable[[], Any]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.world = self.build_world()
        self.model = FakeModel(is_held=True)
        self.accepted: list[Any] = []
        self.outcomes: dict[str, Any] = {}
        self.open()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def open(self) -> None:
        self.context = self.world.heart({ANY_VERSION: self.model}, dies=True, prediction_attempts_max=3)
        self.heart = self.do(self.context.__aenter__())

    def close(self) -> None:
        self.do(self.context.__aexit__(None, None, None))

    def running(self) -> list[tuple[Any, Any]]:
        return [(one, each) for one in self.heart.engine.instances.values() for each in one.running]

    def pick_running(self, which: int) -> list[tuple[Any, Any]]:
        # What runs depends on the timing of real commits, so it must not steer what Hypothesis draws.
        running = self.running()
        return [running[which % len(running)]] if running else []

    @rule(version=st.sampled_from(["a", "b", "stream"]), wait=st.sampled_from([None, 0.001]))
    def create(self, version: str, wait: float | None) -> None:
        self.accepted.append(self.do(self.heart.create(self.world.version(version), wait_seconds=wait)))

    @rule(which=st.integers(0, 100), status=st.sampled_from(["succeeded", "failed"]))
    def finish(self, which: int, status: str) -> None:
        for instance, prediction_id in self.pick_running(which):
            self.do(self._finish(instance, prediction_id, status))

    async def _finish(self, instance: Any, prediction_id: Any, status: str) -> None:
        instance.finish(prediction_id, status=status, output="o", error="e" if status == "failed" else None)

    @rule(which=st.integers(0, 100))
    def speak(self, which: int) -> None:
        for instance, prediction_id in self.pick_running(which):
            self.do(self._speak(instance, prediction_id))

    async def _speak(self, instance: Any, prediction_id: Any) -> None:
        instance.log(prediction_id, "hm\n")
        instance.send_output(prediction_id, 0, "value")

    @rule(which=st.integers(0, 8))
    def cancel(self, which: int) -> None:
        for prediction in self.accepted[which : which + 1]:
            current = self.do(self.heart.look(prediction))
            if not is_terminal(current.status):
                assert is_terminal(self.do(self.heart.scheduler.cancel(current)).status)

    @rule(which=st.integers(0, 100))
    def crash_instance(self, which: int) -> None:
        for instance, _ in self.pick_running(which):
            self.do(self._crash(instance))

    async def _crash(self, instance: Any) -> None:
        instance.exit("exit code 1")

    @rule()
    def restart_server(self) -> None:
        self.close()
        self.open()

    @rule(seconds=st.sampled_from([0, 1, 20, 400]))
    def tick(self, seconds: float) -> None:
        self.world.clock.advance(seconds)
        self.do(self.heart.tick())

    @invariant()
    def outcomes_never_change(self) -> None:
        for prediction in self.accepted:
            current = self.do(self.heart.store.prediction(prediction.id))
            assert current is not None, "an accepted prediction was lost"
            if is_terminal(current.status):
                assert self.outcomes.setdefault(prediction.id, current) == current

    def teardown(self) -> None:
        self.model.is_held = False
        try:
            self.do(self._come_to_rest())
            self.outcomes_never_change()
            assert len(self.outcomes) == len(self.accepted)
            assert self.heart.scheduler.dispatcher.runs() == []
        finally:
            self.close()
            self.runner.close()

    async def _come_to_rest(self) -> None:
        for instance, prediction_id in self.running():
            instance.finish(prediction_id)
        await self.heart.tick()
        for prediction in self.accepted:
            await self.heart.ended(prediction)
        # An outcome can be seen as soon as it is on disk, which is before its writer hears of it and lets go of the prediction.
        for run in self.heart.scheduler.dispatcher.runs():
            await run.recorder.flush()


def test_every_accepted_prediction_gets_exactly_one_outcome(build_world: Callable[[], Any]) -> None:
    machine = type("LivesHere", (Lives,), {"build_world": staticmethod(build_world)})
    checks = settings(
        max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
    )
    run_state_machine_as_test(machine, settings=checks)
