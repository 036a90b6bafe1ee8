"""Unpacking a layer that a stranger made, without writing outside the target and without filling the disk (promises F1, F2).

Owns every rule about archive entries. Works in one pass over the stream and stops at the first entry that breaks a rule;
the caller removes what was written so far.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import os
import shutil
import tarfile
import unicodedata
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

CHUNK_BYTES = 256 * 1024
# Small archives may be as repetitive as they like; above this much output, the ratio counts.
RATIO_FLOOR_BYTES = 10 * 1024 * 1024
NAME_BYTES_MAX = 255
PATH_BYTES_MAX = 4096
DEPTH_MAX = 100
EXTENDED_HEADER_BYTES_MAX = 1024 * 1024


class ArchiveRefused(Exception):
    """The archive breaks a rule, or is no archive. The message names the entry and the rule."""


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """How much an archive may hold."""

    size_bytes_max: int
    entries_max: int = 100_000
    ratio_max: int = 100


@dataclass(frozen=True, slots=True)
class UnpackedLayer:
    """What an archive held."""

    diff_id: str
    """sha256 hex of the uncompressed tar, as OCI image configs name it."""
    size_bytes: int


class _MeteredReader:
    """Reads the decompressed tar while counting, digesting and stopping bombs."""

    def __init__(self, compressed: IO[bytes], limits: UnpackLimits) -> None:
        self._compressed = compressed
        self._stream = gzip.GzipFile(fileobj=compressed, mode="rb")
        self._limits = limits
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(min(size, CHUNK_BYTES) if size >= 0 else CHUNK_BYTES)
        self.digest.update(data)
        self.size_bytes += len(data)
        # Headers and padding count too: an archive of empty files is a bomb as well.
        if self.size_bytes > self._limits.size_bytes_max + 1024 * self._limits.entries_max:
            raise ArchiveRefused(f"the archive unpacks to more than {self._limits.size_bytes_max} bytes")
        if self.size_bytes > RATIO_FLOOR_BYTES + self._limits.ratio_max * self._compressed.tell():
            raise ArchiveRefused(f"the archive unpacks to more than {self._limits.ratio_max} times its size")
        return data

    def drain(self) -> None:
        """Read what follows the last entry, so that the digest covers the whole stream."""
        while self.read(CHUNK_BYTES):
            pass


class _BoundedEntry(tarfile.TarInfo):
    """An entry whose extended headers are small: tarfile reads them into memory whole."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise ArchiveRefused(f"{_shown(self.name)} is a sparse file")
        if self.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE) and self.size > EXTENDED_HEADER_BYTES_MAX:
            raise ArchiveRefused("the archive has an oversized extended header")
        return super()._proc_member(tar)  # type: ignore[misc,no-any-return]


@dataclass(slots=True)
class _Target:
    """The folder being filled, and what is known to be in it."""

    root: Path
    size_bytes: int = 0
    entry_count: int = 0
    kinds: dict[str, bytes] = field(default_factory=dict)
    """Path → tar type of what this archive created there."""
    folded: dict[str, str] = field(default_factory=dict)
    """Case-folded, normalised path → path, to catch names that some file systems take for one."""


def unpack_layer(archive: IO[bytes], target: Path, limits: UnpackLimits) -> UnpackedLayer:
    """Unpack a gzip-compressed tar into an empty folder.

    Files get mode 644 or 755; owners, times and special bits are dropped.

    Raises:
        ArchiveRefused: If an entry could land outside, is neither file, folder nor link, repeats another, or a limit is passed.
    """
    reader = _MeteredReader(archive, limits)
    filled = _Target(target)
    try:
        with tarfile.open(fileobj=reader, mode="r|", tarinfo=_BoundedEntry, errorlevel=2) as tar:  # type: ignore[call-overload]
            for entry in tar:
                _place(tar, entry, filled, limits)
        reader.drain()
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile, UnicodeError) as error:
        raise ArchiveRefused(f"not a readable tar.gz archive: {error}") from error
    except ValueError as error:
        # tarfile's own arithmetic on forged header fields.
        raise ArchiveRefused("not a readable tar.gz archive: a header is malformed") from error
    return UnpackedLayer(reader.digest.hexdigest(), filled.size_bytes)


def _place(tar: tarfile.TarFile, entry: tarfile.TarInfo, filled: _Target, limits: UnpackLimits) -> None:
    """Check one entry and create it."""
    filled.entry_count += 1
    # Streams of tarfile keep every entry they passed; without this an archive of many entries grows the process.
    tar.members = []  # type: ignore[attr-defined]
    if filled.entry_count > limits.entries_max:
        raise ArchiveRefused(f"the archive has more than {limits.entries_max} entries")
    path = _checked_path(entry.name)
    if not path:
        return
    create = _CREATORS.get(entry.type)
    if create is None or entry.issparse():
        raise ArchiveRefused(f"{_shown(entry.name)} is neither a file, a folder nor a link")
    _claim_path(path, entry, filled)
    filled.size_bytes += entry.size if entry.isreg() else 0
    if filled.size_bytes > limits.size_bytes_max:
        raise ArchiveRefused(f"the archive unpacks to more than {limits.size_bytes_max} bytes")
    try:
        create(tar, entry, path, filled)
    except OSError as error:
        raise ArchiveRefused(f"{_shown(entry.name)} cannot be created: {error.strerror}") from error


def _checked_path(name: str) -> str:
    """The entry's path in its one normal spelling; "" for the root itself."""
    if "\0" in name or "\\" in name or any(ord(character) < 32 for character in name):
        raise ArchiveRefused(f"{_shown(name)} has a forbidden character in its name")
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        raise ArchiveRefused(f"{_shown(name)} is an absolute path")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ArchiveRefused(f"{_shown(name)} leaves the folder")
    encoded = [part.encode("utf-8", "surrogateescape") for part in parts]
    if any(len(part) > NAME_BYTES_MAX for part in encoded) or sum(map(len, encoded)) > PATH_BYTES_MAX or len(parts) > DEPTH_MAX:
        raise ArchiveRefused(f"{_shown(name)} is too long a path")
    return "/".join(parts)


def _claim_path(path: str, entry: tarfile.TarInfo, filled: _Target) -> None:
    """Refuse repeated paths, paths that differ only in case, and paths below something that is not a folder of this archive."""
    parts = path.split("/")
    for depth in range(1, len(parts)):
        parent = "/".join(parts[:depth])
        kind = filled.kinds.get(parent)
        # Never write through a link: where it leads could change between check and use.
        if kind is not None and kind != tarfile.DIRTYPE:
            raise ArchiveRefused(f"{_shown(path)} lies below {_shown(parent)}, which is no folder")
        if kind is None:
            _remember(parent, tarfile.DIRTYPE, filled)
    if path in filled.kinds:
        if entry.isdir() and filled.kinds[path] == tarfile.DIRTYPE:
            return
        raise ArchiveRefused(f"{_shown(path)} occurs twice")
    _remember(path, tarfile.REGTYPE if entry.isreg() else entry.type, filled)


def _remember(path: str, kind: bytes, filled: _Target) -> None:
    folded = unicodedata.normalize("NFC", path).casefold()
    other = filled.folded.setdefault(folded, path)
    if other != path:
        raise ArchiveRefused(f"{_shown(path)} and {_shown(other)} differ only in case")
    filled.kinds[path] = kind


def _create_folder(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: str, filled: _Target) -> None:
    (filled.root / path).mkdir(mode=0o755, parents=True, exist_ok=True)


def _create_file(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: str, filled: _Target) -> None:
    target = filled.root / path
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    content = tar.extractfile(entry)
    if content is None:
        raise ArchiveRefused(f"{_shown(path)} has no content")
    mode = 0o755 if entry.mode & 0o100 else 0o644
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as written:
        shutil.copyfileobj(content, written, CHUNK_BYTES)


def _create_symlink(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: str, filled: _Target) -> None:
    if entry.linkname.startswith("/") or "\0" in entry.linkname or len(entry.linkname) > PATH_BYTES_MAX:
        raise ArchiveRefused(f"{_shown(path)} links to an absolute path")
    parts = [part for part in entry.linkname.split("/") if part not in ("", ".")]
    rising = list(itertools.takewhile(lambda part: part == "..", parts))
    if len(rising) > path.count("/"):
        raise ArchiveRefused(f"{_shown(path)} links to a place outside the folder")
    # `link/..` leads elsewhere than its text says when `link` is a link, so a link may go up only at its beginning.
    if ".." in parts[len(rising) :]:
        raise ArchiveRefused(f"{_shown(path)} links through another path")
    target = filled.root / path
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    os.symlink(entry.linkname, target)


def _create_hardlink(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: str, filled: _Target) -> None:
    source = _checked_path(entry.linkname)
    if filled.kinds.get(source) != tarfile.REGTYPE:
        raise ArchiveRefused(f"{_shown(path)} links to {_shown(entry.linkname)}, which is no earlier file of the archive")
    target = filled.root / path
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    os.link(filled.root / source, target, follow_symlinks=False)


_CREATORS: dict[bytes, Callable[[tarfile.TarFile, tarfile.TarInfo, str, _Target], None]] = {
    tarfile.REGTYPE: _create_file,
    tarfile.AREGTYPE: _create_file,
    tarfile.CONTTYPE: _create_file,
    tarfile.DIRTYPE: _create_folder,
    tarfile.SYMTYPE: _create_symlink,
    tarfile.LNKTYPE: _create_hardlink,
}


def _shown(name: str) -> str:
    """An entry's name, safe to print."""
    return repr(name if len(name) <= 200 else name[:200] + "…")
