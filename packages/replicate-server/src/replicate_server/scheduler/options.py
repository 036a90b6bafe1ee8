"""The scheduler's limits as one frozen value. `bootstrap` fills it from the settings; nothing here reads the environment."""

from __future__ import annotations

from dataclasses import dataclass, field

from replicate_server.ports.engine import Resources

MEBIBYTE = 1024**2


@dataclass(frozen=True, slots=True)
class SchedulerOptions:
    """Every number the scheduler decides by. Units end the names; the first block mirrors settings of the same names."""

    prediction_attempts_max: int = 3
    prediction_timeout_seconds: float = 1800
    queue_length_max: int = 1_000_000
    logs_bytes_max: int = 5 * MEBIBYTE
    output_bytes_max: int = 64 * MEBIBYTE
    setup_timeout_seconds: float = 600
    setup_failures_max: int = 3
    quarantine_seconds: float = 300
    instance_idle_seconds: float = 300
    instances_per_version_max: int = 4
    instance_resources: Resources = field(default_factory=Resources)
    cancel_grace_seconds: float = 10
    lease_seconds: float = 15
    shutdown_grace_seconds: float = 25

    tick_seconds: float = 1.0
    """Longest time between two looks of the planner."""
    starvation_seconds: float = 10.0
    """How long a version may queue without any instance while others keep every resource busy; then one of theirs is drained."""
    scale_up_seconds: float = 2.0
    """A queue that the existing instances cannot work off within this time asks for one more instance."""
    setup_retry_seconds: float = 1.0
    """Wait after the first failed start of an instance; doubles with every further one."""
    fast_seconds: float = 0.02
    """Versions whose predictions take less than this on average are claimed ahead."""
    lookahead_seconds: float = 0.1
    """How much work, by its average time, is claimed ahead for a fast version."""
    lookahead_max: int = 256
    """Most predictions claimed ahead for one slot."""
    mark_seconds: float = 0.02
    """A prediction that still runs after this is marked as processing; a shorter one costs no such write."""
    setup_log_bytes_max: int = MEBIBYTE
    """Setup log kept of one instance, head and tail."""
