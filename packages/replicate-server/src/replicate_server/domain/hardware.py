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


HARDWARE: tuple[Hardware, ...] = (
    Hardware("cpu", "CPU"),
    Hardware("cpu-small", "CPU (Small)"),
    Hardware("gpu-t4", "Nvidia T4 GPU"),
    Hardware("gpu-l40s", "Nvidia L40S GPU"),
    Hardware("gpu-l40s-2x", "2x Nvidia L40S GPU"),
    Hardware("gpu-a100-large", "Nvidia A100 (80GB) GPU"),
    Hardware("gpu-a100-large-2x", "2x Nvidia A100 (80GB) GPU"),
    Hardware("gpu-h100", "Nvidia H100 GPU"),
    Hardware("gpu-a40-small", "Nvidia A40 GPU"),
    Hardware("gpu-a40-large", "Nvidia A40 (Large) GPU"),
)

SKUS = frozenset(item.sku for item in HARDWARE)
