"""The local engine: instances are processes of this machine, each in a sandbox with limits, environments and devices of its own.

Owns the data folder's ``environments``, ``runtime`` and ``scratch``. Implements `replicate_server.ports.engine.Engine`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replicate_server.domain.ids import InstanceId
from replicate_server.domain.records import Package
from replicate_server.engine.cgroups import ControlGroup, Limits, find_control_groups
from replicate_server.engine.config import LocalEngineConfig
from replicate_server.engine.environments import Environment, Environments, LogSink
from replicate_server.engine.gpus import Gpu, GpuPool, GpusExhausted, device_nodes, find_gpus
from replicate_server.engine.interpreters import Interpreters
from replicate_server.engine.machine import measure_capacity
from replicate_server.engine.processes import is_alive
from replicate_server.engine.runtime import compile_runtime, install_runtime
from replicate_server.engine.sandbox import BubblewrapSandbox, Launch, Sandbox, choose_sandbox
from replicate_server.engine.source_builds import SourceBuilds
from replicate_server.engine.uv import Uv, cache_dir, find_uv
from replicate_server.instances.description import Description
from replicate_server.instances.local_instance import LocalInstance, Patience, PreparedWorker
from replicate_server.instances.worker_process import BuildLaunch, Surroundings, WorkerProcess
from replicate_server.ports.engine import InstanceObserver, InstanceSpec, PackageBroken, Resources
from replicate_server.ports.packages import PackageSource

_DESCRIBE_MEMORY_BYTES = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class _Machine:
    """What was found on this machine when the engine started."""

    surroundings: Surroundings
    environments: Environments
    runtime: Path
    gpus: GpuPool
    capacity: Resources


class LocalEngine:
    """Places instances on this machine."""

    def __init__(self, config: LocalEngineConfig, packages: PackageSource, environ: Mapping[str, str] | None = None) -> None:
        """Look at the machine and make the folders; runs a few short programs, so make it before the loop serves anyone.

        Args:
            config: The operator's choices.
            packages: Where the files of a version come from.
            environ: The environment that uv and the search for interpreters see; the process's own when None.

        Raises:
            SandboxMissing: If the config demands bubblewrap and it does not work here.
            UvMissing: If there is no uv.
        """
        self._config = config
        self._packages = packages
        self._machine = _survey(config, dict(os.environ) if environ is None else environ)
        self._instances: dict[InstanceId, LocalInstance] = {}
        self._gpus_taken: dict[InstanceId, list[Gpu]] = {}

    @property
    def sandbox(self) -> Sandbox:
        """The isolation that instances get."""
        return self._machine.surroundings.sandbox

    def capacity(self) -> Resources:
        """What this engine may use in all; settings cap it."""
        return self._machine.capacity

    async def lock_requirements(self, requirements: str, *, python_version: str, log: Callable[[str], None]) -> str:
        """Resolve requirements to pins with hashes. Already pinned text with hashes is kept as it is.

        Raises:
            PackageBroken: If they cannot be resolved.
        """
        return await self._machine.environments.lock(requirements, python_version=python_version, log=log)

    async def describe(self, package: Package, source_dir: str, *, log: Callable[[str], None]) -> Mapping[str, Any]:
        """Build the environment if need be, import the runner in it, sandboxed, and return its OpenAPI document.

        Raises:
            PackageBroken: If the environment cannot be built or the runner cannot be imported.
        """
        environment = await self._environment(package, log)
        name = f"describe-{secrets.token_hex(8)}"
        limits = Limits(_DESCRIBE_MEMORY_BYTES, self._config.processes_max)
        description = Description(log)
        worker = WorkerProcess(
            self._machine.surroundings, name, limits=limits, wrote=description.wrote, exited=description.exited
        )
        build_launch = self._launch_builder(name, package, environment, Path(source_dir), gpus=[], limits=limits)
        return await description.ask(worker, build_launch, package, timeout_seconds=self._config.describe_timeout_seconds)

    async def start_instance(self, spec: InstanceSpec, observer: InstanceObserver) -> LocalInstance:
        """Begin to start an instance and return at once; ``ready`` or ``setup_failed`` and ``exited`` follow."""
        config = self._config
        patience = Patience(config.cancel_grace_seconds, config.stop_grace_seconds, config.lease_seconds)

        async def prepare(instance: LocalInstance) -> PreparedWorker:
            return await self._prepare(spec, observer, instance)

        instance = LocalInstance(spec, observer, patience=patience, prepare=prepare, gone=self._forget)
        self._instances[instance.id] = instance
        return instance

    async def close(self) -> None:
        """Stop every instance and release what the engine holds."""
        await asyncio.gather(*(instance.stop() for instance in tuple(self._instances.values())))
        await self._machine.environments.close()

    async def _prepare(self, spec: InstanceSpec, observer: InstanceObserver, instance: LocalInstance) -> PreparedWorker:
        """Everything that an instance needs before its process: environment, files, devices."""
        package = spec.version.package
        environment = await self._environment(package, lambda text: observer.setup_logged(spec.instance_id, text))
        source = Path(await self._packages.source_dir(spec.version.id, package))
        try:
            gpus = self._gpus_taken[spec.instance_id] = self._machine.gpus.take(spec.resources.gpus)
        except GpusExhausted as error:
            raise PackageBroken(str(error)) from error
        limits = Limits(spec.resources.memory_bytes, self._config.processes_max)
        worker = WorkerProcess(
            self._machine.surroundings, spec.instance_id, limits=limits, wrote=instance.wrote, exited=instance.exited
        )
        build_launch = self._launch_builder(spec.instance_id, package, environment, source, gpus=gpus, limits=limits)
        return PreparedWorker(worker, build_launch)

    async def _environment(self, package: Package, log: LogSink) -> Environment:
        lock, version = package.requirements_lock, package.python_version
        environment = await self._machine.environments.ensure(python_version=version, lock=lock, log=log)
        interpreter = environment.interpreter
        await asyncio.to_thread(compile_runtime, self._machine.runtime, interpreter.path, interpreter.minor_version)
        return environment

    def _launch_builder(
        self, name: str, package: Package, environment: Environment, source: Path, *, gpus: list[Gpu], limits: Limits
    ) -> BuildLaunch:
        def build_launch(socket_fd: int, group: ControlGroup | None) -> Launch:
            return Launch(
                instance_id=name,
                interpreter=environment.interpreter,
                environment_dir=environment.path,
                runtime_dir=self._machine.runtime,
                source_dir=source,
                folder=self._config.scratch_dir.resolve() / f"{os.getpid()}-{name}",
                socket_fd=socket_fd,
                variables=package.environment,
                device_nodes=device_nodes(gpus),
                visible_devices=",".join(gpu.uuid for gpu in gpus),
                allows_network=self._config.allows_network,
                memory_bytes=None if group is not None else limits.memory_bytes,
                processes_max=None if group is not None else limits.processes_max,
            )

        return build_launch

    def _forget(self, instance: LocalInstance) -> None:
        self._instances.pop(instance.id, None)
        self._machine.gpus.give_back(self._gpus_taken.pop(instance.id, []))


def _survey(config: LocalEngineConfig, environ: Mapping[str, str]) -> _Machine:
    """Find what the engine works with, and clear away what a dead server left."""
    for folder in (config.environments_dir, config.runtime_dir, config.scratch_dir):
        folder.mkdir(parents=True, exist_ok=True)
    groups = find_control_groups()
    groups.sweep()
    _sweep_scratch(config.scratch_dir)
    gpus = find_gpus(environ)
    capacity = measure_capacity(config, len(gpus))
    sandbox = choose_sandbox(config.sandbox, environ, config.passed_variables)
    source_builds = None
    if isinstance(sandbox, BubblewrapSandbox):
        source_builds = SourceBuilds(
            sandbox,
            config.environments_dir.resolve(),
            allows_network=config.allows_network,
            groups=groups,
            limits=Limits(config.build_memory_bytes, config.processes_max),
        )
        source_builds.sweep()
    environments = Environments(
        folder=config.environments_dir.resolve(),
        uv=Uv(find_uv(environ), environ, cache_dir(environ, data_dir=config.data_dir)),
        interpreters=Interpreters(environ),
        timeout_seconds=config.environment_timeout_seconds,
        builds_from_source=config.builds_from_source,
        source_builds=source_builds,
    )
    return _Machine(
        surroundings=Surroundings(sandbox, groups),
        environments=environments,
        runtime=install_runtime(config.runtime_dir.resolve()),
        gpus=GpuPool(gpus[: capacity.gpus]),
        capacity=capacity,
    )


def _sweep_scratch(folder: Path) -> None:
    """Remove the folders of instances whose server is dead; their names begin with its process id."""
    for left in folder.iterdir():
        pid = left.name.split("-")[0]
        if pid.isdigit() and not is_alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
