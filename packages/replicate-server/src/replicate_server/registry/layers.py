"""Packing a folder into a layer: tar and gzip, the same bytes every time.

Owns the writing side; ``unpacking`` reads. A layer's digest names its content, so nothing in it may depend on when, where or by
whom it was packed.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from replicate_server.registry.ignoring import IgnoreRule, has_exceptions, is_ignored, parse_ignore_rules

IGNORE_FILE = ".dockerignore"
# Fast compression: weights hardly shrink, and source is small.
GZIP_LEVEL = 3


class FolderUnpackable(Exception):
    """The folder holds something that a layer cannot carry."""


@dataclass(frozen=True, slots=True)
class PackedLayer:
    """What was written."""

    sha256: str
    size_bytes: int


class _DigestingWriter:
    """Passes bytes on and counts and digests them."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size_bytes += len(data)
        return self._target.write(data)

    def flush(self) -> None:
        self._target.flush()


def pack_folder(folder: Path, target: IO[bytes]) -> PackedLayer:
    """Write a folder as a gzip-compressed tar: entries sorted, no times, no owners, modes 644 or 755.

    Args:
        folder: The model's folder; its ``.dockerignore`` is honoured.
        target: A writable binary file; left open.

    Raises:
        FolderUnpackable: If the folder holds a device, socket or pipe.
    """
    writer = _DigestingWriter(target)
    with (
        # An empty name and time 0 keep the gzip header constant.
        gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=writer, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in list_published(folder):
            _add(tar, folder, path)
    return PackedLayer(writer.digest.hexdigest(), writer.size_bytes)


def digest_folder(folder: Path) -> str:
    """A digest of everything that `pack_folder` would pack, much quicker than packing."""
    digest = hashlib.sha256()
    for path in list_published(folder):
        found = folder / path
        digest.update(f"{path}\0{found.lstat().st_mode:o}\0".encode("utf-8", "surrogateescape"))
        if found.is_symlink():
            digest.update(os.readlink(found).encode("utf-8", "surrogateescape"))
        elif found.is_file():
            with found.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


def list_published(folder: Path) -> list[str]:
    """The ``/``-separated relative paths that belong to the package, sorted; folders come before what is in them."""
    ignore_file = folder / IGNORE_FILE
    rules = parse_ignore_rules(ignore_file.read_text(encoding="utf-8")) if ignore_file.is_file() else []
    return sorted(_walk(folder, "", rules))


def _walk(folder: Path, inside: str, rules: Sequence[IgnoreRule]) -> Iterator[str]:
    for entry in os.scandir(folder / inside):
        path = f"{inside}/{entry.name}" if inside else entry.name
        ignored = is_ignored(path, rules)
        if not ignored:
            yield path
        if entry.is_dir(follow_symlinks=False) and (not ignored or has_exceptions(rules)):
            yield from _walk(folder, path, rules)


def _add(tar: tarfile.TarFile, folder: Path, path: str) -> None:
    """Add one entry with nothing in it that varies."""
    found = (folder / path).lstat()
    entry = tarfile.TarInfo(path)
    if stat.S_ISDIR(found.st_mode):
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(entry)
    elif stat.S_ISLNK(found.st_mode):
        entry.type, entry.mode = tarfile.SYMTYPE, 0o777
        entry.linkname = os.readlink(folder / path)
        tar.addfile(entry)
    elif stat.S_ISREG(found.st_mode):
        entry.size = found.st_size
        entry.mode = 0o755 if found.st_mode & stat.S_IXUSR else 0o644
        with open(folder / path, "rb") as content:
            tar.addfile(entry, content)
    else:
        raise FolderUnpackable(f"{path} is neither a file, a folder nor a link; name it in {IGNORE_FILE}")
