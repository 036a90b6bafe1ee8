"""``client.models``: find, describe and create models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Tuple

from replicate.core import operations
from replicate.identifier import ModelVersionIdentifier
from replicate.resources.cursors import Cursor, parse_given_cursor
from replicate.resources.namespace import Namespace
from replicate.resources.versions import Versions

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from replicate.model import Model
    from replicate.pagination import Page
    from replicate.resources.parameters import ModelFields


class Models(Namespace):
    """The models that the account can see."""

    def list(self, cursor: Cursor = ...) -> Page[Model]:
        """Return a page of models; the first one without a cursor."""
        return self._client.perform(operations.list_models(parse_given_cursor(cursor)))

    async def async_list(self, cursor: Cursor = ...) -> Page[Model]:
        """Return a page of models; the first one without a cursor."""
        return await self._client.perform_async(operations.list_models(parse_given_cursor(cursor)))

    def get(self, owner_or_reference: str, name: Optional[str] = None) -> Model:
        """Return one model, named ``"owner/name"`` or ``"owner", "name"``."""
        return self._client.perform(operations.get_model(*_names(owner_or_reference, name)))

    async def async_get(self, owner_or_reference: str, name: Optional[str] = None) -> Model:
        """Return one model; see `get`."""
        return await self._client.perform_async(operations.get_model(*_names(owner_or_reference, name)))

    def create(self, owner: str, name: str, **fields: Unpack[ModelFields]) -> Model:
        """Create a model without versions; ``visibility`` and ``hardware`` are needed."""
        return self._client.perform(operations.create_model(owner, name, fields))

    async def async_create(self, owner: str, name: str, **fields: Unpack[ModelFields]) -> Model:
        """Create a model without versions; see `create`."""
        return await self._client.perform_async(operations.create_model(owner, name, fields))

    def versions_of(self, model: Model) -> Versions:
        """Return the namespace of a model's versions."""
        return Versions(self._client, model)


def _names(owner_or_reference: str, name: Optional[str]) -> Tuple[str, str]:
    if name is not None:
        return owner_or_reference, name
    reference = ModelVersionIdentifier.parse(owner_or_reference)
    return reference.owner, reference.name
