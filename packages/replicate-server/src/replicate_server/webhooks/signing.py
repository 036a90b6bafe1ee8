"""Signing webhooks: the Standard Webhooks headers, and the seed's plain signature. Pure.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, "Webhook signatures".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

KEY_PREFIX = "whsec_"


class SecretMalformed(ValueError):
    """A signing secret that is not ``whsec_`` and base64. The message does not repeat it."""


def build_signature_headers(keys: Sequence[str], *, message_id: str, timestamp_seconds: int, body: bytes) -> Mapping[str, str]:
    """The headers that prove who sent a body and when.

    Args:
        keys: The account's secrets, ``whsec_`` and standard base64, the current one first. More than one during a rotation: a
            receiver accepts the message if any signature fits, so it may hold either.
        message_id: The same on every attempt; receivers drop repeats by it.
        timestamp_seconds: Unix time of this attempt; receivers refuse old ones.
        body: The exact bytes sent.

    Raises:
        SecretMalformed: If the secret cannot be decoded.
    """
    signed = f"{message_id}.{timestamp_seconds}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(_decode(key), signed, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_seconds),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
        "X-Replicate-Signature": f"sha256={hmac.new(keys[0].encode(), body, hashlib.sha256).hexdigest()}",
    }


def _decode(key: str) -> bytes:
    if not key.startswith(KEY_PREFIX):
        raise SecretMalformed("a webhook secret begins with whsec_")
    try:
        return base64.b64decode(key.removeprefix(KEY_PREFIX), validate=True)
    except binascii.Error as error:
        raise SecretMalformed("the part of a webhook secret after whsec_ is base64") from error
