"""The conformance suite of the engine port: what every engine does, run on each sandbox of the local one and on the fake."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cog.worker.protocol import Output
from replicate_server.domain.ids import PredictionId
from replicate_server.ports.engine import Work

Bench = Any  # conftest.Bench: test folders are no packages, so it cannot be imported.
pytestmark = pytest.mark.anyio


async def test_a_started_instance_becomes_ready_and_predicts(any_bench: Bench) -> None:
    instance = await any_bench.start_ready()
    done = await any_bench.run(instance, "echo", "hello")
    assert (done.status, done.output) == ("succeeded", "hello")


async def test_setup_text_reaches_the_observer_as_setup_logs_and_prediction_text_as_logs(any_bench: Bench) -> None:
    instance = await any_bench.start_ready()
    await any_bench.run(instance, "echo")
    assert "setting up" in "".join(any_bench.recorder.values("setup_logged"))
    assert "echoing" in "".join(message.text for message in any_bench.recorder.values("logged"))


async def test_yielded_values_arrive_in_order_before_the_end(any_bench: Bench) -> None:
    instance = await any_bench.start_ready("Streaming")
    instance.predict(Work(PredictionId("p1"), {"count": 3}))
    await any_bench.recorder.wait("done")
    outputs: list[Output] = any_bench.recorder.values("output")
    assert [(message.index, message.value) for message in outputs] == [(0, "part 0"), (1, "part 1"), (2, "part 2")]
    assert [name for name, _ in any_bench.recorder.calls if name in {"output", "done"}][-1] == "done"


async def test_canceling_running_code_ends_the_prediction_and_keeps_the_instance(any_bench: Bench) -> None:
    instance = await any_bench.start_ready()
    instance.predict(any_bench.build_work("wait_politely"))
    await any_bench.until_running(instance)
    instance.cancel(PredictionId("p1"))
    assert (await any_bench.recorder.wait("done")).status == "canceled"
    assert (await any_bench.run(instance, "echo", "alive")).output == "alive"


async def test_stopping_a_starting_instance_still_ends_with_exited(any_bench: Bench) -> None:
    instance = await any_bench.start("EndlessSetup")
    await instance.stop()
    assert len(any_bench.recorder.values("exited")) == 1


async def test_stopping_twice_is_the_same_as_once(any_bench: Bench) -> None:
    instance = await any_bench.start_ready()
    await asyncio.gather(instance.stop(), instance.stop())
    assert len(any_bench.recorder.values("exited")) == 1


async def test_describing_returns_the_openapi_document(any_bench: Bench) -> None:
    document = await any_bench.engine.describe(any_bench.build_package(), str(any_bench.source_dir), log=lambda text: None)
    assert set(document["components"]["schemas"]["Input"]["properties"]) == {"action", "text", "file"}


async def test_a_setup_that_raises_fails_with_its_error_and_log(any_bench: Bench) -> None:
    await any_bench.start("FailingSetup")
    assert await any_bench.recorder.wait("setup_failed") == "RuntimeError: no weights here"
    await any_bench.recorder.wait("exited")
    assert "about to fail" in "".join(any_bench.recorder.values("setup_logged"))
    assert not any_bench.recorder.values("ready")


async def test_discarding_the_files_of_a_prediction_without_any_is_fine(any_bench: Bench) -> None:
    instance = await any_bench.start_ready()
    await any_bench.run(instance, "echo")
    instance.discard_files(PredictionId("p1"))
    assert (await any_bench.run(instance, "echo", "still here")).output == "still here"


async def test_an_instance_that_is_lost_tells_its_end_last_and_no_outcome(any_bench: Bench) -> None:
    instance = await any_bench.start_ready()
    instance.predict(any_bench.build_work("wait_politely"))
    await any_bench.until_running(instance)
    await instance.stop()
    assert any_bench.recorder.calls[-1][0] == "exited"
    assert [message.status for message in any_bench.recorder.values("done")] in ([], ["canceled"])


async def test_closing_the_engine_ends_every_instance(any_bench: Bench) -> None:
    await any_bench.start_ready()
    await any_bench.start()
    await any_bench.engine.close()
    assert len(any_bench.recorder.values("exited")) == 2


async def test_the_capacity_is_what_the_machine_or_the_operator_says(any_bench: Bench) -> None:
    capacity = any_bench.engine.capacity()
    assert capacity.cpu_slots > 0
    assert capacity.memory_bytes > 0
