"""Malicious archives (promises F1 and F2)."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from replicate_server.registry.unpacking import ArchiveRefused, UnpackLimits, unpack_layer

LIMITS = UnpackLimits(size_bytes_max=50_000_000, entries_max=100)
BuildArchive = Callable[..., io.BytesIO]

SYMLINK, HARDLINK = tarfile.SYMTYPE, tarfile.LNKTYPE

REFUSED: dict[str, list[tuple[str, Any]]] = {
    "parent": [("../evil", b"x")],
    "parent inside": [("a/../../evil", b"x")],
    "parent that stays": [("a/../b", b"x")],
    "absolute": [("/tmp/evil", b"x")],
    "drive": [("C:/evil", b"x")],
    "backslash": [("..\\evil", b"x")],
    "newline": [("a\nb", b"x")],
    "long name": [("n" * 256, b"x")],
    "long path": [("/".join(["d" * 200] * 25), b"x")],
    "deep path": [("/".join("d" * 101), b"x")],
    "symlink outside": [("l", {"type": SYMLINK, "linkname": "../x"})],
    "symlink absolute": [("l", {"type": SYMLINK, "linkname": "/etc/passwd"})],
    "symlink deep outside": [("a/l", {"type": SYMLINK, "linkname": "../../x"})],
    "symlink through a link": [
        ("a/b/d", {"type": tarfile.DIRTYPE}),
        ("...", {"type": SYMLINK, "linkname": "."}),
        ("l", {"type": SYMLINK, "linkname": ".../.."}),
    ],
    "file through a symlink": [("l", {"type": SYMLINK, "linkname": "."}), ("l/f", b"x")],
    "file over a symlink": [("l", {"type": SYMLINK, "linkname": "f"}), ("l", b"x")],
    "folder over a symlink": [("l", {"type": SYMLINK, "linkname": "."}), ("l", {"type": tarfile.DIRTYPE})],
    "file below a file": [("f", b"x"), ("f/g", b"x")],
    "hardlink outside": [("h", {"type": HARDLINK, "linkname": "../../etc/passwd"})],
    "hardlink absolute": [("h", {"type": HARDLINK, "linkname": "/etc/passwd"})],
    "hardlink to a symlink": [("l", {"type": SYMLINK, "linkname": "x"}), ("h", {"type": HARDLINK, "linkname": "l"})],
    "hardlink to nothing": [("h", {"type": HARDLINK, "linkname": "f"})],
    "character device": [("d", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3})],
    "block device": [("d", {"type": tarfile.BLKTYPE, "devmajor": 8})],
    "pipe": [("p", {"type": tarfile.FIFOTYPE})],
    "twice": [("f", b"x"), ("f", b"y")],
    "twice by spelling": [("f", b"x"), ("./f", b"y")],
    "case": [("File", b"x"), ("fILE", b"y")],
    "case of folders": [("Dir/a", b"x"), ("dir/b", b"y")],
    "unicode": [("caf\u00e9", b"x"), ("cafe\u0301", b"y")],
    "too many": [(f"f{number}", b"") for number in range(101)],
    "ratio": [("zeros", b"\0" * 40_000_000)],
}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "inside" / "target"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("name", REFUSED)
def test_a_malicious_archive_is_refused_and_writes_nothing_outside(
    name: str, target: Path, tmp_path: Path, build_archive: BuildArchive
) -> None:
    with pytest.raises(ArchiveRefused):
        unpack_layer(build_archive(*REFUSED[name]), target, LIMITS)
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert [path.name for path in target.parent.iterdir()] == ["target"]


@pytest.mark.parametrize(
    "content",
    [b"", b"not gzip", gzip.compress(b"not tar" * 200), gzip.compress(b"x" * 5000)[:-40]],
    # gzip writes the time of day, which as a name would differ between the processes that run the tests.
    ids=["nothing", "not gzip", "not tar", "cut short"],
)
def test_what_is_no_archive_is_refused(content: bytes, target: Path) -> None:
    with pytest.raises(ArchiveRefused):
        unpack_layer(io.BytesIO(content), target, LIMITS)


def test_a_truncated_archive_is_refused(target: Path, build_archive: BuildArchive) -> None:
    whole = build_archive(("f", os.urandom(100_000))).getvalue()
    with pytest.raises(ArchiveRefused):
        unpack_layer(io.BytesIO(whole[:50_000]), target, LIMITS)


def test_the_size_limit_counts_what_is_unpacked(target: Path, build_archive: BuildArchive) -> None:
    with pytest.raises(ArchiveRefused, match="1000 bytes"):
        unpack_layer(build_archive(("f", b"x" * 1001)), target, UnpackLimits(size_bytes_max=1000))


def test_an_oversized_extended_header_is_refused(target: Path) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        entry = tarfile.TarInfo("f")
        entry.pax_headers = {"comment": "x" * 2_000_000}
        tar.addfile(entry)
    with pytest.raises(ArchiveRefused, match="extended header"):
        unpack_layer(io.BytesIO(gzip.compress(plain.getvalue())), target, LIMITS)


def test_a_sparse_file_is_refused(target: Path) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        entry = tarfile.TarInfo("f")
        entry.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": "1000000000"}
        tar.addfile(entry)
    with pytest.raises(ArchiveRefused):
        unpack_layer(io.BytesIO(gzip.compress(plain.getvalue())), target, LIMITS)


def test_special_bits_and_owners_are_dropped(target: Path, build_archive: BuildArchive) -> None:
    unpack_layer(build_archive(("f", {"mode": 0o6755, "uid": 4711}), ("g", {"mode": 0o666})), target, LIMITS)
    assert [oct((target / name).stat().st_mode & 0o7777) for name in "fg"] == ["0o755", "0o644"]
    assert (target / "f").stat().st_uid == os.getuid()


def test_links_inside_the_folder_are_kept(target: Path, build_archive: BuildArchive) -> None:
    archive = build_archive(
        ("a/f", b"content"),
        ("a/b/up", {"type": SYMLINK, "linkname": "../f"}),
        ("hard", {"type": HARDLINK, "linkname": "a/f"}),
    )
    unpack_layer(archive, target, LIMITS)
    assert (target / "a/b/up").read_bytes() == (target / "hard").read_bytes() == b"content"


def test_the_folder_itself_may_be_an_entry(target: Path, build_archive: BuildArchive) -> None:
    unpack_layer(build_archive((".", {"type": tarfile.DIRTYPE}), ("./f", b"x")), target, LIMITS)
    assert [path.name for path in target.iterdir()] == ["f"]
