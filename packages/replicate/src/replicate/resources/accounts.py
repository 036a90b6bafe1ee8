"""``client.accounts``: who the token belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicate.core import operations
from replicate.resources.namespace import Namespace

if TYPE_CHECKING:
    from replicate.account import Account


class Accounts(Namespace):
    """The account of the token."""

    def current(self) -> Account:
        """Return the token's account."""
        return self._client.perform(operations.get_account())

    async def async_current(self) -> Account:
        """Return the token's account."""
        return await self._client.perform_async(operations.get_account())
