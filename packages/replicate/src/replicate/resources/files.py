"""``client.files``: files stored on the platform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, List, Mapping, Optional, Union

from replicate.core import operations
from replicate.core.inputs import build_upload
from replicate.resources.namespace import Namespace

if TYPE_CHECKING:
    import os

    from replicate.core.steps import Call
    from replicate.file import File

FileSource = Union[str, "os.PathLike[str]", BinaryIO, bytes]


class Files(Namespace):
    """Store, describe and delete files. Uploads are streamed, never read whole."""

    def create(
        self,
        file: FileSource,
        filename: Optional[str] = None,
        content_type: Optional[str] = None,
        metadata: Optional[Mapping[str, Any]] = None,
    ) -> File:
        """Store a file.

        Args:
            file: A path, an open binary file or bytes.
            filename: Its name there; by default the file's own.
            content_type: Its media type; by default guessed from the name.
            metadata: Anything to keep with it, as a JSON object.
        """
        return self._client.perform(_creation(file, filename, content_type, metadata))

    async def async_create(
        self,
        file: FileSource,
        filename: Optional[str] = None,
        content_type: Optional[str] = None,
        metadata: Optional[Mapping[str, Any]] = None,
    ) -> File:
        """Store a file; see `create`."""
        return await self._client.perform_async(_creation(file, filename, content_type, metadata))

    def get(self, file_id: str) -> File:
        """Describe one file."""
        return self._client.perform(operations.get_file(file_id))

    async def async_get(self, file_id: str) -> File:
        """Describe one file."""
        return await self._client.perform_async(operations.get_file(file_id))

    def list(self) -> List[File]:
        """Describe the account's files, newest first."""
        return self._client.perform(operations.list_files())

    async def async_list(self) -> List[File]:
        """Describe the account's files, newest first."""
        return await self._client.perform_async(operations.list_files())

    def delete(self, file_id: str) -> bool:
        """Delete a file; true when it is gone."""
        return self._client.perform(operations.delete_file(file_id))

    async def async_delete(self, file_id: str) -> bool:
        """Delete a file; true when it is gone."""
        return await self._client.perform_async(operations.delete_file(file_id))


def _creation(
    file: FileSource, filename: Optional[str], content_type: Optional[str], metadata: Optional[Mapping[str, Any]]
) -> Call[File]:
    return operations.create_file(build_upload(file, name=filename, content_type=content_type), metadata)
