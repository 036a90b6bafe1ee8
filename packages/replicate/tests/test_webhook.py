"""Webhook signatures: the published test vector, every way to be wrong, and secrets that stay hidden."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import httpx
import pytest
from replicate import Client
from replicate.webhook import (
    InvalidSecretKeyError,
    InvalidSignatureError,
    InvalidTimestampError,
    MissingWebhookBodyError,
    MissingWebhookHeaderError,
    Webhooks,
    WebhookSigningSecret,
    WebhookValidationError,
)

SECRET = WebhookSigningSecret(key="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
BODY = '{"test": 2432232314}'
HEADERS = {
    "Webhook-ID": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "Webhook-Timestamp": "1614265330",
    "Webhook-Signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def test_the_published_vector_is_valid() -> None:
    Webhooks.validate(headers=HEADERS, body=BODY, secret=SECRET)
    Webhooks.validate(request=httpx.Request("POST", "https://h.example", headers=HEADERS, content=BODY), secret=SECRET)


def test_any_one_of_several_signatures_may_match() -> None:
    signatures = "v1,AAAA v2,ignored " + HEADERS["Webhook-Signature"]
    Webhooks.validate(headers={**HEADERS, "Webhook-Signature": signatures}, body=BODY, secret=SECRET)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"headers": {**HEADERS, "Webhook-ID": "msg_other"}}, InvalidSignatureError),
        ({"headers": {**HEADERS, "Webhook-Signature": "v1,g0hM"}}, InvalidSignatureError),
        ({"headers": {**HEADERS, "Webhook-Signature": "nonsense"}}, InvalidSignatureError),
        ({"headers": {}}, MissingWebhookHeaderError),
        ({"headers": None}, MissingWebhookHeaderError),
        ({"body": BODY + " "}, InvalidSignatureError),
        ({"body": ""}, MissingWebhookBodyError),
        ({"secret": "whsec_not base64"}, InvalidSecretKeyError),
        ({"secret": "nothing"}, InvalidSecretKeyError),
        ({"secret": None}, InvalidSecretKeyError),
        ({"tolerance": 300}, InvalidTimestampError),
        ({"headers": {**HEADERS, "Webhook-Timestamp": "noon"}, "tolerance": 300}, InvalidTimestampError),
    ],
)
def test_every_flaw_has_its_error(change: dict[str, Any], expected: type[WebhookValidationError]) -> None:
    arguments = {"headers": HEADERS, "body": BODY, "secret": SECRET, **change}
    with pytest.raises(expected) as caught:
        Webhooks.validate(**arguments)
    assert "MfKQ9r8" not in str(caught.value)


def test_the_plain_signature_covers_the_whole_body() -> None:
    signature = "sha256=" + hmac.new(SECRET.key.encode(), BODY.encode(), hashlib.sha256).hexdigest()
    Webhooks.validate_replicate_signature({"X-Replicate-Signature": signature}, BODY, SECRET)
    with pytest.raises(InvalidSignatureError):
        Webhooks.validate_replicate_signature({"X-Replicate-Signature": signature}, BODY + " ", SECRET)


def test_the_secret_works_as_a_value_and_as_a_call(client: Client, platform: Any) -> None:
    platform.answer("GET", "/v1/webhooks/default/secret", {"key": SECRET.key})
    secret = client.webhooks.default.secret
    assert platform.requests == []
    assert str(secret) == secret.key == secret().key == secret.get().key == SECRET.key
    client.webhooks.validate(headers=HEADERS, body=BODY, secret=secret)


def test_secrets_do_not_show_themselves(client: Client) -> None:
    assert "whsec" not in repr(SECRET) + repr(client.webhooks.default.secret)
