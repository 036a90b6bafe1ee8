"""Creating, running and ending predictions on a real store and a scripted engine."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from replicate_server.domain.errors import NotFound, QueueFull, Unavailable
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Account
from replicate_server.engine.fake import ANY_VERSION, FakeModel
from replicate_server.ports.store import PredictionFilter

pytestmark = pytest.mark.anyio


def held(**fields: Any) -> dict[Any, FakeModel]:
    return {ANY_VERSION: FakeModel(is_held=True, **fields)}


async def test_a_first_prediction_starts_an_instance_and_succeeds(world: Any) -> None:
    async with world.heart() as heart:
        prediction = await heart.run(input={"text": "hi"})
        assert prediction.status is Status.SUCCEEDED
        assert prediction.output == {"text": "hi"}
        assert prediction.metrics["predict_time"] == 0.001
        assert prediction.created_at <= prediction.started_at <= prediction.completed_at
        assert await heart.look(prediction) == prediction


async def test_a_create_without_waiting_answers_as_soon_as_it_is_stored(world: Any) -> None:
    async with world.heart(held()) as heart:
        prediction = await heart.create()
        assert prediction.status is Status.STARTING
        assert (await heart.look(prediction)).status is Status.STARTING


async def test_a_prediction_is_born_claimed_when_a_slot_is_free(world: Any) -> None:
    async with world.heart(held()) as heart:
        first = await heart.create()
        await heart.engine.finish(first.id)
        await heart.ended(first)
        await heart.tick()
        second = await heart.create()
        assert second.claim is not None
        assert second.claim.token == 1
        assert heart.engine.instance_of(second.id) is not None


async def test_queued_predictions_run_first_in_first_out(world: Any) -> None:
    async with world.heart(held()) as heart:
        created = [await heart.create() for _ in range(6)]
        for prediction in created:
            await heart.engine.finish(prediction.id)
        for prediction in created:
            assert (await heart.ended(prediction)).status is Status.SUCCEEDED
        assert heart.engine.runs == [prediction.id for prediction in created]


async def test_nothing_overtakes_an_older_queued_prediction(world: Any) -> None:
    async with world.heart(held()) as heart:
        running = await heart.create()
        await heart.engine.until_running(running.id)
        older = await heart.create()
        younger = await heart.create()
        assert older.claim is None
        assert younger.claim is None
        await heart.engine.finish(running.id)
        await heart.engine.until_running(older.id)
        assert younger.id not in heart.engine.runs


async def test_fast_versions_are_claimed_ahead_and_still_run_in_order(world: Any) -> None:
    async with world.heart() as heart:
        await heart.run()
        results = await asyncio.gather(*(heart.run(input={"n": n}) for n in range(100)))
        assert [result.output["n"] for result in results] == list(range(100))
        order = [heart.engine.works[prediction_id].input.get("n") for prediction_id in heart.engine.runs[1:]]
        assert order == list(range(100))


async def test_a_waited_for_fast_prediction_is_stored_once_with_its_outcome(world: Any) -> None:
    async with world.heart() as heart:
        await heart.run()
        await heart.tick()
        await heart.run()
        prediction = await heart.run()
        assert await heart.look(prediction) == prediction
        page = await heart.service.list(PredictionFilter(prediction.account_id), None)
        assert len(page.results) == 3


async def test_a_held_back_prediction_appears_when_it_takes_longer(world: Any) -> None:
    models = {ANY_VERSION: FakeModel()}
    async with world.heart(models) as heart:
        await heart.warm_then_hold(models)
        prediction = await heart.create(wait_seconds=0.1)
        assert prediction.status is Status.STARTING
        assert prediction.output is None
        assert (await heart.look(prediction)).status is Status.PROCESSING


async def test_a_wait_that_runs_out_presents_the_prediction_as_starting(world: Any) -> None:
    async with world.heart(held()) as heart:
        prediction = await heart.create(wait_seconds=0.05)
        assert prediction.status is Status.STARTING
        assert prediction.output is None
        await heart.engine.until_running(prediction.id)
        await heart.appear(prediction)
        assert (await heart.look(prediction)).status is Status.PROCESSING


async def test_a_failing_model_fails_its_prediction_and_the_traceback_is_in_the_log_once(world: Any) -> None:
    async with world.heart(held()) as heart:
        prediction = await heart.create()
        instance = await heart.engine.until_running(prediction.id)
        instance.log(prediction.id, "Traceback …\n")
        await heart.engine.finish(prediction.id, status="failed", error="no such voice", traceback="Traceback …\n")
        ended = await heart.ended(prediction)
        assert (ended.status, ended.error, ended.output) == (Status.FAILED, "no such voice", None)
        assert ended.logs == "Traceback …\n"


async def test_a_full_queue_refuses_before_anything_is_stored(world: Any) -> None:
    async with world.heart(held(), queue_length_max=2) as heart:
        running = await heart.create()
        await heart.engine.until_running(running.id)
        await heart.create()
        await heart.create()
        with pytest.raises(QueueFull) as refusal:
            await heart.create()
        assert refusal.value.headers["Retry-After"]
        page = await heart.service.list(PredictionFilter(running.account_id), None)
        assert len(page.results) == 3


async def test_a_stopping_server_refuses_new_predictions(world: Any) -> None:
    async with world.heart() as heart:
        await heart.scheduler.stop()
        with pytest.raises(Unavailable):
            await heart.create()


async def test_another_accounts_prediction_cannot_be_seen_or_canceled(world: Any) -> None:
    stranger = Account("acct_2", "eve", "Eve", "user", world.clock.now())  # type: ignore[arg-type]
    async with world.heart(held()) as heart:
        prediction = await heart.create()
        with pytest.raises(NotFound):
            await heart.service.get(stranger, prediction.id)
        with pytest.raises(NotFound):
            await heart.service.cancel(stranger, prediction.id)


async def test_runs_are_counted(world: Any) -> None:
    async with world.heart() as heart:
        for _ in range(3):
            await heart.run()
        await heart.scheduler.run_counts.flush()
        model = await heart.store.model("ada", "echo")
        assert model.run_count == 3


async def test_a_short_prediction_that_is_waited_for_costs_one_write(world: Any) -> None:
    async with world.heart(mark_seconds=3600) as heart:
        await heart.run()
        await heart.tick()
        await heart.run()
        writes: list[str] = []
        for name in ("create_prediction", "start_prediction", "append_events", "finish_prediction", "claim_predictions"):
            record_calls(heart.store, name, writes)
        results = await asyncio.gather(*(heart.run() for _ in range(50)))
        assert {result.status for result in results} == {Status.SUCCEEDED}
        assert writes == ["create_prediction"] * 50


async def test_a_short_prediction_that_nobody_waits_for_costs_two_writes(world: Any) -> None:
    async with world.heart(mark_seconds=3600) as heart:
        await heart.run()
        await heart.tick()
        await heart.run()
        writes: list[str] = []
        for name in ("create_prediction", "start_prediction", "append_events", "finish_prediction", "claim_predictions"):
            record_calls(heart.store, name, writes)
        await heart.ended(await heart.create())
        assert writes == ["create_prediction", "finish_prediction"]


def record_calls(store: Any, name: str, calls: list[str]) -> None:
    original = getattr(store, name)

    async def recorded(*arguments: Any, **named: Any) -> Any:
        calls.append(name)
        return await original(*arguments, **named)

    setattr(store, name, recorded)


async def test_a_version_has_one_claim_under_way_at_a_time(world: Any) -> None:
    async with world.heart() as heart:
        await heart.run()
        under_way: list[int] = [0]
        most: list[int] = [0]
        original = heart.store.claim_predictions

        async def watched(*arguments: Any, **named: Any) -> Any:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
            try:
                return await original(*arguments, **named)
            finally:
                under_way[0] -= 1

        heart.store.claim_predictions = watched
        created = await asyncio.gather(*(heart.create() for _ in range(400)))
        for prediction in created:
            await heart.ended(prediction)
        assert most == [1]
