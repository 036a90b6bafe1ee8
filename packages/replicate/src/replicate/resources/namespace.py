"""What every namespace is: a view of one client."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replicate.client import Client


class Namespace:
    """Methods of one noun, performed by a client."""

    def __init__(self, client: Client) -> None:
        self._client = client
