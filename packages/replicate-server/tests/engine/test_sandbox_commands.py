"""The command lines of the sandboxes, without running them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from replicate_server.engine.interpreters import Interpreter
from replicate_server.engine.sandbox import BubblewrapSandbox, Launch, ProcessSandbox, SandboxUnusable
from replicate_server.engine.sandbox.process import is_reachable


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A folder that any user can enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def launch(open_dir: Path) -> Launch:
    """A launch whose every path any user can reach."""
    for name in ("env", "runtime", "src", "scratch"):
        (open_dir / name).mkdir()
    return Launch(
        instance_id="i1",
        interpreter=Interpreter("/usr/bin/env", "3.11.7", "/usr"),
        environment_dir=open_dir / "env",
        runtime_dir=open_dir / "runtime",
        source_dir=open_dir / "src",
        folder=open_dir / "scratch" / "1-i1",
        socket_fd=7,
        variables={"LD_PRELOAD": "/src/evil.so", "PATH": "/evil", "not a name": "x"},
        device_nodes=("/dev/nvidia0",),
        visible_devices="GPU-aaa",
        allows_network=False,
        memory_bytes=None,
        processes_max=None,
    )


def test_bubblewrap_as_root_becomes_nobody_before_the_authors_variables_count(launch: Launch) -> None:
    command = BubblewrapSandbox("/usr/bin/bwrap", "/usr/bin/setpriv", {}).build_command(launch)
    assert command.owner == 65534
    assert command.argv.index("/usr/bin/setpriv") < command.argv.index("LD_PRELOAD=/src/evil.so")
    assert "LD_PRELOAD" not in command.variables
    assert not [word for word in command.argv if word.startswith(("PATH=", "not a name"))]


def test_bubblewrap_shares_the_network_only_when_it_is_allowed(launch: Launch) -> None:
    sandbox = BubblewrapSandbox("/usr/bin/bwrap", None, {})
    assert "--unshare-net" in sandbox.build_command(launch).argv
    assert "--unshare-net" not in sandbox.build_command(replace(launch, allows_network=True)).argv


def test_a_gpu_instance_sees_its_own_device_nodes_only(launch: Launch) -> None:
    command = BubblewrapSandbox("/usr/bin/bwrap", None, {}).build_command(launch)
    assert command.argv[command.argv.index("--dev-bind") :][:3] == ["--dev-bind", "/dev/nvidia0", "/dev/nvidia0"]
    assert command.variables["CUDA_VISIBLE_DEVICES"] == "GPU-aaa"


def test_the_process_sandbox_as_root_becomes_nobody_where_nobody_can_reach_the_files(launch: Launch) -> None:
    command = ProcessSandbox(is_root=True, landlock_version=0, inherited={}).build_command(launch)
    assert (command.owner, json.loads(command.argv[-1])["user"]) == (65534, 65534)


def test_the_process_sandbox_keeps_a_powerless_root_where_only_root_can_reach_the_files(launch: Launch) -> None:
    launch.source_dir.chmod(0o700)
    command = ProcessSandbox(is_root=True, landlock_version=3, inherited={}).build_command(launch)
    assert (command.owner, json.loads(command.argv[-1])["user"]) == (None, None)


def test_root_is_not_given_to_a_model_that_nothing_confines(launch: Launch) -> None:
    launch.source_dir.chmod(0o700)
    with pytest.raises(SandboxUnusable, match=f"{launch.source_dir} is closed to other users than root"):
        ProcessSandbox(is_root=True, landlock_version=0, inherited={}).build_command(launch)


@pytest.mark.parametrize(("mode", "reachable"), [(0o755, True), (0o711, True), (0o700, False)])
def test_a_path_is_reachable_when_everybody_may_enter_the_folders_above(open_dir: Path, mode: int, reachable: bool) -> None:
    (open_dir / "file").touch(mode=0o644)
    open_dir.chmod(mode)
    assert is_reachable(str(open_dir / "file")) is reachable
