"""``import replicate.webhooks``: the default client's webhook namespace, as a module.

`default` is looked up when it is used, so that importing this reads no environment and makes no client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replicate.webhook import WebhookSigningSecret, WebhookValidationError, validate, validate_replicate_signature

if TYPE_CHECKING:
    from replicate.resources.webhooks import DefaultWebhook

    default: DefaultWebhook

__all__ = ["WebhookSigningSecret", "WebhookValidationError", "default", "validate", "validate_replicate_signature"]


def __getattr__(name: str) -> Any:
    if name == "default":
        from replicate import default_client

        return default_client.webhooks.default
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
