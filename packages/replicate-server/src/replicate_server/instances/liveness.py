"""Whether a silent instance is busy or lost: a rule over times and samples. Pure; the instance asks it on a timer.

An instance is lost when, for a whole lease, it neither answered nor used processor time. Code that holds the interpreter lock
cannot answer but computes; a stopped process does neither, whatever it had used before. Source:
docs/decisions/0031-liveness.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

PINGS_PER_LEASE = 3


class Verdict(Enum):
    """What a tick finds."""

    ALIVE = auto()
    SILENT = auto()
    """It owes an answer: tell `Liveness.sampled` what its processes did, then judge again."""
    LOST = auto()


@dataclass(slots=True)
class Liveness:
    """Times are seconds of one monotonic clock."""

    lease_seconds: float
    alive_at: float
    """When it was last known to live."""
    ticked_at: float = field(init=False)
    _cpu_ticks: int | None = None

    def __post_init__(self) -> None:
        self.ticked_at = self.alive_at

    @property
    def interval_seconds(self) -> float:
        """Time between pings."""
        return self.lease_seconds / PINGS_PER_LEASE

    def heard(self, now: float) -> None:
        """It answered."""
        self.alive_at = now
        self._cpu_ticks = None

    def tick(self, now: float) -> Verdict:
        """Judge. A tick that comes much too late says that we slept, not that the instance did: the lease starts anew."""
        if now - self.ticked_at > 2 * self.interval_seconds:
            self.alive_at = now
        self.ticked_at = now
        return self.judge(now)

    def judge(self, now: float) -> Verdict:
        """Look at the silence so far."""
        silence = now - self.alive_at
        if silence >= self.lease_seconds:
            return Verdict.LOST
        return Verdict.SILENT if silence >= self.interval_seconds else Verdict.ALIVE

    def sampled(self, now: float, *, cpu_ticks: int, is_stopped: bool) -> None:
        """Take a silent instance's activity into account: computing counts as living, unless it is stopped."""
        if self._cpu_ticks is not None and cpu_ticks > self._cpu_ticks and not is_stopped:
            self.alive_at = now
        self._cpu_ticks = cpu_ticks

    def next_tick_seconds(self, now: float) -> float:
        """When to look again: at the interval, but not later than the end of the lease."""
        return max(0.01, min(self.interval_seconds, self.alive_at + self.lease_seconds - now))
