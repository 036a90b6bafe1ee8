"""Places in the queue, estimated starts, and what is recorded about where a prediction ran."""

from __future__ import annotations

from typing import Any

import pytest
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Standing
from replicate_server.engine.fake import ANY_VERSION, FakeModel

pytestmark = pytest.mark.anyio


def held() -> dict[Any, FakeModel]:
    return {ANY_VERSION: FakeModel(is_held=True)}


async def test_waiting_predictions_tell_their_places_and_running_ones_their_instance(world: Any) -> None:
    async with world.heart(held()) as heart:
        created = [await heart.create() for _ in range(3)]
        await heart.engine.until_running(created[0].id)
        standings = [await heart.service.standing(await heart.look(prediction)) for prediction in created]
        assert [standing.queue_position for standing in standings] == [None, 1, 2]
        assert standings[0].instance_id is not None
        assert [standing.estimated_start_at for standing in standings] == [None, None, None]


async def test_the_start_is_estimated_from_measured_run_times(world: Any) -> None:
    async with world.heart(held(), fast_seconds=0.0) as heart:
        first = await heart.create()
        await heart.engine.finish(first.id)
        await heart.ended(first)
        running, *waiting = [await heart.create() for _ in range(3)]
        await heart.engine.until_running(running.id)
        lane = heart.scheduler._lanes.find(running.version_id)
        lane.run_seconds = 20.0
        found = [await heart.service.standing(await heart.look(prediction)) for prediction in waiting]
        now = heart.clock.now()
        assert [round((standing.estimated_start_at - now).total_seconds()) for standing in found] == [20, 40]


async def test_a_prediction_without_a_server_for_it_has_a_place_but_no_estimate(world: Any) -> None:
    async with world.heart({ANY_VERSION: FakeModel(is_setup_held=True)}) as heart:
        prediction = await heart.create()
        assert await heart.service.standing(prediction) == Standing(queue_position=1)


async def test_an_ended_prediction_stands_nowhere_and_remembers_its_instance_and_hardware(world: Any) -> None:
    async with world.heart() as heart:
        waited, stored = await heart.run(), await heart.ended(await heart.create())
        assert waited.status is stored.status is Status.SUCCEEDED
        assert await heart.service.standing(waited) is None
        assert (await heart.look(waited)).instance_id == waited.instance_id is not None
        assert (await heart.look(stored)).instance_id == stored.instance_id is not None


async def test_a_prediction_asks_for_its_deployments_hardware_and_else_for_its_models(world: Any) -> None:
    async with world.heart() as heart:
        deployed = await heart.run(deployment="ada/prod", hardware="gpu-a40-large")
        assert (await heart.look(deployed)).hardware == deployed.hardware == "gpu-a40-large"
        assert (await heart.run()).hardware == world.version("a").hardware
