"""What becomes of predictions whose instance, or whose server, ends under them."""

from __future__ import annotations

from typing import Any

import pytest
from replicate_server.domain.lifecycle import Status
from replicate_server.engine.fake import ANY_VERSION, FakeModel
from replicate_server.ports.store import ClaimRef

pytestmark = pytest.mark.anyio


def held(**fields: Any) -> dict[Any, FakeModel]:
    return {ANY_VERSION: FakeModel(is_held=True, **fields)}


async def test_a_prediction_survives_the_loss_of_its_instance(world: Any) -> None:
    async with world.heart(held()) as heart:
        prediction = await heart.create()
        (await heart.engine.until_running(prediction.id)).exit("exit code 139")
        await heart.engine.finish(prediction.id, output="second try")
        ended = await heart.ended(prediction)
        assert (ended.status, ended.output, ended.attempt) == (Status.SUCCEEDED, "second try", 2)


async def test_a_prediction_that_keeps_losing_its_instance_fails_with_the_cause(world: Any) -> None:
    async with world.heart(held(), prediction_attempts_max=3) as heart:
        prediction = await heart.create()
        for _ in range(3):
            (await heart.engine.until_running(prediction.id)).exit("killed by SIGSEGV")
        ended = await heart.ended(prediction)
        assert ended.status is Status.FAILED
        assert ended.error == "Prediction interrupted; please retry (code: PA): killed by SIGSEGV"
        assert heart.engine.runs == [prediction.id] * 3


async def test_running_out_of_memory_fails_at_once(world: Any) -> None:
    async with world.heart(held()) as heart:
        prediction = await heart.create()
        (await heart.engine.until_running(prediction.id)).exit("killed by SIGKILL (out of memory)")
        ended = await heart.ended(prediction)
        assert ended.status is Status.FAILED
        assert "out of memory" in ended.error
        assert heart.engine.runs == [prediction.id]


async def test_published_output_is_never_taken_back(world: Any) -> None:
    async with world.heart(held()) as heart:
        prediction = await heart.create(world.version("stream"))
        instance = await heart.engine.until_running(prediction.id)
        instance.send_output(prediction.id, 0, "Once")
        await heart.appear(prediction)
        instance.exit("exit code 1")
        ended = await heart.ended(prediction)
        assert (ended.status, ended.output) == (Status.FAILED, ["Once"])
        assert heart.engine.runs == [prediction.id]


async def test_unstarted_claims_of_a_lost_instance_cost_no_attempt(world: Any) -> None:
    models = {ANY_VERSION: FakeModel()}
    async with world.heart(models) as heart:
        await heart.warm_then_hold(models)
        running = await heart.create()
        waiting = await heart.create()
        (await heart.engine.until_running(running.id)).exit("exit code 1")
        await heart.engine.finish(running.id)
        await heart.engine.finish(waiting.id)
        assert (await heart.ended(running)).attempt == 2
        assert (await heart.ended(waiting)).attempt == 1


async def test_a_second_attempt_continues_the_event_log(world: Any) -> None:
    async with world.heart(held()) as heart:
        prediction = await heart.create(world.version("stream"))
        instance = await heart.engine.until_running(prediction.id)
        instance.log(prediction.id, "first\n")
        await heart.appear(prediction)
        instance.exit("exit code 1")
        instance = await heart.engine.until_running(prediction.id)
        instance.log(prediction.id, "second\n")
        instance.finish(prediction.id, is_iterator=True)
        ended = await heart.ended(prediction)
        assert ended.logs == "first\nsecond\n"
        assert [event.sequence for event in await heart.events(prediction)] == [1, 2, 3]


async def test_a_lost_claim_silences_the_loser(world: Any) -> None:
    async with world.heart(held()) as heart:
        prediction = await heart.create()
        await heart.engine.until_running(prediction.id)
        claimed = await heart.look(prediction)
        await heart.store.requeue_prediction(ClaimRef(prediction.id, claimed.claim.token))
        await heart.engine.finish(prediction.id, output="from the loser")
        await heart.scheduler.dispatcher.settle(prediction.id)
        assert (await heart.look(prediction)).status is Status.STARTING
        await heart.tick()
        await heart.engine.finish(prediction.id, output="from the winner")
        assert (await heart.ended(prediction)).output == "from the winner"


async def test_after_a_crash_queued_predictions_run(world: Any) -> None:
    async with world.heart(held(is_setup_held=True), dies=True) as heart:
        created = [await heart.create(input={"n": n}) for n in range(3)]
    async with world.heart() as heart:
        for prediction in created:
            assert (await heart.ended(prediction)).status is Status.SUCCEEDED
        assert heart.engine.runs == [prediction.id for prediction in created]


async def test_after_a_crash_running_predictions_run_again(world: Any) -> None:
    async with world.heart(held(), dies=True) as heart:
        prediction = await heart.create()
        await heart.engine.until_running(prediction.id)
        await heart.appear(prediction)
    async with world.heart() as heart:
        ended = await heart.ended(prediction)
        assert (ended.status, ended.attempt) == (Status.SUCCEEDED, 2)


async def test_after_crashes_beyond_its_budget_a_running_prediction_fails(world: Any) -> None:
    async with world.heart(held(), dies=True) as heart:
        prediction = await heart.create()
        await heart.engine.until_running(prediction.id)
        await heart.appear(prediction)
    for _ in range(2):
        async with world.heart(held(), dies=True) as heart:
            await heart.engine.until_running(prediction.id)
            await heart.appear(prediction)
    async with world.heart(held()) as heart:
        ended = await heart.look(prediction)
        assert ended.status is Status.FAILED
        assert ended.error.startswith("Prediction interrupted; please retry (code: PA)")


async def test_a_cancel_that_a_crash_interrupted_is_kept(world: Any) -> None:
    async with world.heart(held(obeys_cancel=False), dies=True) as heart:
        prediction = await heart.create()
        await heart.engine.until_running(prediction.id)
        heart.scheduler.dispatcher.end_early(prediction.id, unstarted=Status.CANCELED, now=world.clock.now())
        await heart.appear(prediction)
    async with world.heart() as heart:
        assert (await heart.look(prediction)).status is Status.CANCELED
        assert heart.engine.runs == []


async def test_a_stream_interrupted_by_a_crash_ends_with_an_error_event(world: Any) -> None:
    async with world.heart(held(), dies=True) as heart:
        prediction = await heart.create(world.version("stream"))
        instance = await heart.engine.until_running(prediction.id)
        instance.send_output(prediction.id, 0, "Once")
        await heart.appear(prediction)
    async with world.heart() as heart:
        events = await heart.events(prediction)
        assert [event.kind for event in events] == ["output", "done"]
        assert events[-1].data["reason"] == "error"


async def test_a_stop_lets_running_predictions_end_within_the_grace(world: Any) -> None:
    async with world.heart(held(), shutdown_grace_seconds=30) as heart:
        prediction = await heart.create()
        instance = await heart.engine.until_running(prediction.id)
        heart.scheduler.dispatcher.close_admission()
        instance.finish(prediction.id, output="in time")
        await heart.scheduler.stop()
        assert (await heart.store.prediction(prediction.id)).output == "in time"


async def test_what_a_stop_interrupts_runs_after_the_next_start(world: Any) -> None:
    async with world.heart(held()) as heart:
        running = await heart.create()
        await heart.engine.until_running(running.id)
        queued = await heart.create()
    async with world.heart() as heart:
        assert (await heart.ended(running)).status is Status.SUCCEEDED
        assert (await heart.ended(queued)).status is Status.SUCCEEDED
