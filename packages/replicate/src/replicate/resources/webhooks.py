"""``client.webhooks``: the signing secret, and the checks that use it."""

from __future__ import annotations

from typing import Optional

from replicate.core import operations
from replicate.resources.namespace import Namespace
from replicate.webhook import WebhookSigningSecret, validate, validate_replicate_signature


class LazySecret(Namespace):
    """The account's signing secret, fetched when it is first needed.

    It can be called, as in 1.x, or used as a value: ``str(secret)``, ``secret.key``, ``secret.get()``, or passed as ``secret=``.
    """

    _fetched: Optional[WebhookSigningSecret] = None

    def __call__(self) -> WebhookSigningSecret:
        """Fetch the secret."""
        return WebhookSigningSecret(key=self._client.perform(operations.get_webhook_secret()))

    def get(self) -> WebhookSigningSecret:
        """Fetch the secret; another spelling of the call."""
        return self()

    @property
    def key(self) -> str:
        """The secret's text; fetched once."""
        if self._fetched is None:
            self._fetched = self()
        return self._fetched.key

    def __str__(self) -> str:
        return self.key

    def __repr__(self) -> str:
        return "LazySecret([secure])"


class DefaultWebhook(Namespace):
    """The account's only webhook configuration."""

    @property
    def secret(self) -> LazySecret:
        """The signing secret, as a value or a call."""
        return LazySecret(self._client)

    async def async_secret(self) -> WebhookSigningSecret:
        """Fetch the signing secret."""
        return WebhookSigningSecret(key=await self._client.perform_async(operations.get_webhook_secret()))


class Webhooks(Namespace):
    """Signing secrets, and the check of what arrives."""

    validate = staticmethod(validate)
    validate_replicate_signature = staticmethod(validate_replicate_signature)

    @property
    def default(self) -> DefaultWebhook:
        """The account's webhook configuration."""
        return DefaultWebhook(self._client)
