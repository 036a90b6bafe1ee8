"""Reading the API's timestamps. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Optional

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?\s*(Z|z|[+-]\d\d:?\d\d)?$")


def parse_time(text: str) -> Optional[datetime]:
    """Parse an ISO-8601 time with any number of fraction digits and ``Z``; None for anything else.

    The service writes milli-, micro- and nanoseconds for the same record; CPython 3.9 and 3.10 read neither ``Z`` nor nine
    digits.
    """
    match = _TIME.match(text)
    if match is None:
        return None
    date, clock, fraction, zone = match.groups()
    zone = {"Z": "+00:00", "z": "+00:00"}.get(zone or "", zone or "+00:00")
    zone = zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    return datetime.fromisoformat(f"{date}T{clock}.{(fraction or '')[:6]:0<6}{zone}")
