"""What happens when the store cannot be written, or takes a write only half."""

from __future__ import annotations

from typing import Any

import pytest
from replicate_server.domain.lifecycle import Status
from replicate_server.engine.fake import ANY_VERSION, FakeModel
from replicate_server.ports.store import StorageUnavailable

pytestmark = pytest.mark.anyio


def fail_times(heart: Any, name: str, times: int, error: Exception, *, writes: bool = False) -> None:
    """Let a store method fail so often, before or after it wrote."""
    original = getattr(heart.store, name)
    left = [error] * times

    async def failing(*arguments: Any, **named: Any) -> Any:
        if not left:
            return await original(*arguments, **named)
        if writes:
            await original(*arguments, **named)
        raise left.pop()

    setattr(heart.store, name, failing)


async def warm(heart: Any) -> None:
    await heart.run()
    await heart.tick()
    await heart.run()


async def test_an_outcome_is_offered_again_until_the_store_takes_it(world: Any) -> None:
    async with world.heart({ANY_VERSION: FakeModel(is_held=True)}) as heart:
        prediction = await heart.create()
        await heart.engine.until_running(prediction.id)
        fail_times(heart, "finish_prediction", 2, StorageUnavailable("disk full"))
        await heart.engine.finish(prediction.id, output="kept")
        assert (await heart.ended(prediction)).output == "kept"


async def test_an_insert_that_fails_is_told_and_leaves_nothing_behind(world: Any) -> None:
    async with world.heart() as heart:
        await warm(heart)
        fail_times(heart, "create_prediction", 1, StorageUnavailable("disk full"))
        with pytest.raises(StorageUnavailable):
            await heart.create()
        assert (await heart.run()).status is Status.SUCCEEDED


async def test_a_held_back_insert_that_fails_is_told_to_who_waits(world: Any) -> None:
    async with world.heart() as heart:
        await warm(heart)
        fail_times(heart, "create_prediction", 1, StorageUnavailable("disk full"))
        with pytest.raises(StorageUnavailable):
            await heart.run()
        assert (await heart.run()).status is Status.SUCCEEDED


async def test_words_that_the_store_refuses_fail_the_prediction(world: Any) -> None:
    async with world.heart({ANY_VERSION: FakeModel(is_held=True)}) as heart:
        prediction = await heart.create(world.version("stream"))
        instance = await heart.engine.until_running(prediction.id)
        await heart.appear(prediction)
        instance.log(prediction.id, "not text: \ud800\n")
        instance.finish(prediction.id, is_iterator=True)
        ended = await heart.ended(prediction)
        assert (ended.status, ended.error) == (Status.FAILED, "The output or the logs could not be stored")
        assert [event.sequence for event in await heart.events(prediction)] == [1]


async def test_a_claim_that_was_written_but_not_answered_is_rescued(world: Any) -> None:
    async with world.heart({ANY_VERSION: FakeModel(is_held=True)}) as heart:
        first = await heart.create()
        await heart.engine.until_running(first.id)
        second = await heart.create()
        fail_times(heart, "claim_predictions", 1, StorageUnavailable("interrupted"), writes=True)
        await heart.engine.finish(first.id)
        await heart.ended(first)
        await heart.tick()
        await heart.tick()
        await heart.engine.finish(second.id, output="found again")
        assert (await heart.ended(second)).output == "found again"
