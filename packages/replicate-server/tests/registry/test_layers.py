"""Packing gives the same bytes for the same content."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from replicate_server.registry.ignoring import is_ignored, parse_ignore_rules
from replicate_server.registry.layers import FolderUnpackable, list_published, pack_folder
from replicate_server.registry.unpacking import UnpackLimits, unpack_layer

LIMITS = UnpackLimits(size_bytes_max=1_000_000)


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def pack(folder: Path) -> bytes:
    packed = io.BytesIO()
    pack_folder(folder, packed)
    return packed.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "model", {"cog.yaml": "run: a", "src/predict.py": "x = 1", "src/b/data.txt": "y"})


def test_the_same_content_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "elsewhere", {"src/b/data.txt": "y", "src/predict.py": "x = 1", "cog.yaml": "run: a"})
    os.utime(other / "cog.yaml", (1, 1))
    (other / "cog.yaml").chmod(0o600)
    assert pack(folder) == pack(other)


def test_other_content_gives_another_digest(folder: Path) -> None:
    before = pack_folder(folder, io.BytesIO())
    write(folder, {"cog.yaml": "run: b"})
    assert pack_folder(folder, io.BytesIO()).sha256 != before.sha256


def test_what_is_packed_comes_out_again(folder: Path, tmp_path: Path) -> None:
    (folder / "run.sh").write_text("#!/bin/sh")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("src/predict.py")
    out = tmp_path / "out"
    out.mkdir()
    unpack_layer(io.BytesIO(pack(folder)), out, LIMITS)
    assert list_published(out) == list_published(folder)
    assert (out / "link").read_text() == "x = 1"
    assert os.access(out / "run.sh", os.X_OK)
    assert not os.access(out / "cog.yaml", os.X_OK)


def test_leftovers_of_tools_and_ignored_files_are_left_out(folder: Path) -> None:
    write(
        folder,
        {
            ".git/config": "",
            "src/__pycache__/x.pyc": "",
            ".venv/bin/python": "",
            ".cog/tmp": "",
            "notes/a.md": "",
            "notes/keep.md": "",
            ".dockerignore": "# notes\nnotes\n!notes/keep.md\n",
        },
    )
    assert [path for path in list_published(folder) if "." in path] == [
        ".dockerignore",
        "cog.yaml",
        "notes/keep.md",
        "src/b/data.txt",
        "src/predict.py",
    ]


@pytest.mark.parametrize(
    ("pattern", "path", "ignored"),
    [
        ("*.bin", "a.bin", True),
        ("*.bin", "sub/a.bin", False),
        ("**/*.bin", "a.bin", True),
        ("**/*.bin", "sub/deep/a.bin", True),
        ("data/", "data/x/y", True),
        ("/data", "data", True),
        ("dat?", "data", True),
        ("data", "database", False),
        ("a.b", "aXb", False),
    ],
)
def test_ignore_patterns_mean_what_docker_says(pattern: str, path: str, *, ignored: bool) -> None:
    assert is_ignored(path, parse_ignore_rules(pattern)) is ignored


def test_a_pipe_cannot_be_packed(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(FolderUnpackable, match="pipe"):
        pack(folder)
