"""An instance's own copy of its version's files: small ones copied, the rest linked, nothing shared to write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from replicate_server.instances.source_copy import COPIED_FILE_BYTES_MAX, ENTRIES_MAX, copy_source


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A package with code, weights and a link."""
    folder = tmp_path / "package"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "code.py").write_text("x = 1")
    (folder / "run.sh").write_text("#!/bin/sh")
    (folder / "weights").write_bytes(b"w" * (COPIED_FILE_BYTES_MAX + 1))
    (folder / "link").symlink_to("lib/code.py")
    (folder / "lib" / "code.py").chmod(0o444)
    (folder / "run.sh").chmod(0o555)
    return folder


def copy(source: Path) -> Path:
    target = source.with_name("copy")
    copy_source(source, target, shown_at=str(source), owner=None)
    return target


def test_small_files_can_be_changed_without_changing_the_package(source: Path) -> None:
    target = copy(source)
    assert not (target / "lib" / "code.py").is_symlink()
    assert (target / "lib" / "code.py").stat().st_mode & 0o777 == 0o644
    assert (target / "run.sh").stat().st_mode & 0o777 == 0o755
    (target / "lib" / "code.py").write_text("x = 2")
    assert (source / "lib" / "code.py").read_text() == "x = 1"


def test_large_files_are_links_and_can_be_replaced(source: Path) -> None:
    target = copy(source)
    assert os.readlink(target / "weights") == f"{source}/weights"
    (target / "new").write_text("better")
    (target / "new").rename(target / "weights")
    assert (source / "weights").stat().st_size == COPIED_FILE_BYTES_MAX + 1


def test_links_of_the_package_stay_as_they_are(source: Path) -> None:
    assert os.readlink(copy(source) / "link") == "lib/code.py"


def test_beyond_the_budget_files_and_folders_are_links_and_everything_can_still_be_read(source: Path) -> None:
    (source / "assets").mkdir()
    names = [f"{number:04}" for number in range(ENTRIES_MAX)]
    for name in names:
        (source / "assets" / name).write_text(name)
        (source / "assets" / f"folder-{name}").mkdir()
    target = copy(source)
    assert [(target / "assets" / name).read_text() for name in names] == names
    entries = list((target / "assets").iterdir())
    assert len(entries) == 2 * ENTRIES_MAX
    assert len([entry for entry in entries if not entry.is_symlink()]) <= ENTRIES_MAX
