"""An instance's own copy of its version's files, so that a model can write beside its code as many do in ``setup()``.

The unpacked folder is shared by all instances of a version and checked against its digest, so nothing may write through to it: a
hard link would. Small files are copied, large ones and what exceeds a budget become links to the shared folder, which the sandbox
shows read-only. Made for a start that blocks the event loop: the budget bounds the time.
"""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COPIED_FILE_BYTES_MAX = 256 * 1024
"""Larger files are weights and data, which models read."""
COPIED_BYTES_MAX = 4 * 1024**2
ENTRIES_MAX = 128


@dataclass(slots=True)
class _Budget:
    entries: int = ENTRIES_MAX
    size_bytes: int = COPIED_BYTES_MAX


def copy_source(source: Path, target: Path, *, shown_at: str, owner: int | None) -> None:
    """Make a folder with the same names as another, in which the owner may write, add, replace and remove.

    Goes level by level, so that what lies at the top is copied first. Names that are links stay the links they are.

    Args:
        source: The shared folder.
        target: A folder that does not exist yet.
        shown_at: Where the shared folder is for whoever reads the copy; links lead there.
        owner: The user that gets the copy; None leaves it with the caller.
    """
    budget = _Budget()
    target.mkdir()
    _give(target, owner)
    for folder, entry in _walk(source, target, budget, shown_at, owner):
        place = folder / entry.name
        if entry.is_symlink():
            place.symlink_to(os.readlink(entry.path))
        elif _is_small(entry, budget):
            shutil.copyfile(entry.path, place)
            # Readable as in the package, and writable: unpacked files are nobody's to write.
            place.chmod(entry.stat().st_mode & 0o777 | 0o600)
            _give(place, owner)
        else:
            place.symlink_to(f"{shown_at}/{os.path.relpath(entry.path, source)}")


def _walk(
    source: Path, target: Path, budget: _Budget, shown_at: str, owner: int | None
) -> Iterator[tuple[Path, os.DirEntry[str]]]:
    """Every file with the folder that its copy goes to. Makes folders on the way, and links to them once the budget is spent."""
    waiting = deque([(source, target)])
    while waiting:
        shared, own = waiting.popleft()
        with os.scandir(shared) as entries:
            for entry in entries:
                budget.entries -= 1
                if not entry.is_dir(follow_symlinks=False):
                    yield own, entry
                elif budget.entries > 0:
                    (own / entry.name).mkdir()
                    _give(own / entry.name, owner)
                    waiting.append((Path(entry.path), own / entry.name))
                else:
                    (own / entry.name).symlink_to(f"{shown_at}/{os.path.relpath(entry.path, source)}")


def _is_small(entry: os.DirEntry[str], budget: _Budget) -> bool:
    size_bytes = entry.stat(follow_symlinks=False).st_size
    if size_bytes > COPIED_FILE_BYTES_MAX or size_bytes > budget.size_bytes or budget.entries < 0:
        return False
    budget.size_bytes -= size_bytes
    return True


def _give(path: Path, owner: int | None) -> None:
    if owner is not None:
        os.chown(path, owner, owner)
