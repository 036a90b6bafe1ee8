"""``model.versions``: the versions of one model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicate.core import operations
from replicate.resources.cursors import Cursor, parse_given_cursor
from replicate.resources.namespace import Namespace

if TYPE_CHECKING:
    from replicate.client import Client
    from replicate.model import Model
    from replicate.pagination import Page
    from replicate.version import Version


class Versions(Namespace):
    """The versions of one model."""

    def __init__(self, client: Client, model: Model) -> None:
        super().__init__(client)
        self._model = model

    def list(self, cursor: Cursor = ...) -> Page[Version]:
        """Return a page of versions, newest first; the first page without a cursor."""
        return self._client.perform(operations.list_versions(self._model.owner, self._model.name, parse_given_cursor(cursor)))

    async def async_list(self, cursor: Cursor = ...) -> Page[Version]:
        """Return a page of versions, newest first; the first page without a cursor."""
        operation = operations.list_versions(self._model.owner, self._model.name, parse_given_cursor(cursor))
        return await self._client.perform_async(operation)

    def get(self, id: str) -> Version:  # 1.x's name
        """Return one version, by its id or a unique beginning of it."""
        return self._client.perform(operations.get_version(self._model.owner, self._model.name, id))

    async def async_get(self, id: str) -> Version:  # 1.x's name
        """Return one version; see `get`."""
        return await self._client.perform_async(operations.get_version(self._model.owner, self._model.name, id))
