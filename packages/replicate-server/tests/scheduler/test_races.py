"""Events that meet in one moment: a cancel and a lost instance, the end of a wait and a refused row, a failing rescue."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Claim
from replicate_server.engine.fake import ANY_VERSION, FakeModel
from replicate_server.ports.store import StorageUnavailable

pytestmark = pytest.mark.anyio


async def warm(heart: Any) -> None:
    """Let the version be known as a fast one, so that rows are held back."""
    await heart.run()
    await heart.tick()
    await heart.run()


@pytest.mark.parametrize("failures", [0, 1])
async def test_a_cancel_that_meets_the_loss_of_the_instance_is_kept(world: Any, failures: int) -> None:
    async with world.heart({ANY_VERSION: FakeModel(is_held=True)}, setup_failures_max=1) as heart:
        prediction = await heart.create()
        instance = await heart.engine.until_running(prediction.id)
        await heart.appear(prediction)
        requeue, left = heart.store.requeue_prediction, [StorageUnavailable("disk full")] * failures

        async def failing(*arguments: Any, **named: Any) -> Any:
            await asyncio.sleep(0)
            for error in left[:1]:
                left.clear()
                raise error
            return await requeue(*arguments, **named)

        heart.store.requeue_prediction = failing
        instance.exit("exit code 1")
        await heart.scheduler.cancel(await heart.look(prediction))
        assert (await heart.ended(prediction)).status is Status.CANCELED


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_wait_that_ends_before_the_row_could_be_stored_is_told(world: Any, is_late: bool) -> None:
    async with world.heart() as heart:
        await warm(heart)
        heart.engine.models = {}
        settle, gate = heart.scheduler.dispatcher.settle, asyncio.Event()
        refused = asyncio.Event()

        async def refusing(*arguments: Any) -> None:
            await gate.wait()
            refused.set()
            raise StorageUnavailable("disk full")

        async def settle_later(prediction_id: Any) -> None:
            gate.set()
            await asyncio.wait_for(refused.wait(), 30) if is_late else None
            await settle(prediction_id)

        heart.store.create_prediction = refusing
        heart.scheduler.dispatcher.settle = settle_later
        with pytest.raises(StorageUnavailable):
            await heart.create(wait_seconds=0.001)


async def test_a_wait_ends_in_time_although_later_writes_are_refused(world: Any) -> None:
    model = FakeModel()
    async with world.heart({ANY_VERSION: model}) as heart:
        await warm(heart)
        model.is_held = True

        async def refusing(*arguments: Any, **named: Any) -> bool:
            raise StorageUnavailable("disk full")

        start, heart.store.start_prediction = heart.store.start_prediction, refusing
        prediction = await asyncio.wait_for(heart.create(wait_seconds=0.001), 30)
        assert await heart.store.prediction(prediction.id) is not None
        heart.store.start_prediction = start


async def test_claims_left_behind_are_rescued_also_when_the_first_rescue_fails(world: Any) -> None:
    async with world.heart({ANY_VERSION: FakeModel(is_held=True)}) as heart:
        first = await heart.create()
        await heart.engine.until_running(first.id)
        second = await heart.create()
        claim, release = heart.store.claim_predictions, heart.store.release_claims

        async def claim_unanswered(*arguments: Any, **named: Any) -> Any:
            heart.store.claim_predictions = claim
            await claim(*arguments, **named)
            raise StorageUnavailable("interrupted")

        async def refuse_once(*arguments: Any) -> None:
            heart.store.release_claims = release
            raise StorageUnavailable("disk full")

        heart.store.claim_predictions, heart.store.release_claims = claim_unanswered, refuse_once
        await heart.engine.finish(first.id)
        await heart.ended(first)
        with pytest.raises(StorageUnavailable):
            await heart.tick()
        await heart.tick()
        await heart.engine.finish(second.id, output="found again")
        assert (await heart.ended(second)).output == "found again"


async def test_a_claim_that_arrives_while_orphans_are_looked_for_is_left_alone(world: Any) -> None:
    async with world.heart({ANY_VERSION: FakeModel(is_held=True)}) as heart:
        prediction = await heart.create()
        await heart.engine.until_running(prediction.id)
        await heart.appear(prediction)
        dispatcher = heart.scheduler.dispatcher
        lane = dispatcher.runs()[0].lane
        claimed_by_others = heart.store.claimed_by_others

        async def look_while_claiming(*arguments: Any, **named: Any) -> Any:
            found = await claimed_by_others(*arguments, **named)
            lane.is_claiming = True
            dispatcher._runs.clear()
            return found

        heart.store.claimed_by_others = look_while_claiming
        dispatcher.may_have_orphans = True
        await heart.scheduler._rescuer.tick()
        assert dispatcher.may_have_orphans
        assert (await heart.store.prediction(prediction.id)).claim is not None
        lane.is_claiming = False


async def test_everything_queued_before_the_start_counts_towards_the_limit(world: Any) -> None:
    held = {ANY_VERSION: FakeModel(is_setup_held=True)}
    async with world.heart(held) as heart:
        await asyncio.gather(*(heart.create() for _ in range(1_203)))
    async with world.heart(held) as heart:
        assert heart.scheduler.dispatcher.queued_count == 1_203
        await heart.tick()
        assert heart.scheduler.dispatcher.queued_count == 1_203


async def test_an_insert_that_failed_is_not_counted_as_queued(world: Any) -> None:
    async with world.heart({ANY_VERSION: FakeModel(is_setup_held=True)}) as heart:

        async def refusing(*arguments: Any) -> None:
            raise StorageUnavailable("disk full")

        heart.store.create_prediction = refusing
        with pytest.raises(StorageUnavailable):
            await heart.create()
        assert heart.scheduler.dispatcher.queued_count == 0


async def test_a_thousand_deadlines_of_one_moment_are_all_kept_in_one_look(world: Any) -> None:
    async with world.heart({ANY_VERSION: FakeModel(is_setup_held=True)}) as heart:
        made = await asyncio.gather(*(heart.create(cancel_after_seconds=5) for _ in range(1_000)))
        world.clock.advance(6)
        await heart.scheduler._expire()
        assert {(await heart.look(prediction)).status for prediction in made} == {Status.ABORTED}


@pytest.mark.parametrize("seconds", [1_500, -3_600])
async def test_a_clock_that_jumps_ends_no_claim_that_is_alive(world: Any, seconds: float) -> None:
    async with world.heart({ANY_VERSION: FakeModel(is_held=True)}, lease_seconds=15) as heart:
        prediction = await heart.create()
        instance = await heart.engine.until_running(prediction.id)
        await heart.appear(prediction)
        world.clock.advance(seconds)
        await heart.tick()
        instance.finish(prediction.id, output="untouched")
        assert (await heart.ended(prediction)).output == "untouched"
        assert heart.engine.runs == [prediction.id]


async def test_a_claim_whose_lease_ran_out_is_rescued_and_its_old_token_is_worth_nothing(world: Any) -> None:
    async with world.heart({ANY_VERSION: FakeModel(is_held=True)}) as heart:
        prediction = await heart.create()
        await heart.engine.until_running(prediction.id)
        await heart.appear(prediction)
        [zombie] = heart.scheduler.dispatcher.runs()
        heart.scheduler.dispatcher._runs.clear()
        world.clock.advance(timedelta(hours=11).total_seconds())
        await heart.scheduler._rescuer.tick()
        stored = await heart.store.prediction(prediction.id)
        assert isinstance(zombie.recorder.prediction.claim, Claim)
        assert (stored.status, stored.claim) == (Status.STARTING, None)
        zombie.recorder.logged("still here\n")
        zombie.recorder.appear()
        await zombie.recorder.flush()
        assert zombie.recorder.ending is not None
        assert (await heart.store.prediction(prediction.id)).status is Status.STARTING
