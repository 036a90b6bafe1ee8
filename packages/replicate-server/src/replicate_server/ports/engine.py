"""The engine port: places instances of versions on hardware and carries messages to and from them.

An engine knows nothing of the store, the queue or HTTP. It tells what happens to an instance through an `InstanceObserver`,
called on the event loop's thread, never concurrently, and it never raises into its caller for what a model does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from cog.worker.protocol import Done, Log, Metric, Output

from replicate_server.domain.ids import InstanceId, PredictionId
from replicate_server.domain.records import Package, Version


@dataclass(frozen=True, slots=True)
class Resources:
    """What an instance needs, or what a machine has."""

    cpu_slots: float = 1.0
    memory_bytes: int = 2 * 1024**3
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """A wish for one running copy of a version."""

    instance_id: InstanceId
    version: Version
    resources: Resources
    setup_timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """One prediction for an instance. ``input`` is validated; its file inputs are local host paths given in ``files``."""

    prediction_id: PredictionId
    input: Mapping[str, Any]
    files: Mapping[str, str] = field(default_factory=dict)
    """JSON Pointer into ``input`` → host path of the bytes; the engine brings them where the model can read them and
    puts that path at the pointer. The file's name is the path's last component."""
    context: Mapping[str, str] = field(default_factory=dict)


class InstanceObserver(Protocol):
    """What the scheduler wants to hear of an instance. Calls are quick and do not block."""

    def setup_logged(self, instance_id: InstanceId, text: str) -> None:
        """The environment build or ``setup()`` wrote text (whole lines)."""
        ...

    def ready(self, instance_id: InstanceId, slots: int) -> None:
        """``setup()`` succeeded; ``slots`` predictions may run at once."""
        ...

    def setup_failed(self, instance_id: InstanceId, error: str) -> None:
        """The environment, the import or ``setup()`` failed or timed out. ``exited`` follows."""
        ...

    def logged(self, instance_id: InstanceId, message: Log) -> None:
        """A prediction wrote a line."""
        ...

    def output(self, instance_id: InstanceId, message: Output) -> None:
        """A prediction yielded a value. ``OutputFile.path`` is a host path by now, checked to lie in the scratch folder."""
        ...

    def metric(self, instance_id: InstanceId, message: Metric) -> None:
        """A prediction recorded a metric."""
        ...

    def done(self, instance_id: InstanceId, message: Done) -> None:
        """A prediction ended; its slot is free. ``OutputFile.path`` is a host path by now."""
        ...

    def exited(self, instance_id: InstanceId, reason: str) -> None:
        """The instance is gone, wanted or not; the last call.

        ``reason`` names the signal or exit code, for example ``killed by SIGKILL (out of memory)``. Predictions it was running
        get no ``done``.
        """
        ...


class Instance(Protocol):
    """A running copy of a version."""

    @property
    def id(self) -> InstanceId:
        """Its id, unique for ever."""
        ...

    def predict(self, work: Work) -> None:
        """Start a prediction in a free slot. Returns at once; everything else comes through the observer."""
        ...

    def cancel(self, prediction_id: PredictionId) -> None:
        """Ask the code to stop; kill the instance if it has not ended within the engine's grace (promise J6)."""
        ...

    def discard_files(self, prediction_id: PredictionId) -> None:
        """Remove the prediction's scratch folder, if it has one. Called after its outputs were ingested."""
        ...

    async def stop(self) -> None:
        """End the instance: politely when idle, by force after the engine's grace. ``exited`` is called before this returns."""
        ...


class PackageBroken(Exception):
    """A package cannot be turned into something that runs. ``log`` is for the author: the resolver's or importer's own words."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class Engine(Protocol):
    """Places instances."""

    def capacity(self) -> Resources:
        """What this engine may use in all; settings cap it."""
        ...

    async def lock_requirements(self, requirements: str, *, python_version: str, log: Callable[[str], None]) -> str:
        """Resolve the text of a requirements file to pins with hashes. Text that is pinned and hashed already is kept as it is.

        Raises:
            PackageBroken: If they cannot be resolved.
        """
        ...

    async def describe(self, package: Package, source_dir: str, *, log: Callable[[str], None]) -> Mapping[str, Any]:
        """Build the environment if need be, import the runner in it and return its OpenAPI document.

        Args:
            package: As it will be stored; ``layers`` may still be empty.
            source_dir: A host folder with the model's files.
            log: Called with progress text for a person.

        Raises:
            PackageBroken: If the environment cannot be built or the runner cannot be imported.
        """
        ...

    async def start_instance(self, spec: InstanceSpec, observer: InstanceObserver) -> Instance:
        """Begin to start an instance and return at once; ``ready`` or ``setup_failed`` and ``exited`` follow."""
        ...

    async def close(self) -> None:
        """Stop every instance and release what the engine holds."""
        ...
