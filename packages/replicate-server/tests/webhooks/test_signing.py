"""Signatures, against the published test vector and the public verifier."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from replicate.webhook import InvalidSignatureError, WebhookSigningSecret, validate
from replicate_server.webhooks.signing import SecretMalformed, build_signature_headers
from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_" + "b2xk" * 8


def test_the_published_vector_is_reproduced() -> None:
    headers = build_signature_headers(
        [SECRET], message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp_seconds=1614265330, body=b'{"test": 2432232314}'
    )
    assert headers["webhook-id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_public_verifier_accepts_the_headers() -> None:
    now = int(datetime.now(UTC).timestamp())  # noqa: TID251 - the verifier reads the machine's clock
    headers = build_signature_headers([SECRET], message_id="msg_1", timestamp_seconds=now, body='{"é":1}'.encode())
    assert Webhook(SECRET).verify('{"é":1}'.encode(), dict(headers)) == {"é": 1}


def test_the_plain_signature_is_the_hex_hmac_of_the_body_with_the_whole_secret() -> None:
    headers = build_signature_headers([SECRET], message_id="msg_1", timestamp_seconds=1, body=b"{}")
    expected = hmac.new(SECRET.encode(), b"{}", hashlib.sha256).hexdigest()
    assert headers["X-Replicate-Signature"] == f"sha256={expected}"


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
def test_a_receiver_with_either_secret_of_a_rotation_accepts_the_message(secret: str) -> None:
    now = int(datetime.now(UTC).timestamp())  # noqa: TID251 - the verifiers read the machine's clock
    headers = build_signature_headers([SECRET, OLD_SECRET], message_id="msg_1", timestamp_seconds=now, body=b'{"id": 1}')
    assert headers["webhook-signature"].count(" ") == 1
    assert Webhook(secret).verify(b'{"id": 1}', dict(headers)) == {"id": 1}
    validate(headers=headers, body=b'{"id": 1}', secret=WebhookSigningSecret(secret), tolerance=300)


def test_a_receiver_with_a_secret_that_is_neither_refuses_the_message() -> None:
    now = int(datetime.now(UTC).timestamp())  # noqa: TID251 - the verifiers read the machine's clock
    headers = build_signature_headers([SECRET, OLD_SECRET], message_id="msg_1", timestamp_seconds=now, body=b"{}")
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(b"{}", dict(headers))
    with pytest.raises(InvalidSignatureError):
        validate(headers=headers, body=b"{}", secret=WebhookSigningSecret("whsec_" + "A" * 32))


def test_the_plain_signature_is_made_with_the_current_secret() -> None:
    both = build_signature_headers([SECRET, OLD_SECRET], message_id="msg_1", timestamp_seconds=1, body=b"{}")
    alone = build_signature_headers([SECRET], message_id="msg_1", timestamp_seconds=1, body=b"{}")
    assert both["X-Replicate-Signature"] == alone["X-Replicate-Signature"]


@pytest.mark.parametrize("secret", ["sesame", "whsec_not base64!"])
def test_a_malformed_secret_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(SecretMalformed) as refused:
        build_signature_headers([secret], message_id="msg_1", timestamp_seconds=1, body=b"")
    assert secret not in str(refused.value)
