"""Request headers with a grammar of their own: credentials, preferences, durations, resume positions. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from replicate_server.domain.errors import InvalidRequest, Unauthenticated

WAIT_SECONDS_MAX = 60.0
CANCEL_AFTER_SECONDS_MIN = 5
CANCEL_AFTER_SECONDS_MAX = 366 * 24 * 3600

_CREDENTIALS = re.compile(r"(?:bearer|token)[ \t]+(\S+)[ \t]*", re.IGNORECASE)
_WAIT = re.compile(r"wait(?:=\"?(\d{1,9})\"?)?", re.IGNORECASE)
_DURATION = re.compile(r"(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s?)?", re.IGNORECASE)
_EVENT_ID = re.compile(r"\d+:(\d{1,18})")


@dataclass(frozen=True, slots=True)
class WaitPreference:
    """A ``Prefer: wait`` that was understood."""

    seconds: float
    applied: str
    """What to echo in ``Preference-Applied``."""


def parse_credentials(authorization: str) -> str:
    """The token of an ``Authorization`` header: scheme ``Bearer`` or ``Token`` in any case.

    Raises:
        Unauthenticated: If it is missing or of another scheme.
    """
    match = _CREDENTIALS.fullmatch(authorization)
    if match is None:
        raise Unauthenticated
    return match[1]


def parse_prefer(prefer: str, *, seconds_max: float) -> WaitPreference | None:
    """The ``wait`` among the preferences of a ``Prefer`` header; None without one. Other preferences are ignored (RFC 7240).

    A number is clamped to 1…60 rather than refused: some clients ask for more. The prediction service keeps a margin of it back,
    because clients give up when it has passed and then repeat the POST (reference http-api §2.3).
    """
    for part in prefer.split(","):
        match = _WAIT.fullmatch(part.strip())
        if match is not None:
            asked = WAIT_SECONDS_MAX if match[1] is None else float(match[1])
            return WaitPreference(max(1.0, min(asked, WAIT_SECONDS_MAX, seconds_max)), part.strip())
    return None


def parse_cancel_after(text: str) -> float:
    """Read ``30``, ``30s``, ``5m`` or ``1h30m45s`` as seconds.

    Raises:
        InvalidRequest: If it is no duration, or out of bounds.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise InvalidRequest("Cancel-After must be a duration such as 30, 30s, 5m or 1h30m45s")
    hours, minutes, seconds = (int(group or 0) for group in match.groups())
    total = hours * 3600 + minutes * 60 + seconds
    if not CANCEL_AFTER_SECONDS_MIN <= total <= CANCEL_AFTER_SECONDS_MAX:
        raise InvalidRequest(f"Cancel-After must be at least {CANCEL_AFTER_SECONDS_MIN} seconds and at most 366 days")
    return float(total)


def parse_last_event_id(text: str) -> int:
    """The sequence number in an event id ``<unix seconds>:<sequence>``; 0, the beginning, for anything else."""
    match = _EVENT_ID.fullmatch(text.strip())
    return 0 if match is None else int(match[1])


def knows_aborted(statuses: str) -> bool:
    """Whether a ``Replicate-Statuses`` header (a comma-separated list) says that the client understands ``aborted``."""
    return any(part.strip().lower() == "aborted" for part in statuses.split(","))
