"""Signatures, against the published test vector and the public verifier."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from replicate_server.webhooks.signing import SecretMalformed, build_signature_headers
from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_published_vector_is_reproduced() -> None:
    headers = build_signature_headers(
        SECRET, message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp_seconds=1614265330, body=b'{"test": 2432232314}'
    )
    assert headers["webhook-id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_public_verifier_accepts_the_headers() -> None:
    now = int(datetime.now(UTC).timestamp())  # noqa: TID251 - the verifier reads the machine's clock
    headers = build_signature_headers(SECRET, message_id="msg_1", timestamp_seconds=now, body='{"é":1}'.encode())
    assert Webhook(SECRET).verify('{"é":1}'.encode(), dict(headers)) == {"é": 1}


def test_the_plain_signature_is_the_hex_hmac_of_the_body_with_the_whole_secret() -> None:
    headers = build_signature_headers(SECRET, message_id="msg_1", timestamp_seconds=1, body=b"{}")
    expected = hmac.new(SECRET.encode(), b"{}", hashlib.sha256).hexdigest()
    assert headers["X-Replicate-Signature"] == f"sha256={expected}"


@pytest.mark.parametrize("secret", ["sesame", "whsec_not base64!"])
def test_a_malformed_secret_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(SecretMalformed) as refused:
        build_signature_headers(secret, message_id="msg_1", timestamp_seconds=1, body=b"")
    assert secret not in str(refused.value)
