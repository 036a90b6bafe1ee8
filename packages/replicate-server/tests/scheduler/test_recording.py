"""Streams, logs, metrics, files and webhooks of running predictions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cog.worker.protocol import OutputFile
from replicate_server.domain.lifecycle import Status
from replicate_server.engine.fake import ANY_VERSION, FakeModel

pytestmark = pytest.mark.anyio


def held(**fields: Any) -> dict[Any, FakeModel]:
    return {ANY_VERSION: FakeModel(is_held=True, **fields)}


async def hooks(heart: Any) -> list[tuple[str, dict[str, Any]]]:
    messages = await heart.store.due_messages(heart.clock.now(), limit=100)
    return [(message.event, json.loads(message.body)) for message in messages]


async def test_a_stream_has_every_value_and_ends_with_done(world: Any) -> None:
    async with world.heart({ANY_VERSION: FakeModel(yields=["Once", " upon"], logs=["hm\n"])}) as heart:
        prediction = await heart.run(world.version("stream"))
        assert prediction.output == ["Once", " upon"]
        assert prediction.stream_token
        events = await heart.events(prediction)
        assert [(event.kind, event.data) for event in events] == [
            ("log", "hm\n"),
            ("output", "Once"),
            ("output", " upon"),
            ("done", {}),
        ]
        assert [event.sequence for event in events] == [1, 2, 3, 4]


async def test_a_version_without_a_stream_gets_no_stream_token(world: Any) -> None:
    async with world.heart() as heart:
        assert (await heart.run()).stream_token is None


async def test_a_running_prediction_shows_logs_output_and_metrics_so_far(world: Any) -> None:
    async with world.heart(held()) as heart:
        prediction = await heart.create(world.version("stream"))
        instance = await heart.engine.until_running(prediction.id)
        instance.log(prediction.id, "loading\n")
        instance.send_output(prediction.id, 0, "Once")
        instance.record_metric(prediction.id, "timing.load", 2.5)
        await heart.appear(prediction)
        seen = await heart.look(prediction)
        assert (seen.status, seen.logs, seen.output) == (Status.PROCESSING, "loading\n", ["Once"])
        assert seen.metrics == {"timing": {"load": 2.5}}


async def test_logs_of_a_version_without_a_stream_are_seen_while_it_runs(world: Any) -> None:
    async with world.heart(held()) as heart:
        prediction = await heart.create()
        instance = await heart.engine.until_running(prediction.id)
        instance.log(prediction.id, "loading\n")
        await heart.appear(prediction)
        assert (await heart.look(prediction)).logs == "loading\n"


async def test_logs_keep_their_head_and_tail(world: Any) -> None:
    async with world.heart(held(), logs_bytes_max=1000) as heart:
        prediction = await heart.create()
        instance = await heart.engine.until_running(prediction.id)
        for number in range(1000):
            instance.log(prediction.id, f"line {number} é\n")
        instance.finish(prediction.id)
        logs = (await heart.ended(prediction)).logs
        assert len(logs.encode()) <= 1000
        assert logs.startswith("line 0 é\n")
        assert logs.endswith("line 999 é\n")
        assert "truncated" in logs


async def test_an_output_over_the_limit_fails_the_prediction(world: Any) -> None:
    async with world.heart(output_bytes_max=100) as heart:
        prediction = await heart.run(input={"text": "x" * 200})
        assert prediction.status is Status.FAILED
        assert prediction.error == "The output is larger than 100 bytes"


async def test_a_stream_over_the_limit_is_stopped(world: Any) -> None:
    async with world.heart(held(), output_bytes_max=10) as heart:
        prediction = await heart.create(world.version("stream"))
        instance = await heart.engine.until_running(prediction.id)
        instance.send_output(prediction.id, 0, "123456")
        instance.send_output(prediction.id, 1, "123456")
        ended = await heart.ended(prediction)
        assert (ended.status, ended.error) == (Status.FAILED, "The output is larger than 10 bytes")
        assert heart.engine.cancels == [prediction.id]


async def test_metrics_nest_and_keep_the_platforms_own(world: Any) -> None:
    async with world.heart(held()) as heart:
        prediction = await heart.create()
        instance = await heart.engine.until_running(prediction.id)
        instance.record_metric(prediction.id, "tokens", 1, "increment")
        instance.record_metric(prediction.id, "tokens", 2, "increment")
        instance.record_metric(prediction.id, "timing.pre", 0.5)
        instance.finish(prediction.id, predict_seconds=0.25)
        metrics = (await heart.ended(prediction)).metrics
        assert metrics["tokens"] == 3
        assert metrics["timing"] == {"pre": 0.5}
        assert metrics["predict_time"] == 0.25
        assert metrics["total_time"] > 0


async def test_output_files_become_urls_and_rows_of_the_same_transaction(world: Any) -> None:
    async with world.heart(held()) as heart:
        prediction = await heart.create()
        await heart.engine.finish(prediction.id, output=None, files=[OutputFile("", "/tmp/out.png", "out.png")])
        ended = await heart.ended(prediction)
        assert ended.output == "http://here/delivery/out.png"
        stored = await heart.store.file_by_delivery(f"token-{prediction.id}-out.png")
        assert stored.prediction_id == prediction.id
        assert heart.engine.discarded == [prediction.id]


async def test_an_output_file_that_cannot_be_stored_fails_the_prediction(world: Any) -> None:
    world.outputs.error = OSError("disk full")
    async with world.heart(held()) as heart:
        prediction = await heart.create()
        await heart.engine.finish(prediction.id, files=[OutputFile("", "/tmp/out.png", "out.png")])
        ended = await heart.ended(prediction)
        assert (ended.status, ended.error) == (Status.FAILED, "An output file could not be stored: disk full")


async def test_input_files_are_brought_before_the_code_runs(world: Any) -> None:
    async with world.heart() as heart:
        prediction = await heart.run(input={"file": "a.wav"})
        assert prediction.status is Status.SUCCEEDED
        files = heart.engine.works[prediction.id].files
        assert files == {"/file": f"{world.inputs.folders[0]}/a.wav"}


async def test_an_input_file_that_cannot_be_brought_fails_the_prediction(world: Any) -> None:
    world.inputs.error = ValueError("http://elsewhere answered 404")
    async with world.heart() as heart:
        prediction = await heart.run(input={"file": "a.wav"})
        assert (prediction.status, prediction.error) == (Status.FAILED, "http://elsewhere answered 404")
        assert heart.engine.runs == []
        assert (await heart.run()).status is Status.SUCCEEDED


async def test_webhooks_are_stored_with_the_changes_they_tell_of(world: Any) -> None:
    async with world.heart(held()) as heart:
        prediction = await heart.subscribed(world.version("stream"))
        instance = await heart.engine.until_running(prediction.id)
        instance.log(prediction.id, "hm\n")
        instance.send_output(prediction.id, 0, "Once")
        await heart.appear(prediction)
        instance.finish(prediction.id, is_iterator=True)
        await heart.ended(prediction)
        told = await hooks(heart)
        assert {event for event, _ in told} == {"start", "output", "logs", "completed"}
        completed = next(body for event, body in told if event == "completed")
        assert completed == {"status": "succeeded", "output": ["Once"], "logs": "hm\n"}


async def test_a_short_prediction_still_tells_of_its_start(world: Any) -> None:
    async with world.heart() as heart:
        prediction = await heart.subscribed()
        await heart.ended(prediction)
        assert sorted(event for event, _ in await hooks(heart)) == ["completed", "start"]


async def test_canceling_while_queued_tells_only_of_the_completion(world: Any) -> None:
    async with world.heart(held(is_setup_held=True)) as heart:
        prediction = await heart.subscribed()
        await heart.scheduler.cancel(prediction)
        assert await hooks(heart) == [("completed", {"status": "canceled", "output": None, "logs": ""})]
