"""Control groups, on a folder that looks like the kernel's and on the real one."""

from __future__ import annotations

import os
from pathlib import Path

from replicate_server.engine.cgroups import ControlGroup, ControlGroups, Limits, find_control_groups, memory_limit

LIMITS = Limits(memory_bytes=1024, processes_max=10)


def make_version_2(root: Path, *, members: str, enabled: str) -> Path:
    base = root / "server.scope"
    base.mkdir()
    (root / "cgroup.controllers").write_text("cpu memory pids")
    (base / "cgroup.procs").write_text(members)
    (base / "cgroup.subtree_control").write_text(enabled)
    return base


def test_version_2_groups_are_made_below_the_servers_own(tmp_path: Path) -> None:
    base = make_version_2(tmp_path, members="", enabled="memory pids")
    group = find_control_groups(tmp_path, "0::/server.scope\n").create("i1", LIMITS)
    assert group is not None
    folder = base / f"replicate-{os.getpid()}-i1"
    assert group.folders == (folder,)
    assert {name: (folder / name).read_text() for name in ("memory.max", "memory.swap.max", "pids.max")} == {
        "memory.max": "1024",
        "memory.swap.max": "0",
        "pids.max": "10",
    }


def test_a_version_2_server_moves_below_its_own_group_to_make_room(tmp_path: Path) -> None:
    base = make_version_2(tmp_path, members=f"{os.getpid()}\n", enabled="")
    assert find_control_groups(tmp_path, "0::/server.scope\n").bases == (base,)
    assert (base / "replicate-server" / "cgroup.procs").read_text() == str(os.getpid())
    assert (base / "cgroup.subtree_control").read_text() == "+memory +pids"


def test_a_version_2_group_with_other_peoples_processes_is_left_alone(tmp_path: Path) -> None:
    base = make_version_2(tmp_path, members=f"{os.getpid()}\n1\n", enabled="")
    assert find_control_groups(tmp_path, "0::/server.scope\n").bases == ()
    assert not (base / "replicate-server").exists()


def test_version_1_groups_are_made_in_each_hierarchy(tmp_path: Path) -> None:
    for controller in ("memory", "pids"):
        (tmp_path / controller / "mine").mkdir(parents=True)
    groups = find_control_groups(tmp_path, "4:memory:/mine\n8:cpu,pids:/mine\n0::/\n")
    group = groups.create("i1", LIMITS)
    assert group is not None
    memory, pids = group.folders
    assert (memory / "memory.limit_in_bytes").read_text() == "1024"
    assert (pids / "pids.max").read_text() == "10"


def test_where_nothing_is_writable_there_is_no_group(tmp_path: Path) -> None:
    assert find_control_groups(tmp_path / "missing", "0::/\n").create("i1", LIMITS) is None


def test_out_of_memory_kills_are_read_in_both_versions(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    assert ControlGroup((tmp_path,), LIMITS).out_of_memory_kills() == 2
    (tmp_path / "memory.events").unlink()
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    assert ControlGroup((tmp_path,), LIMITS).out_of_memory_kills() == 1


def test_the_lowest_limit_above_the_server_counts(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "memory.max").write_text("5000\n")
    (tmp_path / "a" / "b" / "memory.max").write_text("max\n")
    assert memory_limit(tmp_path, "0::/a/b\n") == 5000


def test_groups_of_a_dead_server_are_removed_and_those_of_a_living_one_stay(tmp_path: Path) -> None:
    left, living = tmp_path / "replicate-999999999-i1", tmp_path / f"replicate-{os.getpid()}-i2"
    left.mkdir()
    living.mkdir()
    assert ControlGroups((tmp_path,), is_version_2=True).sweep() == 1
    assert (left.exists(), living.exists()) == (False, True)
