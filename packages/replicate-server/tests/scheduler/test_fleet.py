"""Starting, keeping, evicting, draining and quarantining instances."""

from __future__ import annotations

from typing import Any

import pytest
from replicate_server.domain.lifecycle import Status
from replicate_server.engine.fake import ANY_VERSION, FakeEngine, FakeModel
from replicate_server.ports.engine import Resources

pytestmark = pytest.mark.anyio

ONE_PLACE = Resources(cpu_slots=1, memory_bytes=64 * 1024**3)


async def test_an_idle_instance_stays_warm_for_its_time_and_then_stops(world: Any) -> None:
    async with world.heart(instance_idle_seconds=300) as heart:
        await heart.run()
        world.clock.advance(299)
        await heart.tick()
        assert len(heart.engine.instances) == 1
        world.clock.advance(2)
        await heart.tick()
        await heart.scheduler.fleet.until_stopped()
        assert heart.engine.instances == {}


async def test_a_stopped_version_starts_again_from_zero(world: Any) -> None:
    async with world.heart(instance_idle_seconds=0) as heart:
        await heart.run()
        await heart.tick()
        await heart.scheduler.fleet.until_stopped()
        assert (await heart.run()).status is Status.SUCCEEDED
        assert len(heart.engine.starts) == 2


async def test_the_least_recently_used_idle_instance_is_evicted(world: Any) -> None:
    engine = FakeEngine(capacity=Resources(cpu_slots=2, memory_bytes=64 * 1024**3))
    async with world.heart(engine=engine) as heart:
        await heart.run(world.version("a"))
        await heart.run(world.version("b"))
        await heart.run(world.version("a"))
        await heart.run(world.version("c"))
        kept = {instance.spec.version.id[0] for instance in engine.instances.values()}
        assert kept == {"a", "c"}


async def test_a_version_that_waits_too_long_gets_the_place_of_a_busy_one(world: Any) -> None:
    engine = FakeEngine({ANY_VERSION: FakeModel(is_held=True)}, capacity=ONE_PLACE)
    async with world.heart(engine=engine, starvation_seconds=10) as heart:
        first = await heart.create(world.version("a"))
        instance = await engine.until_running(first.id)
        behind = await heart.create(world.version("a"))
        starving = await heart.create(world.version("b"))
        world.clock.advance(11)
        await heart.tick()
        instance.finish(first.id)
        await engine.finish(starving.id)
        assert (await heart.ended(starving)).status is Status.SUCCEEDED
        assert behind.id not in engine.runs


async def test_a_version_whose_setup_keeps_failing_is_quarantined(world: Any) -> None:
    models = {ANY_VERSION: FakeModel(setup_error="no weights", setup_log="looking for weights\n")}
    async with world.heart(models, setup_failures_max=3, quarantine_seconds=300) as heart:
        prediction = await heart.run()
        assert prediction.status is Status.FAILED
        assert prediction.error == "Model setup failed: no weights"
        assert prediction.logs == "looking for weights\n"
        assert len(heart.engine.starts) == 3


async def test_a_quarantined_version_fails_new_predictions_without_a_start(world: Any) -> None:
    models = {ANY_VERSION: FakeModel(setup_error="no weights")}
    async with world.heart(models, setup_failures_max=1) as heart:
        await heart.run()
        assert (await heart.run()).status is Status.FAILED
        assert len(heart.engine.starts) == 1


async def test_after_its_quarantine_a_version_gets_one_more_try(world: Any) -> None:
    models = {ANY_VERSION: FakeModel(setup_error="no weights")}
    async with world.heart(models, setup_failures_max=1, quarantine_seconds=300) as heart:
        await heart.run()
        models[ANY_VERSION].setup_error = None
        world.clock.advance(301)
        assert (await heart.run()).status is Status.SUCCEEDED


async def test_a_model_that_needs_a_missing_gpu_fails_with_a_clear_sentence(world: Any) -> None:
    async with world.heart() as heart:
        prediction = await heart.run(world.version("gpu"))
        assert prediction.status is Status.FAILED
        assert "1 GPUs; this server has" in prediction.error


async def test_a_long_queue_gets_more_instances_up_to_the_limit(world: Any) -> None:
    models = {ANY_VERSION: FakeModel(is_held=True, predict_seconds=5)}
    async with world.heart(models, instances_per_version_max=2) as heart:
        created = [await heart.create() for _ in range(20)]
        await heart.engine.finish(created[0].id)
        await heart.ended(created[0])
        for _ in range(4):
            await heart.tick()
        assert len(heart.engine.instances) == 2


async def test_an_engine_that_cannot_start_counts_as_a_failed_setup(world: Any) -> None:
    class BrokenEngine(FakeEngine):
        async def start_instance(self, spec: Any, observer: Any) -> Any:
            raise OSError("no more processes")

    async with world.heart(engine=BrokenEngine(), setup_failures_max=1) as heart:
        prediction = await heart.run()
        assert prediction.status is Status.FAILED
        assert "no more processes" in prediction.error
