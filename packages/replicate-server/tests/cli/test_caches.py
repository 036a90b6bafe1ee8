"""Room among what can be made again: the longest unused goes, and never more than needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replicate_server.bootstrap import build_platform
from replicate_server.caches import CacheEntry, choose_removals, remove_entry
from replicate_server.engine.environments import find_entries as find_environments
from replicate_server.engine.fake import FakeEngine
from replicate_server.registry.source import find_entries as find_unpacked
from replicate_server.settings import Settings


def build_entry(number: int, size_bytes: int) -> CacheEntry:
    return CacheEntry(Path(f"{number}/proof"), Path(str(number)), float(number), size_bytes)


@given(st.lists(st.integers(0, 100), max_size=20), st.integers(0, 500))
def test_what_stays_fits_and_the_last_removal_was_needed(sizes: list[int], size_bytes_max: int) -> None:
    entries = [build_entry(number, size) for number, size in enumerate(sizes)]
    removed = choose_removals(reversed(entries), size_bytes_max=size_bytes_max)
    assert removed == entries[: len(removed)]
    assert sum(sizes[len(removed) :]) <= size_bytes_max
    assert not removed or sum(sizes[len(removed) - 1 :]) > size_bytes_max


def make_environment(data_dir: Path, name: str, used_at: float) -> Path:
    folder = data_dir / "environments" / name
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "code.py").write_bytes(b"x" * 1000)
    (folder / ".replicate-complete").write_text('{"size_bytes": 1000}')
    os.utime(folder / ".replicate-complete", (used_at, used_at))
    return folder


def make_unpacked(data_dir: Path, name: str, used_at: float) -> Path:
    folder = data_dir / "packages" / name
    folder.mkdir(parents=True)
    (folder / "predict.py").write_bytes(b"x" * 1000)
    folder.chmod(0o555)
    inventory = folder.with_name(f"{name}.inventory.json")
    inventory.touch()
    os.utime(inventory, (used_at, used_at))
    return folder


def test_both_kinds_are_found_and_removed_whole(tmp_path: Path) -> None:
    make_environment(tmp_path, "e", 1)
    make_unpacked(tmp_path, "v", 2)
    entries = [*find_environments(tmp_path / "environments"), *find_unpacked(tmp_path / "packages")]
    assert [(entry.used_at, entry.size_bytes) for entry in entries] == [(1.0, 1000), (2.0, 1000)]
    for entry in entries:
        remove_entry(entry)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_start_removes_the_longest_unused_above_the_size(tmp_path: Path) -> None:
    old, young = make_environment(tmp_path, "old", 1), make_environment(tmp_path, "young", 3)
    unpacked = make_unpacked(tmp_path, "v", 2)
    settings = Settings(data_dir=tmp_path, caches_bytes_max=2000)
    platform = build_platform(settings, build_engine=lambda config, packages: FakeEngine())
    await platform.close()
    assert [folder.exists() for folder in (old, unpacked, young)] == [False, True, True]
