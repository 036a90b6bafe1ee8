"""Checking that a webhook comes from the platform. Pure: no network, no global clock.

Two signatures exist: the three ``webhook-*`` headers of Standard Webhooks (https://www.standardwebhooks.com), which the
official service sends too, and ``X-Replicate-Signature``, a plain HMAC of the body. Both are compared in constant time, and no
message shows the secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Protocol, Union

if TYPE_CHECKING:
    import httpx

REPLICATE_SIGNATURE_HEADER = "x-replicate-signature"


class HasKey(Protocol):
    """Anything that knows a signing secret."""

    @property
    def key(self) -> str:
        """The secret, ``whsec_…``."""


@dataclass(frozen=True)
class WebhookSigningSecret:
    """The secret of an account's webhooks."""

    key: str

    def __repr__(self) -> str:
        return "WebhookSigningSecret(key=[secure])"

    def __str__(self) -> str:
        return self.key


class WebhookValidationError(ValueError):
    """A webhook that is not what it claims to be."""


class MissingWebhookHeaderError(WebhookValidationError):
    """A signature header is absent."""


class InvalidSecretKeyError(WebhookValidationError):
    """The secret is not ``whsec_`` and base64."""


class MissingWebhookBodyError(WebhookValidationError):
    """There is no body to check."""


class InvalidTimestampError(WebhookValidationError):
    """The timestamp is no number, or too far from now."""


class InvalidSignatureError(WebhookValidationError):
    """No signature matches."""


Secret = Union[HasKey, str]


def validate(
    request: Optional[httpx.Request] = None,
    headers: Optional[Mapping[str, str]] = None,
    body: Union[str, bytes, None] = None,
    secret: Optional[Secret] = None,
    tolerance: Optional[int] = None,
) -> None:
    """Check the Standard Webhooks signature of a request; returns quietly when it is good.

    Args:
        request: The request; or give its headers and body.
        headers: Headers, in any case.
        body: The raw body, exactly as received.
        secret: The signing secret.
        tolerance: How many seconds the timestamp may differ from now; not checked when None.

    Raises:
        WebhookValidationError: One of its kinds says what is wrong.
    """
    given, content = _parts(request, headers, body)
    message_id, timestamp, signatures = (_header(given, f"webhook-{name}") for name in ("id", "timestamp", "signature"))
    if tolerance is not None:
        _check_age(timestamp, tolerance, now=time.time())
    signed = f"{message_id}.{timestamp}.".encode() + content
    expected = hmac.new(_signing_key(secret), signed, hashlib.sha256).digest()
    for signature in signatures.split():
        scheme, comma, encoded = signature.partition(",")
        if not comma:
            raise InvalidSignatureError("malformed signature: no scheme")
        if scheme == "v1" and hmac.compare_digest(_decode(encoded), expected):
            return
    raise InvalidSignatureError("no signature matches")


def validate_replicate_signature(headers: Mapping[str, str], body: Union[str, bytes], secret: Optional[Secret] = None) -> None:
    """Check the ``X-Replicate-Signature`` of a request: ``sha256=`` and the hexadecimal HMAC-SHA256 of the raw body.

    Its key is the whole secret text. It has no timestamp, so it does not stop replays: prefer `validate`.

    Raises:
        WebhookValidationError: One of its kinds says what is wrong.
    """
    given, content = _parts(None, headers, body)
    scheme, _, signature = _header(given, REPLICATE_SIGNATURE_HEADER).partition("=")
    expected = hmac.new(_secret_text(secret).encode(), content, hashlib.sha256).hexdigest()
    if scheme != "sha256" or not hmac.compare_digest(signature.encode(), expected.encode()):
        raise InvalidSignatureError("the signature does not match")


def _parts(request: Optional[httpx.Request], headers: Optional[Mapping[str, str]], body: Any) -> tuple[Dict[str, str], bytes]:
    if request is not None:
        headers, body = request.headers, request.content
    if headers is None:
        raise MissingWebhookHeaderError("no headers")
    if not body:
        raise MissingWebhookBodyError("no body")
    return {name.lower(): value for name, value in headers.items()}, body.encode() if isinstance(body, str) else bytes(body)


def _header(headers: Mapping[str, str], name: str) -> str:
    if not headers.get(name):
        raise MissingWebhookHeaderError(f"no {name} header")
    return headers[name]


def _secret_text(secret: Optional[Secret]) -> str:
    text = secret if isinstance(secret, str) else getattr(secret, "key", None)
    if not text:
        raise InvalidSecretKeyError("no signing secret")
    return str(text)


def _signing_key(secret: Optional[Secret]) -> bytes:
    prefix, _, encoded = _secret_text(secret).partition("_")
    try:
        if prefix == "whsec":
            return base64.b64decode(encoded, validate=True)
    except binascii.Error:
        pass
    # No cause is kept: the decoder's message could quote the secret.
    raise InvalidSecretKeyError("the signing secret is not whsec_ followed by base64") from None


def _decode(signature: str) -> bytes:
    try:
        return base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _check_age(timestamp: str, tolerance: int, *, now: float) -> None:
    if not timestamp.isdigit():
        raise InvalidTimestampError("the timestamp is not a number")
    if abs(now - int(timestamp)) > tolerance:
        raise InvalidTimestampError(f"the timestamp differs from now by more than {tolerance} s")


class Webhooks:
    """1.x's home of `validate`, which needs no client."""

    validate = staticmethod(validate)
    validate_replicate_signature = staticmethod(validate_replicate_signature)
