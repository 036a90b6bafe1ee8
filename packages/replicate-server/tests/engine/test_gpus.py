"""GPUs: read from a listing, given to one instance at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from replicate_server.engine.gpus import GpuPool, GpusExhausted, device_nodes, find_gpus, parse_listing

LISTING = "0, GPU-aaa, NVIDIA L4, 23034\n1, GPU-bbb, NVIDIA L4, [N/A]\nnot a line\n"


def test_a_listing_is_read_line_by_line() -> None:
    first, second = parse_listing(LISTING)
    assert (first.index, first.uuid, first.name, first.memory_bytes) == (0, "GPU-aaa", "NVIDIA L4", 23034 * 1024**2)
    assert (second.uuid, second.memory_bytes) == ("GPU-bbb", None)


def test_a_gpu_belongs_to_one_instance_at_a_time() -> None:
    pool = GpuPool(parse_listing(LISTING))
    first = pool.take(1)
    assert [gpu.uuid for gpu in (*first, *pool.take(1))] == ["GPU-aaa", "GPU-bbb"]
    with pytest.raises(GpusExhausted, match="needs 1 GPU; 0 of 2 free"):
        pool.take(1)
    pool.give_back(first)
    assert pool.take(1) == first


def test_the_listing_comes_from_nvidia_smi(tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<END\n{LISTING}END\n")
    program.chmod(0o755)
    assert [gpu.uuid for gpu in find_gpus({"PATH": str(tmp_path)})] == ["GPU-aaa", "GPU-bbb"]


def test_without_nvidia_smi_device_nodes_count(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl", "null"):
        (tmp_path / name).touch()
    gpus = find_gpus({"PATH": os.devnull}, device_dir=tmp_path)
    assert [gpu.uuid for gpu in gpus] == ["0", "1"]
    assert device_nodes(gpus[:1], tmp_path) == (str(tmp_path / "nvidia0"), str(tmp_path / "nvidiactl"))


def test_an_instance_without_a_gpu_sees_no_device_node(tmp_path: Path) -> None:
    (tmp_path / "nvidiactl").touch()
    assert device_nodes([], tmp_path) == ()
