"""GPUs of this machine: which there are, which instance has which, and the device nodes a sandbox needs to show.

A GPU belongs to one instance at a time. Instances without one get an empty ``CUDA_VISIBLE_DEVICES``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_QUERY_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device."""

    index: int
    uuid: str
    """What ``CUDA_VISIBLE_DEVICES`` names it by: indexes change with the driver's order, this does not. The index when
    unknown."""
    name: str
    memory_bytes: int | None


class GpusExhausted(Exception):
    """Fewer GPUs are free than wanted."""


def parse_listing(text: str) -> list[Gpu]:
    """Read the output of ``nvidia-smi --query-gpu=index,uuid,name,memory.total --format=csv,noheader,nounits``."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 4 and cells[0].isdigit():
            memory = int(cells[3]) * 1024**2 if cells[3].isdigit() else None
            found.append(Gpu(int(cells[0]), cells[1], cells[2], memory))
    return found


def find_gpus(environ: Mapping[str, str], device_dir: Path = Path("/dev")) -> list[Gpu]:
    """Ask ``nvidia-smi``; without it, count device nodes. Runs a program."""
    program = shutil.which("nvidia-smi", path=environ.get("PATH"))
    if program is not None:
        query = [program, "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"]
        try:
            answer = subprocess.run(query, capture_output=True, text=True, timeout=_QUERY_TIMEOUT_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError):
            return []
        return parse_listing(answer.stdout)
    numbers = sorted(int(path.name[6:]) for path in device_dir.glob("nvidia*") if re.fullmatch(r"nvidia[0-9]+", path.name))
    return [Gpu(number, str(number), "unknown", None) for number in numbers]


def device_nodes(gpus: list[Gpu], device_dir: Path = Path("/dev")) -> tuple[str, ...]:
    """The nodes a sandbox must show for these GPUs: their own and the driver's shared ones."""
    if not gpus:
        return ()
    shared = [device_dir / name for name in ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "nvidia-caps")]
    own = [device_dir / f"nvidia{gpu.index}" for gpu in gpus]
    return tuple(str(path) for path in (*own, *shared) if path.exists())


@dataclass(slots=True)
class GpuPool:
    """Which GPUs are free."""

    gpus: list[Gpu]
    _taken: set[int] = field(default_factory=set)

    def take(self, count: int) -> list[Gpu]:
        """Reserve ``count`` GPUs, lowest index first.

        Raises:
            GpusExhausted: If fewer are free.
        """
        free = [gpu for gpu in self.gpus if gpu.index not in self._taken]
        if len(free) < count:
            raise GpusExhausted(f"needs {count} GPU{'' if count == 1 else 's'}; {len(free)} of {len(self.gpus)} free")
        chosen = free[:count]
        self._taken.update(gpu.index for gpu in chosen)
        return chosen

    def give_back(self, gpus: list[Gpu]) -> None:
        """End a reservation."""
        self._taken.difference_update(gpu.index for gpu in gpus)
