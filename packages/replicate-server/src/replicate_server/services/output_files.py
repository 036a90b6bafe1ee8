"""Takes the files of an output into the blob store and puts their URLs where they belong in the value.

The caller writes the returned records in the transaction that records the output, so that a URL which a client can see always
works.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from cog.worker.protocol import OutputFile

from replicate_server.domain.file_names import safe_file_name
from replicate_server.domain.ids import build_file_id, build_secret_text
from replicate_server.domain.media_types import media_type_of
from replicate_server.domain.records import Prediction, StoredFile
from replicate_server.ports.blobs import BlobStore, BlobTooLarge
from replicate_server.ports.clock import Clock, Randomness

UPLOADS_MAX = 4


class OutputFileError(Exception):
    """An output file cannot be kept. The message is for the prediction's ``error``."""


class OutputFiles:
    """Use cases around files in outputs."""

    def __init__(self, blobs: BlobStore, clock: Clock, randomness: Randomness, *, base_url: str, size_bytes_max: int) -> None:
        self._blobs = blobs
        self._clock = clock
        self._randomness = randomness
        self._base_url = base_url.rstrip("/")
        self._size_bytes_max = size_bytes_max

    async def ingest(self, prediction: Prediction, value: Any, files: Sequence[OutputFile]) -> tuple[Any, list[StoredFile]]:
        """Store host files and replace the nulls that stand for them by their delivery URLs.

        Args:
            prediction: Whose output.
            value: The output value; it is not changed.
            files: Host paths, already checked to lie in the prediction's scratch folder.

        Returns:
            The value with URLs, and the records to be written with it, in the order of ``files``.

        Raises:
            OutputFileError: If a file is too large or cannot be read, or a pointer leads nowhere.
        """
        if not files:
            return value, []
        permits = asyncio.Semaphore(UPLOADS_MAX)

        async def store(file: OutputFile) -> StoredFile:
            async with permits:
                return await self._store(prediction, file)

        stored = await asyncio.gather(*(store(file) for file in files))
        filled = copy.deepcopy(value)
        for file, record in zip(files, stored, strict=True):
            filled = _put(filled, file.pointer, self.delivery_url(record))
        return filled, list(stored)

    def delivery_url(self, file: StoredFile) -> str:
        """The public, unguessable URL of an output file."""
        return f"{self._base_url}/delivery/{file.delivery_token}/{quote(file.name)}"

    async def _store(self, prediction: Prediction, file: OutputFile) -> StoredFile:
        name = safe_file_name(file.name, fallback="output")
        key = f"outputs/{prediction.id}/{self._randomness(16).hex()}"
        try:
            written = await self._blobs.write_file(key, file.path, size_bytes_max=self._size_bytes_max)
        except BlobTooLarge as error:
            raise OutputFileError(f"The output file {name} is larger than {self._size_bytes_max} bytes") from error
        except OSError as error:
            raise OutputFileError(f"The output file {name} cannot be read") from error
        return StoredFile(
            id=build_file_id(self._randomness(16)),
            account_id=prediction.account_id,
            name=name,
            content_type=media_type_of(name),
            size_bytes=written.size_bytes,
            sha256=written.sha256,
            md5=written.md5,
            blob_key=key,
            created_at=self._clock.now(),
            prediction_id=prediction.id,
            delivery_token=build_secret_text(self._randomness(32)),
        )


def _put(value: Any, pointer: str, replacement: str) -> Any:
    """Return ``value`` with what a JSON Pointer names replaced; containers are changed in place."""
    if pointer == "":
        return replacement
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    try:
        holder = value
        for part in parts[:-1]:
            holder = holder[int(part)] if isinstance(holder, list) else holder[part]
        last: Any = int(parts[-1]) if isinstance(holder, list) else parts[-1]
        # A pointer to a missing member is an error, not an addition.
        _ = holder[last]
        holder[last] = replacement
    except (LookupError, ValueError, TypeError) as error:
        raise OutputFileError(f"The output names a file at {pointer}, where it has no value") from error
    return value
