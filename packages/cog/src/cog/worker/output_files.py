"""Bringing the files of an output into the prediction's scratch folder, and saying where in the value they belong."""

from __future__ import annotations

import io
import os
import stat
from typing import Any, List

from cog.errors import CogError
from cog.worker.protocol import OutputFile

NAME_SIZE_BYTES_MAX = 200


class OutputInvalid(CogError):
    """A value that cannot be an output; the message names its type and place."""


class OutputFiles:
    """The files of one prediction's outputs, numbered in the order they were met.

    A returned path is copied, never moved: the model may still be writing other outputs from it, may return it again, or may own
    it. Only files that lie in the prediction's own scratch folder are renamed.
    """

    def __init__(self, scratch_dir: str, prediction_id: str) -> None:
        self._scratch_dir = scratch_dir
        self._prediction_id = prediction_id
        self._count = 0
        self._collected: List[OutputFile] = []

    def take(self) -> List[OutputFile]:
        """The files met since the last call."""
        collected, self._collected = self._collected, []
        return collected

    def add_path(self, path: str, pointer: str) -> None:
        """Collect a file by its path.

        Raises:
            OutputInvalid: If there is no such regular file.
        """
        try:
            found = os.stat(path)
        except OSError as error:
            raise OutputInvalid(f"the output file {path} cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(found.st_mode):
            raise OutputInvalid(f"the output {path} is not a file; return the path of a regular file")
        target = self._next(os.path.basename(os.path.abspath(path)), pointer)
        resolved = os.path.realpath(path)
        own_folder = os.path.realpath(os.path.join(self._scratch_dir, self._prediction_id)) + os.sep
        if resolved.startswith(own_folder) and not os.path.islink(path) and found.st_nlink == 1:
            os.rename(resolved, target)
        else:
            import shutil  # here, because most models return no files and it takes milliseconds to import

            shutil.copyfile(resolved, target)

    def add_stream(self, stream: Any, pointer: str) -> None:
        """Collect what an open file or buffer holds, from its beginning when it can seek."""
        if stream.closed:
            raise OutputInvalid("the output is a closed file; return it open, or return its path")
        if not stream.readable():
            stream.flush()
            self.add_path(str(stream.name), pointer)
            return
        if stream.seekable():
            stream.seek(0)
        first = stream.read(1 << 20)
        is_text = isinstance(first, str)
        name = getattr(stream, "name", None)
        fallback = "output.txt" if is_text else "output.bin"
        with open(self._next(os.path.basename(name) if isinstance(name, str) else fallback, pointer), "wb") as target:
            chunk = first
            while chunk:
                target.write(chunk.encode("utf-8") if is_text else chunk)
                chunk = stream.read(1 << 20)

    def _next(self, name: str, pointer: str) -> str:
        """Number a file, and make sure that its folder exists."""
        relative = f"{self._prediction_id}/outputs/{self._count}-{_shorten(name)}"
        self._count += 1
        self._collected.append(OutputFile(pointer=pointer, path=relative, name=name))
        target = os.path.join(self._scratch_dir, relative)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        return target


def _shorten(name: str) -> str:
    """A name that the file system takes behind its number, its extension kept."""
    raw = os.fsencode(name)
    if len(raw) <= NAME_SIZE_BYTES_MAX:
        return name
    stem, extension = os.path.splitext(name)
    room = NAME_SIZE_BYTES_MAX - len(os.fsencode(extension[:20]))
    return os.fsencode(stem)[:room].decode("utf-8", "ignore") + extension[:20]


def is_stream(value: Any) -> bool:
    """Whether a value is an open file or buffer, wrapped ones (``tempfile``) included."""
    return isinstance(value, io.IOBase) or isinstance(getattr(value, "file", None), io.IOBase)
