"""What the local engine does with real processes, run on each sandbox; `test_every_engine` has what every engine does."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from cog.worker.protocol import Done
from replicate_server.domain.ids import PredictionId
from replicate_server.ports.engine import PackageBroken, Work

Bench = Any  # conftest.Bench: test folders are no packages, so it cannot be imported.
pytestmark = pytest.mark.anyio


def read_text(path: str | Path) -> str:
    return Path(path).read_text()


async def test_input_files_come_in_and_output_files_come_out(bench: Bench, tmp_path: Path) -> None:
    source = tmp_path / "letter.txt"
    source.write_text("dear reader")
    instance = await bench.start_ready()
    work = Work(PredictionId("p1"), {"action": "upper_file", "file": None}, files={"/file": str(source)})
    instance.predict(work)
    done: Done = await bench.recorder.wait("done")
    assert done.error is None
    assert [(file.pointer, file.name, read_text(file.path)) for file in done.files] == [("", "letter.out", "DEAR READER")]
    assert read_text(source) == "dear reader"


async def test_discarding_files_leaves_nothing_of_a_prediction_on_disk(bench: Bench, tmp_path: Path) -> None:
    source = tmp_path / "letter.txt"
    source.write_text("dear reader")
    instance = await bench.start_ready()
    instance.predict(Work(PredictionId("gone"), {"action": "upper_file", "file": None}, files={"/file": str(source)}))
    await bench.recorder.wait("done")
    instance.discard_files(PredictionId("gone"))
    await instance.stop()
    assert not list(bench.data_dir.glob("scratch/**/gone"))


async def test_an_input_file_that_is_missing_fails_the_prediction_only(bench: Bench) -> None:
    instance = await bench.start_ready()
    instance.predict(Work(PredictionId("p1"), {"action": "echo", "file": None}, files={"/file": "/nonexistent/file"}))
    assert (await bench.recorder.wait("done")).status == "failed"
    assert (await bench.run(instance, "echo", "still here")).output == "still here"


async def test_code_that_ignores_cancel_is_killed_after_the_grace(bench: Bench) -> None:
    instance = await bench.start_ready()
    instance.predict(bench.build_work("ignore_cancel"))
    await bench.recorder.wait("logged")
    instance.cancel(PredictionId("p1"))
    reason = await bench.recorder.wait("exited")
    assert reason == "killed by SIGKILL (prediction p1 did not stop within 1 s of being canceled)"
    assert not bench.recorder.values("done")


@pytest.mark.parametrize(
    ("action", "text", "reason"),
    [
        ("leave", "3", "exited with code 3"),
        ("crash", "", "killed by SIGSEGV"),
        ("kill_self", "", "killed by SIGKILL"),
    ],
)
async def test_a_crash_is_told_with_its_signal_or_exit_code(bench: Bench, action: str, text: str, reason: str) -> None:
    instance = await bench.start_ready()
    instance.predict(bench.build_work(action, text))
    assert await bench.recorder.wait("exited") == reason
    assert bench.recorder.calls[-1][0] == "exited"


async def test_running_out_of_memory_is_told_with_the_limit(bench: Bench, needs_memory_groups: None) -> None:
    instance = await bench.start_ready(memory_bytes=128 * 1024**2)
    instance.predict(bench.build_work("eat_memory", "400"))
    assert await bench.recorder.wait("exited") == "killed by SIGKILL (out of memory, limit 128 MiB)"


async def test_a_setup_that_takes_too_long_is_ended(bench: Bench) -> None:
    await bench.start("EndlessSetup", setup_timeout_seconds=1.0)
    assert await bench.recorder.wait("setup_failed") == "setup took longer than 1 s"
    assert "setup took too long" in await bench.recorder.wait("exited")


async def test_a_process_that_ends_during_setup_fails_the_setup(bench: Bench) -> None:
    await bench.start("LeavingSetup")
    assert await bench.recorder.wait("setup_failed") == "the instance ended during setup: exited with code 7"
    assert await bench.recorder.wait("exited") == "exited with code 7"


async def test_a_missing_python_version_fails_the_setup_naming_those_there(bench: Bench) -> None:
    package = bench.build_package(python_version="3.99")
    await bench.start(package=package)
    error = await bench.recorder.wait("setup_failed")
    assert error.startswith("this machine has no Python 3.99; found: ")
    await bench.recorder.wait("exited")


async def test_stopping_an_idle_instance_lets_it_exit_by_itself(bench: Bench) -> None:
    instance = await bench.start_ready()
    await instance.stop()
    assert bench.recorder.values("exited") == ["exited with code 0"]


async def test_describing_a_runner_that_cannot_be_imported_gives_the_authors_traceback(bench: Bench) -> None:
    package = bench.build_package(runner="unimportable.py:Predictor")
    with pytest.raises(PackageBroken) as caught:
        await bench.engine.describe(package, str(bench.source_dir), log=lambda text: None)
    assert "LookupError: a module of the author's is missing" in caught.value.log
    assert "unimportable.py" in caught.value.log


async def test_the_authors_variables_are_set_and_the_servers_packages_are_not_there(bench: Bench) -> None:
    package = bench.build_package(environment={"AUTHOR_VARIABLE": "yes", "PYTHONPATH": "/evil", "CUDA_VISIBLE_DEVICES": "7"})
    instance = await bench.start(package=package)
    await bench.recorder.wait("ready")
    facts = (await bench.run(instance, "describe_self")).output
    assert (facts["author"], facts["devices"], facts["server_packages"]) == ("yes", "", [])


async def test_libraries_find_a_user_a_home_and_a_temporary_folder(bench: Bench) -> None:
    instance = await bench.start_ready()
    done = await bench.run(instance, "look_around")
    assert done.error is None
    assert len(done.output["names"]) == 2


async def test_models_get_those_of_the_servers_variables_that_the_operator_names(passing_bench: Bench) -> None:
    instance = await passing_bench.start_ready()
    assert (await passing_bench.run(instance, "look_around")).output["passed"] == "on"


async def test_without_the_network_nothing_can_be_reached(offline_bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        instance = await offline_bench.start_ready()
        done = await offline_bench.run(instance, "connect", str(listening.getsockname()[1]))
    assert done.status == "failed"
