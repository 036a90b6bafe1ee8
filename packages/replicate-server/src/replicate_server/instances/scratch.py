"""An instance's folders on the host: where the model writes, how inputs get in and outputs get out without trusting it.

``work`` and ``tmp`` belong to the model, so every step through them goes by directory descriptor and follows no link. Outputs
are moved to ``outputs``, where the model cannot replace what was checked.
"""

from __future__ import annotations

import contextlib
import copy
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_COPY_SIZE_BYTES = 1 << 30
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class OutputRejected(Exception):
    """An output path is not a regular file inside the prediction's own folder."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """The folders of one instance."""

    folder: Path
    model_dir: str
    """``work`` as the model sees it."""
    owner: int | None
    """The user that model code runs as; None when it is the server's own."""

    def copy_inputs(self, prediction_id: str, values: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
        """Copy files into ``<prediction id>/inputs`` and put their paths, as the model sees them, into the input. Blocks.

        Copies, where a link would be cheaper: the model may change its inputs in place, and the source may be shared.

        Returns:
            A changed copy of the input.
        """
        changed = copy.deepcopy(dict(values))
        with contextlib.ExitStack() as opened:
            work = opened.enter_context(_open_folder(self.folder / "work"))
            prediction = opened.enter_context(self._make_folder(prediction_id, work))
            inputs = opened.enter_context(self._make_folder("inputs", prediction))
            for number, (pointer, source) in enumerate(files.items()):
                name = Path(source).name
                with self._make_folder(str(number), inputs) as target:
                    self._copy_file(source, name, target)
                replace_at(changed, pointer, f"{self.model_dir}/{prediction_id}/inputs/{number}/{name}")
        return changed

    def take_output(self, prediction_id: str, path: str) -> str:
        """Move an output file out of the model's reach and return its new host path.

        Args:
            prediction_id: Whose output it is.
            path: As the worker gave it: ``<prediction id>/outputs/<name>``.

        Raises:
            OutputRejected: If it is anything but a regular file there, owned by the model.
        """
        parts = path.split("/")
        if len(parts) != 3 or parts[:2] != [prediction_id, "outputs"] or parts[2] in {"", ".", ".."} or "\0" in path:
            raise OutputRejected("an output file lies outside the prediction's folder")
        target = self.folder / "outputs" / prediction_id
        target.mkdir(parents=True, exist_ok=True)
        taken = target / parts[2]
        try:
            with contextlib.ExitStack() as opened:
                work = opened.enter_context(_open_folder(self.folder / "work"))
                prediction = opened.enter_context(_open_folder(prediction_id, work))
                outputs = opened.enter_context(_open_folder("outputs", prediction))
                os.rename(parts[2], taken, src_dir_fd=outputs)
        except OSError as error:
            raise OutputRejected(f"an output file is missing: {error.strerror}") from error
        facts = os.lstat(taken)
        if not stat.S_ISREG(facts.st_mode) or (self.owner is not None and facts.st_uid != self.owner):
            remove_tree(taken)
            raise OutputRejected("an output is not a regular file of the model")
        return str(taken)

    def has_files(self, prediction_id: str) -> bool:
        """Whether anything of a prediction is on disk."""
        # Asked after every prediction, and most have no files: plain strings, because joining paths costs more than looking.
        folder = str(self.folder)
        return os.path.lexists(f"{folder}/work/{prediction_id}") or os.path.lexists(f"{folder}/outputs/{prediction_id}")

    def discard(self, prediction_id: str) -> None:
        """Remove what a prediction left. Blocks."""
        for part in ("work", "outputs"):
            remove_tree(self.folder / part / prediction_id)

    def close(self) -> None:
        """Remove the model's folders, and everything once no taken output waits to be stored. Blocks."""
        for part in ("work", "tmp", "src"):
            remove_tree(self.folder / part)
        with contextlib.suppress(OSError):
            (self.folder / "outputs").rmdir()
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    @contextlib.contextmanager
    def _make_folder(self, name: str, parent: int) -> Iterator[int]:
        """Make a folder and open it; it becomes the model's when it is complete."""
        os.mkdir(name, 0o755, dir_fd=parent)
        with _open_folder(name, parent) as descriptor:
            yield descriptor
            self._give_to_model(descriptor)

    def _copy_file(self, source: str, name: str, folder: int) -> None:
        with open(source, "rb") as reader:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(name, flags, 0o644, dir_fd=folder), "wb") as writer:
                try:
                    # Inside the kernel, and sharing blocks where the file system can.
                    while os.copy_file_range(reader.fileno(), writer.fileno(), _COPY_SIZE_BYTES):
                        pass
                except OSError:  # Another file system, or one that cannot.
                    reader.seek(0)
                    writer.seek(0)
                    writer.truncate()
                    shutil.copyfileobj(reader, writer, 1 << 20)
                self._give_to_model(writer.fileno())

    def _give_to_model(self, descriptor: int) -> None:
        if self.owner is not None:
            os.fchown(descriptor, self.owner, self.owner)


def create_scratch(folder: Path, *, model_dir: str, owner: int | None) -> Scratch:
    """Make the folders of a new instance. Others than the model cannot list them."""
    folder.mkdir(parents=True)
    folder.chmod(0o711)
    (folder / "outputs").mkdir(mode=0o700)
    for part in ("work", "tmp"):
        (folder / part).mkdir()
        (folder / part).chmod(0o755)
        if owner is not None:
            os.chown(folder / part, owner, owner)
    return Scratch(folder, model_dir, owner)


def remove_tree(path: Path) -> None:
    """Remove a file, link or folder without following links; a missing one is fine."""
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def replace_at(document: dict[str, Any], pointer: str, value: Any) -> None:
    """Set the value at a JSON Pointer (RFC 6901) that exists in ``document``."""
    *above, last = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]
    place: Any = document
    for token in above:
        place = place[int(token) if isinstance(place, list) else token]
    place[int(last) if isinstance(place, list) else last] = value


@contextlib.contextmanager
def _open_folder(path: str | Path, parent: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, _FOLDER_FLAGS, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
