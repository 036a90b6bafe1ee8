"""What an operator may choose about the local engine, as one frozen value. Reads no environment and no settings object."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class SandboxChoice(StrEnum):
    """How model code is isolated."""

    AUTO = "auto"
    """Bubblewrap where it works, else the process sandbox."""
    BUBBLEWRAP = "bubblewrap"
    PROCESS = "process"


@dataclass(frozen=True, slots=True)
class LocalEngineConfig:
    """Everything the local engine needs to know; `bootstrap` fills it from the settings."""

    data_dir: Path
    """Environments, the model runtime and the scratch folders live below it."""
    sandbox: SandboxChoice = SandboxChoice.AUTO
    allows_network: bool = True
    """Whether model code may open connections."""
    cpu_slots: float | None = None
    """None: two for each core."""
    memory_bytes: int | None = None
    """None: three quarters of the machine's, or of this server's own control group."""
    gpus: int | None = None
    """None: those found. A number uses at most that many of them."""
    cancel_grace_seconds: float = 10.0
    stop_grace_seconds: float = 5.0
    lease_seconds: float = 15.0
    describe_timeout_seconds: float = 120.0
    environment_timeout_seconds: float = 1800.0
    processes_max: int = 4096
    """Processes and threads of one instance."""
    builds_from_source: bool = False
    """Whether requirements without a wheel may be built where there is no bubblewrap. That runs their authors' code with the
    server's rights; with bubblewrap it runs isolated, and always may."""
    build_memory_bytes: int = 8 * 1024**3
    """Memory of one build from source, where it is isolated."""
    passed_variables: tuple[str, ...] = ()
    """Names of the server's environment variables that models get."""

    @property
    def environments_dir(self) -> Path:
        """One virtual environment a folder, named by digest."""
        return self.data_dir / "environments"

    @property
    def runtime_dir(self) -> Path:
        """Copies of the ``cog`` package, named by digest."""
        return self.data_dir / "runtime"

    @property
    def scratch_dir(self) -> Path:
        """One folder for each running instance."""
        return self.data_dir / "scratch"
