"""How much this machine offers: cores and memory that this server may really use."""

from __future__ import annotations

import os

from replicate_server.engine.cgroups import memory_limit
from replicate_server.engine.config import LocalEngineConfig
from replicate_server.ports.engine import Resources

_SLOTS_PER_CORE = 2
_MEMORY_SHARE = 0.75


def available_memory_bytes() -> int:
    """The machine's memory, or the limit on this server's control group when that is less."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = memory_limit()
    return physical if limit is None else min(physical, limit)


def measure_capacity(config: LocalEngineConfig, gpus: int) -> Resources:
    """What the engine may use in all, the operator's word first.

    A processor slot is a share, not a core: most models wait or use few cores, so two share one.
    """
    memory = config.memory_bytes
    return Resources(
        cpu_slots=len(os.sched_getaffinity(0)) * _SLOTS_PER_CORE if config.cpu_slots is None else config.cpu_slots,
        memory_bytes=int(available_memory_bytes() * _MEMORY_SHARE) if memory is None else memory,
        gpus=gpus if config.gpus is None else min(gpus, config.gpus),
    )
