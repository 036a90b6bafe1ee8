"""Identifiers: their types, and how new ones are made from given random bytes.

Owns the alphabets and lengths. Randomness comes in as bytes so that tests can replay it.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from typing import NewType

PredictionId = NewType("PredictionId", str)
AccountId = NewType("AccountId", str)
ModelId = NewType("ModelId", str)
VersionId = NewType("VersionId", str)
"""sha256 of the version's OCI manifest, 64 lower-case hex digits."""
FileId = NewType("FileId", str)
InstanceId = NewType("InstanceId", str)
HolderId = NewType("HolderId", str)
"""One run of one server process; claims name it, so that claims of a dead process are recognised."""

RANDOM_BYTES = 16

# Lower-case Crockford base 32: no i, l, o, u, so that ids survive being read aloud.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Two characters at once: an id is made for every prediction.
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_PAIR_SHIFTS = tuple(range(120, -1, -10))


def build_prediction_id(random: bytes) -> PredictionId:
    """Make a 26-character lower-case id from 16 random bytes (as the hosted service's: reference http-api §2.1)."""
    number = int.from_bytes(random[:RANDOM_BYTES], "big")
    return PredictionId("".join([_PAIRS[(number >> shift) & 1023] for shift in _PAIR_SHIFTS]))


def build_record_id(prefix: str, random: bytes) -> str:
    """Make an id for a stored record: ``<prefix>_<26 characters>``, for example ``acct_…``, ``model_…``, ``tok_…``, ``msg_…``."""
    return f"{prefix}_{build_prediction_id(random)}"


def build_file_id(random: bytes) -> FileId:
    """Make a 48-character file id: base64 of a UUID's text (as the hosted service's: reference http-api §1.4)."""
    return FileId(base64.b64encode(str(uuid.UUID(bytes=random[:16], version=4)).encode()).decode())


def build_token(random: bytes) -> str:
    """Make an API token: ``r8_`` and 37 letters and digits, at least 128 bits of which are random.

    Args:
        random: 32 random bytes.
    """
    number = int.from_bytes(random[:32], "big")
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    characters = []
    for _ in range(37):
        number, digit = divmod(number, len(alphabet))
        characters.append(alphabet[digit])
    return "r8_" + "".join(characters)


def token_digest(token: str) -> str:
    """The only form in which a token is stored: sha256 hex. A plain hash suffices because tokens are random (promise I3)."""
    return hashlib.sha256(token.encode()).hexdigest()


def build_secret_text(random: bytes) -> str:
    """Make a capability for a URL path: 43 URL-safe characters from 32 random bytes."""
    return base64.urlsafe_b64encode(random[:32]).rstrip(b"=").decode()
