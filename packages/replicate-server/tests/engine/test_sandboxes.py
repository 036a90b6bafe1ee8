"""What model code must not be able to do, on each sandbox; and what ends with it."""

from __future__ import annotations

from typing import Any

import pytest
from replicate_server.engine.processes import marked_processes

Bench = Any  # conftest.Bench: test folders are no packages, so it cannot be imported.
pytestmark = pytest.mark.anyio


async def test_model_code_cannot_read_the_hosts_secrets(bench: Bench) -> None:
    instance = await bench.start_ready()
    assert (await bench.run(instance, "read_file", "/etc/shadow")).status == "failed"


async def test_model_code_cannot_read_the_servers_data(bench: Bench) -> None:
    secret = bench.data_dir / "token"
    secret.write_text("r8_secret")
    instance = await bench.start_ready()
    assert (await bench.run(instance, "read_file", str(secret))).status == "failed"


@pytest.mark.parametrize(
    "place", ["/usr/escaped", "/escaped", "{data}/escaped", "{source}/escaped", "{data}/environments/escaped"]
)
async def test_model_code_cannot_write_outside_its_folders(bench: Bench, place: str) -> None:
    path = place.format(data=bench.data_dir, source=bench.source_dir)
    instance = await bench.start_ready()
    assert (await bench.run(instance, "write_file", path)).status == "failed"


async def test_what_a_model_writes_beside_its_code_stays_in_its_instance(bench: Bench) -> None:
    instance = await bench.start_ready()
    before = (bench.source_dir / "predict.py").read_bytes()
    assert (await bench.run(instance, "write_beside_code")).output == "downloaded"
    other = await bench.start()
    await bench.recorder.wait("ready", 2)
    assert "checkpoints" not in (await bench.run(other, "list_folder")).output
    assert (bench.source_dir / "predict.py").read_bytes() == before


async def test_model_code_cannot_read_another_instances_folder(bench: Bench) -> None:
    first = await bench.start_ready()
    folder = next(bench.data_dir.glob(f"scratch/*-{first.id}"))
    (folder / "work" / "private").write_text("private")
    second = await bench.start()
    await bench.recorder.wait("ready", 2)
    assert (await bench.run(second, "read_file", str(folder / "work" / "private"))).status == "failed"


@pytest.mark.needs_bubblewrap
async def test_model_code_in_bubblewrap_sees_only_its_own_processes(bubblewrap_bench: Bench) -> None:
    instance = await bubblewrap_bench.start_ready()
    assert (await bubblewrap_bench.run(instance, "list_processes")).output <= 3


async def test_model_code_does_not_run_as_root(bench: Bench) -> None:
    instance = await bench.start_ready()
    facts = (await bench.run(instance, "describe_self")).output
    assert facts["effective_capabilities"] == 0


async def test_stopping_ends_children_that_left_the_session(bench: Bench) -> None:
    instance = await bench.start_ready()
    assert (await bench.run(instance, "spawn_escaping_child")).output == "spawned"
    assert marked_processes("REPLICATE_INSTANCE_ID", instance.id)
    await instance.stop()
    assert not marked_processes("REPLICATE_INSTANCE_ID", instance.id)


async def test_a_crash_ends_children_that_left_the_session(bench: Bench) -> None:
    instance = await bench.start_ready()
    await bench.run(instance, "spawn_escaping_child")
    instance.predict(bench.build_work("leave", "1", prediction_id="p2"))
    await bench.recorder.wait("exited")
    assert not marked_processes("REPLICATE_INSTANCE_ID", instance.id)


async def test_children_are_found_by_their_mark_where_no_control_group_holds_them(ungrouped_bench: Bench) -> None:
    instance = await ungrouped_bench.start_ready()
    await ungrouped_bench.run(instance, "spawn_escaping_child")
    await instance.stop()
    assert not marked_processes("REPLICATE_INSTANCE_ID", instance.id)


async def test_memory_is_limited_where_no_control_group_does_it(ungrouped_bench: Bench) -> None:
    instance = await ungrouped_bench.start_ready(memory_bytes=256 * 1024**2)
    done = await ungrouped_bench.run(instance, "eat_memory", "400")
    assert done.status == "failed"


async def test_nothing_of_an_instance_is_left_on_disk_after_its_end(bench: Bench) -> None:
    instance = await bench.start_ready()
    await bench.run(instance, "echo")
    await instance.stop()
    assert not list(bench.data_dir.glob(f"scratch/*-{instance.id}"))
