"""Frees the space of what can be made again, environments and unpacked versions: those unused for the longest, above a size.

Runs at a start, before anything uses them; so nothing in use is ever removed. Knows no layout: an entry says what its parts are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One thing that can be removed."""

    proof: Path
    """The file that says that it is whole. It goes first: what a crash leaves of the rest counts as missing."""
    folder: Path
    used_at: float
    """Unix time of the last use."""
    size_bytes: int


def choose_removals(entries: Iterable[CacheEntry], *, size_bytes_max: int) -> list[CacheEntry]:
    """The entries to remove so that the rest fits, the longest unused first. Pure."""
    by_use = sorted(entries, key=lambda entry: entry.used_at)
    excess = sum(entry.size_bytes for entry in by_use) - size_bytes_max
    chosen = []
    for entry in by_use:
        if excess <= 0:
            break
        chosen.append(entry)
        excess -= entry.size_bytes
    return chosen


def remove_entry(entry: CacheEntry) -> None:
    """Remove it. Blocks."""
    entry.proof.unlink(missing_ok=True)
    for path, _, _ in os.walk(entry.folder):
        # Unpacked versions are nobody's to write, not even their owner's.
        os.chmod(path, 0o700)
    shutil.rmtree(entry.folder, ignore_errors=True)


def measure_folder(folder: Path) -> int:
    """Bytes of the files below a folder. Looks at each: some microseconds a file."""
    return sum(os.lstat(os.path.join(path, name)).st_size for path, _, names in os.walk(folder) for name in names)
