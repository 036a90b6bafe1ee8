"""Canceling in every state, and deadlines in every state."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from replicate_server.domain.lifecycle import Status
from replicate_server.engine.fake import ANY_VERSION, FakeModel
from replicate_server.services.predictions import CreatePrediction

pytestmark = pytest.mark.anyio


def held(**fields: Any) -> dict[Any, FakeModel]:
    return {ANY_VERSION: FakeModel(is_held=True, **fields)}


async def cancel(heart: Any, prediction: Any) -> Any:
    account = (await heart.store.list_accounts())[0]
    return await heart.service.cancel(account, prediction.id)


async def test_canceling_a_queued_prediction_ends_it_at_once(world: Any) -> None:
    async with world.heart(held(is_setup_held=True)) as heart:
        prediction = await heart.create()
        canceled = await cancel(heart, prediction)
        assert canceled.status is Status.CANCELED
        assert canceled.started_at is None
        assert heart.engine.runs == []


async def test_canceling_a_running_prediction_stops_its_code(world: Any) -> None:
    async with world.heart(held()) as heart:
        prediction = await heart.create()
        await heart.engine.until_running(prediction.id)
        canceled = await cancel(heart, prediction)
        assert canceled.status is Status.CANCELED
        assert canceled.started_at is not None
        assert heart.engine.cancels == [prediction.id]


async def test_canceling_a_claimed_prediction_that_waits_for_a_slot_never_runs_it(world: Any) -> None:
    models = {ANY_VERSION: FakeModel()}
    async with world.heart(models) as heart:
        await heart.warm_then_hold(models)
        running = await heart.create()
        waiting = await heart.create()
        assert waiting.claim is not None
        canceled = await cancel(heart, waiting)
        assert canceled.status is Status.CANCELED
        assert heart.engine.runs[-1] == running.id


async def test_canceling_an_ended_prediction_changes_nothing(world: Any) -> None:
    async with world.heart() as heart:
        prediction = await heart.run()
        assert await cancel(heart, prediction) == prediction


async def test_code_that_ends_well_despite_a_cancel_has_succeeded(world: Any) -> None:
    async with world.heart(held(obeys_cancel=False)) as heart:
        prediction = await heart.create()
        instance = await heart.engine.until_running(prediction.id)
        canceling = asyncio.create_task(cancel(heart, prediction))
        await heart.engine.until_canceled(prediction.id)
        instance.finish(prediction.id, output="done anyway")
        assert (await canceling).status is Status.SUCCEEDED


async def test_an_instance_killed_for_a_cancel_ends_the_prediction_as_canceled(world: Any) -> None:
    async with world.heart(held(obeys_cancel=False)) as heart:
        prediction = await heart.create()
        instance = await heart.engine.until_running(prediction.id)
        canceling = asyncio.create_task(cancel(heart, prediction))
        await heart.engine.until_canceled(prediction.id)
        instance.exit("killed by SIGKILL")
        assert (await canceling).status is Status.CANCELED


async def test_canceling_while_input_files_are_brought_never_runs_the_code(world: Any) -> None:
    world.inputs.gate = asyncio.Event()
    async with world.heart(held()) as heart:
        prediction = await heart.create(input={"file": "a.wav"})
        await world.inputs.begun.wait()
        assert (await cancel(heart, prediction)).status is Status.CANCELED
        assert heart.engine.runs == []
        following = await heart.create()
        await heart.engine.until_running(following.id)


async def test_a_deadline_before_the_start_aborts(world: Any) -> None:
    async with world.heart(held(is_setup_held=True)) as heart:
        prediction = await heart.create(cancel_after_seconds=5)
        assert prediction.deadline_at == prediction.created_at + timedelta(seconds=5)
        world.clock.advance(6)
        await heart.tick()
        assert (await heart.look(prediction)).status is Status.ABORTED


async def test_a_deadline_of_a_claimed_prediction_that_waits_for_a_slot_aborts(world: Any) -> None:
    models = {ANY_VERSION: FakeModel()}
    async with world.heart(models) as heart:
        await heart.warm_then_hold(models)
        await heart.create()
        waiting = await heart.create(cancel_after_seconds=5)
        assert waiting.claim is not None
        world.clock.advance(6)
        await heart.tick()
        assert (await heart.ended(waiting)).status is Status.ABORTED


async def test_a_deadline_while_running_cancels(world: Any) -> None:
    async with world.heart(held()) as heart:
        prediction = await heart.create(cancel_after_seconds=5)
        await heart.engine.until_running(prediction.id)
        world.clock.advance(6)
        await heart.tick()
        assert (await heart.ended(prediction)).status is Status.CANCELED


async def test_code_that_runs_longer_than_the_operator_allows_is_canceled(world: Any) -> None:
    async with world.heart(held(), prediction_timeout_seconds=60) as heart:
        prediction = await heart.create()
        await heart.engine.until_running(prediction.id)
        world.clock.advance(61)
        await heart.tick()
        assert (await heart.ended(prediction)).status is Status.CANCELED


async def test_a_client_that_goes_away_does_not_cancel(world: Any) -> None:
    async with world.heart(held()) as heart:
        account = (await heart.store.list_accounts())[0]
        request = CreatePrediction(account, world.version(), {"text": "hi"}, wait_seconds=30)
        waiting = asyncio.create_task(heart.service.create(request))
        await heart.engine.until_runs(1)
        waiting.cancel()
        await asyncio.wait([waiting])
        prediction_id = heart.engine.runs[0]
        await heart.engine.finish(prediction_id, output="kept")
        ended = await heart.hub.wait_finished(prediction_id, timeout_seconds=30)
        assert ended.output == "kept"
