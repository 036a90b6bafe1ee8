"""How far a prediction has come, read from the progress bars that models print."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

_BAR = re.compile(r"\s*(?P<percentage>\d+)%\s*\|.+?\|\s*(?P<current>\d+)/(?P<total>\d+)")


@dataclass(frozen=True)
class Progress:
    """A position in a count.

    Attributes:
        percentage: Fraction done, 0 to 1 (the name is 1.x's).
        current: Steps done.
        total: Steps in all.
    """

    percentage: float
    current: int
    total: int

    @classmethod
    def parse(cls, logs: str) -> Optional[Progress]:
        """Read the last progress bar (as tqdm prints them) of a log; None when there is none."""
        for line in reversed(re.split(r"[\r\n]", logs)):
            match = _BAR.match(line)
            if match:
                return cls(int(match["percentage"]) / 100.0, int(match["current"]), int(match["total"]))
        return None
