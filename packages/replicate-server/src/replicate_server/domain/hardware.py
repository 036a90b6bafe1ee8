"""The hardware that models may name: a fixed list of SKUs. Self-hosted, they are labels; an engine maps them to what it has.

Source: reference http-api §13.1.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hardware:
    """One SKU."""

    sku: str
    name: str
    dollars_per_second: float
    """What a second of running costs. Source: reference http-api §13.1."""


HARDWARE: tuple[Hardware, ...] = (
    Hardware("cpu", "CPU", 0.0001),
    Hardware("cpu-small", "CPU (Small)", 0.000025),
    Hardware("gpu-t4", "Nvidia T4 GPU", 0.000225),
    Hardware("gpu-l40s", "Nvidia L40S GPU", 0.000975),
    Hardware("gpu-l40s-2x", "2x Nvidia L40S GPU", 0.00195),
    Hardware("gpu-a100-large", "Nvidia A100 (80GB) GPU", 0.0014),
    Hardware("gpu-a100-large-2x", "2x Nvidia A100 (80GB) GPU", 0.0028),
    Hardware("gpu-h100", "Nvidia H100 GPU", 0.001525),
    Hardware("gpu-a40-small", "Nvidia A40 GPU", 0.000575),
    Hardware("gpu-a40-large", "Nvidia A40 (Large) GPU", 0.000725),
)

SKUS = frozenset(item.sku for item in HARDWARE)

_DOLLARS_PER_SECOND = {item.sku: item.dollars_per_second for item in HARDWARE}


def run_cost_dollars(sku: str | None, run_seconds: float) -> float | None:
    """What running costs, to a millionth of a cent; None for hardware without a price."""
    price = _DOLLARS_PER_SECOND.get(sku or "")
    return None if price is None else round(price * run_seconds, 8)
