"""Environments: one for each lock, built once, whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from replicate_server.engine.environments import Environment, Environments, find_entries
from replicate_server.engine.interpreters import Interpreters
from replicate_server.engine.uv import Uv, UvFailed, cache_dir, find_uv
from replicate_server.ports.engine import PackageBroken

pytestmark = pytest.mark.anyio

LOCK = "numpy==2.0 --hash=sha256:" + "0" * 64 + "\n"


@dataclass(frozen=True)
class ScriptedUv(Uv):
    """Does what uv does to folders, or fails."""

    fails_on: tuple[str, ...] = ()
    commands: list[tuple[str, ...]] = field(default_factory=list)

    async def run(
        self, arguments: Any, *, log: Any, timeout_seconds: float, cwd: Any = None, stdin: Any = None, confine: Any = None
    ) -> str:
        """Take a turn of the loop, as a process would."""
        await asyncio.sleep(0)
        self.commands.append(tuple(arguments))
        log(f"uv {arguments[0]}\n")
        if arguments[0] == "venv":
            os.makedirs(arguments[-1])
        if any(word in arguments for word in self.fails_on):
            raise UvFailed("uv failed", "no such package: numpy")
        return "resolved"


@pytest.fixture
def uv(tmp_path: Path) -> ScriptedUv:
    return ScriptedUv("uv", {}, tmp_path / "cache")


@pytest.fixture
def environments(uv: ScriptedUv, tmp_path: Path) -> Environments:
    return open_environments(uv, tmp_path)


def open_environments(uv: Uv, folder: Path) -> Environments:
    return Environments(
        folder=folder / "environments",
        uv=uv,
        interpreters=Interpreters({}),
        timeout_seconds=60,
        builds_from_source=False,
        source_builds=None,
    )


def ignore(text: str) -> None:
    """Drop text."""


async def test_a_real_environment_with_nothing_in_it_runs(tmp_path: Path) -> None:
    real = Uv(find_uv(os.environ), os.environ, cache_dir(os.environ, data_dir=tmp_path))
    environment = await open_environments(real, tmp_path).ensure(python_version="3.11", lock="", log=ignore)
    process = await asyncio.create_subprocess_exec(
        environment.python, "-c", "import sys; print(sys.prefix)", stdout=asyncio.subprocess.PIPE
    )
    answer, _ = await process.communicate()
    assert answer.decode().strip() == str(environment.path)


async def test_a_wheels_startup_code_does_not_run_while_the_environment_is_built(tmp_path: Path) -> None:
    digest = write_wheel(tmp_path / "index", f"import os; open({str(tmp_path / 'ran')!r}, 'w')")
    environ = {**os.environ, "UV_FIND_LINKS": str(tmp_path / "index"), "UV_NO_INDEX": "1"}
    real = Uv(find_uv(environ), environ, tmp_path / "cache")
    lock = f"early==1.0 --hash=sha256:{digest}\n"
    environment = await open_environments(real, tmp_path).ensure(python_version="3.11", lock=lock, log=ignore)
    assert find_files(environment.path, "early.pth")
    assert find_files(environment.path, "early_module.cpython-311.pyc")
    assert not find_files(tmp_path, "ran")


def write_wheel(folder: Path, startup_code: str) -> str:
    """A wheel with a module and a ``.pth`` file; returns its digest."""
    folder.mkdir()
    path = folder / "early-1.0-py3-none-any.whl"
    info = "early-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("early.pth", startup_code + "\n")
        wheel.writestr("early_module.py", "x = 1\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: early\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def find_files(folder: Path, name: str) -> list[str]:
    """Where files of a name lie below a folder."""
    return [path for path, _, names in os.walk(folder) if name in names]


async def test_calls_for_one_lock_share_one_build_and_all_read_its_text(environments: Environments, uv: ScriptedUv) -> None:
    await environments.find_interpreter("3.11")
    texts: list[list[str]] = [[], []]
    built = await asyncio.gather(*(environments.ensure(python_version="3.11", lock=LOCK, log=text.append) for text in texts))
    assert built[0] == built[1]
    assert [command[0] for command in uv.commands] == ["venv", "pip"]
    assert "uv venv\n" in texts[0]
    assert texts[0] == texts[1]


async def test_different_locks_get_different_environments(environments: Environments) -> None:
    one = await environments.ensure(python_version="3.11", lock=LOCK, log=ignore)
    two = await environments.ensure(python_version="3.11", lock="", log=ignore)
    assert one.path != two.path


async def test_a_whole_environment_is_found_again_by_the_next_server(uv: ScriptedUv, tmp_path: Path) -> None:
    for _ in range(2):
        await open_environments(uv, tmp_path).ensure(python_version="3.11", lock=LOCK, log=ignore)
    assert [command[0] for command in uv.commands] == ["venv", "pip"]


async def test_using_an_environment_renews_the_time_by_which_old_ones_are_removed(environments: Environments) -> None:
    environment = await environments.ensure(python_version="3.11", lock="", log=ignore)
    [entry] = find_entries(environments.folder)
    marker = entry.proof
    os.utime(marker, (1, 1))
    await environments.ensure(python_version="3.11", lock="", log=ignore)
    assert marker.stat().st_mtime > 1
    assert marker.parent == environment.path


async def test_what_a_crash_left_is_built_again(environments: Environments, uv: ScriptedUv, tmp_path: Path) -> None:
    failing = ScriptedUv("uv", {}, tmp_path / "cache", fails_on=("sync",))
    with pytest.raises(PackageBroken):
        await open_environments(failing, tmp_path).ensure(python_version="3.11", lock=LOCK, log=ignore)
    left = next((tmp_path / "environments").glob("*/requirements.lock")).parent / "half-built"
    left.touch()
    environment: Environment = await environments.ensure(python_version="3.11", lock=LOCK, log=ignore)
    assert environment.path == left.parent
    assert not left.exists()


async def test_packages_come_from_the_cache_when_it_has_them_and_from_the_index_otherwise(tmp_path: Path) -> None:
    uv = ScriptedUv("uv", {}, tmp_path / "cache", fails_on=("--offline",))
    await open_environments(uv, tmp_path).ensure(python_version="3.11", lock=LOCK, log=ignore)
    assert [command[0] for command in uv.commands] == ["venv", "pip", "venv", "pip"]
    assert ["--offline" in command for command in uv.commands if command[0] == "pip"] == [True, False]


async def test_requirements_that_cannot_be_resolved_are_told_in_the_resolvers_words(tmp_path: Path) -> None:
    uv = ScriptedUv("uv", {}, tmp_path / "cache", fails_on=("compile",))
    with pytest.raises(PackageBroken) as caught:
        await open_environments(uv, tmp_path).lock("numpy", python_version="3.11", log=ignore)
    assert caught.value.log.startswith("no such package: numpy\n")


async def test_where_build_code_cannot_be_isolated_the_error_names_the_setting_that_allows_it(tmp_path: Path) -> None:
    uv = ScriptedUv("uv", {}, tmp_path / "cache", fails_on=("--no-build",))
    with pytest.raises(PackageBroken) as caught:
        await open_environments(uv, tmp_path).ensure(python_version="3.11", lock=LOCK, log=ignore)
    assert "REPLICATE_SERVER_BUILDS_FROM_SOURCE=true" in caught.value.log


async def test_with_the_setting_build_code_runs_when_wheels_do_not_suffice(tmp_path: Path) -> None:
    uv = ScriptedUv("uv", {}, tmp_path / "cache", fails_on=("--no-build",))
    environments = replace(open_environments(uv, tmp_path), builds_from_source=True)
    await environments.ensure(python_version="3.11", lock=LOCK, log=ignore)
    assert "--no-build" not in uv.commands[-1]


@pytest.mark.parametrize(("text", "locked"), [(LOCK, LOCK), ("", ""), ("cog>=0.9\n", ""), ("numpy\ncog\n", "resolved")])
async def test_only_what_is_open_is_resolved(environments: Environments, text: str, locked: str) -> None:
    assert await environments.lock(text, python_version="3.11", log=ignore) == locked


async def test_leaving_out_a_provided_package_is_told(environments: Environments) -> None:
    told: list[str] = []
    await environments.lock("cog==0.9\n", python_version="3.11", log=told.append)
    assert told == ["cog==0.9: left out, the platform provides it\n"]


async def test_a_caller_that_gives_up_does_not_end_the_build_for_others(environments: Environments) -> None:
    await environments.find_interpreter("3.11")
    impatient = asyncio.create_task(environments.ensure(python_version="3.11", lock=LOCK, log=ignore))
    patient = asyncio.create_task(environments.ensure(python_version="3.11", lock=LOCK, log=ignore))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).path.name
