"""Brings the files of an input to where an instance can read them: URLs, data URIs, uploads and outputs of this server.

Local paths are refused: a client must not read the server's disk. Does not check the input (see `validation`) and does not know
engines.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from replicate_server.domain.file_names import safe_file_name
from replicate_server.domain.ids import FileId, VersionId
from replicate_server.domain.media_types import extension_of
from replicate_server.domain.records import Prediction, StoredFile, Version
from replicate_server.ports.blobs import BlobMissing, BlobStore
from replicate_server.ports.fetching import Fetcher, FetchFailed, FetchRefused
from replicate_server.ports.store import FileStore
from replicate_server.services.data_uris import InvalidDataUri, is_data_uri, parse_data_uri
from replicate_server.services.input_schema import build_input_schema, file_pointers, has_file_inside
from replicate_server.services.local_files import FileTooLarge, save_chunks

FETCHES_MAX = 8
FILES_MAX = 1_000
SCHEMAS_MAX = 4_096


class InputFileError(Exception):
    """An input file cannot be had. The message is for the prediction's ``error``: it names the input and the reason."""


class InputFiles:
    """Use cases around files in inputs."""

    def __init__(
        self,
        store: FileStore,
        blobs: BlobStore,
        fetcher: Fetcher,
        *,
        base_url: str,
        size_bytes_max: int,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._fetcher = fetcher
        self._base_url = base_url.rstrip("/")
        self._size_bytes_max = size_bytes_max
        self._schemas: OrderedDict[VersionId, Mapping[str, Any] | None] = OrderedDict()

    def has_files(self, version: Version, input: Mapping[str, Any]) -> bool:
        """Whether `localize` has anything to do. Cheap for versions whose schema has no file inputs."""
        schema = self._schema(version)
        return schema is not None and any(True for _ in file_pointers(schema, input))

    async def localize(self, prediction: Prediction, version: Version, folder: str) -> dict[str, str]:
        """Write every file of an input below a folder, several at once.

        Args:
            prediction: Whose input; its account may use its own uploads.
            version: Whose schema says what is a file.
            folder: An empty or missing host folder that belongs to this prediction. The caller removes it.

        Returns:
            JSON Pointer into the input → host path. Each file has a folder of its own, so names cannot collide.

        Raises:
            InputFileError: If a file cannot be had; the others are abandoned.
        """
        schema = self._schema(version)
        wanted = list(file_pointers(schema, prediction.input)) if schema is not None else []
        if len(wanted) > FILES_MAX:
            raise InputFileError(f"An input can have at most {FILES_MAX} files.")
        permits = asyncio.Semaphore(FETCHES_MAX)

        async def bring(index: int, pointer: str, uri: str) -> tuple[str, str]:
            async with permits:
                return pointer, await self._bring(prediction, pointer, uri, Path(folder) / str(index))

        try:
            async with asyncio.TaskGroup() as tasks:
                brought = [tasks.create_task(bring(index, *item)) for index, item in enumerate(wanted)]
        except* InputFileError as errors:
            # The first one is the answer; the others are often only its echo.
            raise _leaves(errors)[0] from None
        return dict(task.result() for task in brought)

    def _schema(self, version: Version) -> Mapping[str, Any] | None:
        """The version's input schema, or None when no file can occur in it."""
        if version.id not in self._schemas:
            schema = build_input_schema(version)
            self._schemas[version.id] = schema if has_file_inside(schema) else None
            while len(self._schemas) > SCHEMAS_MAX:
                self._schemas.popitem(last=False)
        return self._schemas[version.id]

    async def _bring(self, prediction: Prediction, pointer: str, uri: str, folder: Path) -> str:
        where = "input" + pointer.replace("/", ".")
        try:
            path = await self._write(prediction, uri, folder)
        except FileTooLarge as error:
            raise InputFileError(f"{where}: the file is larger than {self._size_bytes_max} bytes") from error
        except (FetchRefused, FetchFailed, InvalidDataUri) as error:
            raise InputFileError(f"{where}: {error}") from error
        except BlobMissing as error:
            raise InputFileError(f"{where}: the file no longer exists") from error
        return str(path)

    async def _write(self, prediction: Prediction, uri: str, folder: Path) -> Path:
        if is_data_uri(uri):
            # Decoding megabytes of base64 would hold up every other request.
            data = await asyncio.to_thread(parse_data_uri, uri)
            return await self._save(folder / f"file{extension_of(data.media_type)}", _one_chunk(data.content))
        own = await self._own_file(prediction, uri)
        if own is not None:
            return await self._save(folder / safe_file_name(own.name), self._blobs.read(own.blob_key))
        if urlsplit(uri).scheme.lower() not in ("http", "https"):
            raise FetchRefused("only http, https and data URIs can be read")
        async with self._fetcher.get(uri, size_bytes_max=self._size_bytes_max) as fetched:
            name = safe_file_name(fetched.name)
            if "." not in name:
                name += extension_of(fetched.content_type or "")
            return await self._save(folder / name, fetched.chunks)

    async def _save(self, path: Path, chunks: AsyncIterator[bytes]) -> Path:
        await save_chunks(path, chunks, size_bytes_max=self._size_bytes_max)
        return path

    async def _own_file(self, prediction: Prediction, uri: str) -> StoredFile | None:
        """The stored file that one of our own URLs names; None for a URL of another server.

        Read from the blobs, because such a URL needs a token that only the client has, and because fetching from ourselves may be
        refused.
        """
        if not uri.startswith(self._base_url + "/"):
            return None
        parts = [unquote(part) for part in urlsplit(uri[len(self._base_url) :]).path.split("/") if part]
        while parts[:1] == ["v1"]:
            del parts[0]
        file = None
        if parts[:1] == ["files"] and len(parts) in (2, 3):
            file = await self._store.file(FileId(parts[1]))
            if file is not None and (file.account_id != prediction.account_id or file.delivery_token is not None):
                file = None
        elif parts[:1] == ["delivery"] and len(parts) == 3:
            # The unguessable URL is the permission, whoever made the file.
            file = await self._store.file_by_delivery(parts[1])
        else:
            return None
        # A file that was there when the prediction was accepted is there when it runs, however long it waited.
        if file is None or (file.expires_at is not None and file.expires_at <= prediction.created_at):
            raise FetchFailed("this server has no such file, or it has expired")
        return file


async def _one_chunk(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _leaves(group: BaseExceptionGroup[InputFileError]) -> list[InputFileError]:
    """The plain errors of a group, in order."""
    leaves: list[InputFileError] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves
