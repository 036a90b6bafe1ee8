"""The composition root: the only place where ports meet adapters. Nothing is decided here but which parts work together."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cog import __version__ as cog_version

from replicate_server.administration import DATABASE_NAME
from replicate_server.api.app import Api, ApiLimits, ApiServices, build_app
from replicate_server.api.calls import CatalogueServices
from replicate_server.api.urls import Urls
from replicate_server.api.wire import encode_prediction
from replicate_server.blobs import open_blobs
from replicate_server.caches import choose_removals, remove_entry
from replicate_server.domain.rate_limits import RateClass
from replicate_server.engine.config import LocalEngineConfig, SandboxChoice
from replicate_server.engine.environments import find_entries as find_environments
from replicate_server.engine.local import LocalEngine
from replicate_server.events import LocalEventHub
from replicate_server.fetching import GuardedFetcher
from replicate_server.ports.blobs import BlobStore
from replicate_server.ports.clock import Clock, Randomness, SystemClock, SystemRandomness
from replicate_server.ports.engine import Engine, Resources
from replicate_server.ports.packages import PackageSource
from replicate_server.ports.store import Store
from replicate_server.registry.source import UnpackedPackages
from replicate_server.registry.source import find_entries as find_unpacked
from replicate_server.registry.unpacking import UnpackLimits
from replicate_server.scheduler.options import SchedulerOptions
from replicate_server.scheduler.scheduler import Scheduler, SchedulerParts
from replicate_server.services.accounts import AccountService
from replicate_server.services.collections import CollectionService, SearchService
from replicate_server.services.deployments import DeploymentService
from replicate_server.services.file_sweeper import FileSweeper
from replicate_server.services.files import FileService
from replicate_server.services.idempotency import IdempotentCreates
from replicate_server.services.input_files import InputFiles
from replicate_server.services.model_editing import ModelEditing
from replicate_server.services.models import ModelService
from replicate_server.services.output_files import OutputFiles
from replicate_server.services.predictions import PredictionService
from replicate_server.services.publishing import Platform as BuildTarget
from replicate_server.services.publishing import PublishService
from replicate_server.services.rate_limiter import RateLimiter
from replicate_server.services.validation import validate_input
from replicate_server.services.version_removal import RemovalParts, VersionRemoval
from replicate_server.services.versions import VersionService
from replicate_server.settings import Settings
from replicate_server.store import open_store
from replicate_server.webhooks.composer import WebhookComposer
from replicate_server.webhooks.deliverer import WebhookDeliverer

EngineBuilder = Callable[[LocalEngineConfig, PackageSource], Engine]

DEFAULT_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
"""For packages whose cog.yaml names no Python version: the server's own, the one version that the machine is sure to have."""
_ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}
"""The machine's names in Go's words, which OCI uses."""


@dataclass(frozen=True)
class Platform:
    """One server, assembled. ``start`` and ``close`` are called once each, on the loop that serves ``app``."""

    app: Api
    settings: Settings
    store: Store
    engine: Engine
    hub: LocalEventHub
    fetcher: GuardedFetcher
    accounts: AccountService
    predictions: PredictionService
    publishing: PublishService
    creates: IdempotentCreates
    scheduler: Scheduler
    deliverer: WebhookDeliverer
    sweeper: FileSweeper

    async def start(self) -> None:
        """Rescue what an earlier process left and begin every background duty."""
        await self.scheduler.start()
        self.accounts.start()
        self.creates.start()
        self.deliverer.start()
        self.sweeper.start()

    def close_admission(self) -> None:
        """Refuse new predictions from now on."""
        self.scheduler.close_admission()

    async def drain(self, grace_seconds: float) -> None:
        """Let running predictions end within the grace, hand the others over, and end every wait and stream.

        Everything else is still answered, so that clients can look at what becomes of their predictions.
        """
        await self.scheduler.stop(grace_seconds=grace_seconds)
        self.hub.close()

    async def close(self) -> None:
        """End everything at once; what should end in peace is given `drain` first. The store goes last."""
        await self.scheduler.stop(grace_seconds=0)
        self.hub.close()
        await self.sweeper.stop()
        await self.deliverer.stop()
        await self.creates.stop()
        await self.accounts.stop()
        await self.engine.close()
        await self.fetcher.close()
        await self.store.close()


def build_platform(
    settings: Settings,
    *,
    build_engine: EngineBuilder = LocalEngine,
    clock: Clock | None = None,
    randomness: Randomness | None = None,
) -> Platform:
    """Assemble a server. Opens the database and makes the folders; serves nothing yet.

    Args:
        settings: With the real port, because every URL is built from it.
        build_engine: Makes the engine; tests pass one without processes.
        clock: The machine's when None.
        randomness: For ids and secrets; the machine's when None.

    Raises:
        replicate_server.store.opening.StoreInUse: If another server works on the data folder.
    """
    clock = clock or SystemClock()
    randomness = randomness or SystemRandomness()
    data_dir = settings.data_dir.absolute()
    urls = Urls(settings.base_url)
    # The store comes first: it holds the lock of the folder, and what is in a folder in use is nobody else's to clear.
    store = open_store(data_dir / DATABASE_NAME, clock=clock)
    folders = _make_folders(data_dir)
    blobs = open_blobs(folders.blobs)
    _trim_caches(data_dir, settings.caches_bytes_max)
    fetcher = _build_fetcher(settings, clock)
    unpack_limits = UnpackLimits(settings.package_bytes_max)
    packages = UnpackedPackages(data_dir, blobs, unpack_limits)
    engine = build_engine(_engine_config(settings, data_dir), packages)

    accounts = AccountService(store, clock, randomness)
    models = ModelService(store, clock, randomness)
    versions = VersionService(store, models, clock)
    hub = LocalEventHub(store, heartbeat_seconds=settings.stream_heartbeat_seconds)
    deliverer = WebhookDeliverer(store, fetcher, accounts.signing_keys, clock, randomness=randomness)
    scheduler = _build_scheduler(
        settings, _Outside(store, hub, engine, clock, randomness, blobs, fetcher, urls, deliverer.wake, folders.inputs)
    )
    predictions = PredictionService(
        store, hub, scheduler, clock, randomness, validate_input, wait_seconds_max=settings.sync_wait_seconds_max
    )
    files = _build_files(settings, store, blobs, clock, randomness)
    content_lock = asyncio.Lock()
    publishing = _build_publishing(store, models, blobs, engine, clock, folders.work, unpack_limits, content_lock)
    removal = RemovalParts(blobs, packages, content_lock, predictions.is_running)
    catalogue = build_catalogue(store, models, versions, clock, randomness, removal)
    creates = IdempotentCreates(store, clock, keep_seconds=settings.idempotency_seconds)
    limiter = _build_limiter(settings)
    services = ApiServices(
        accounts, predictions, models, versions, files, publishing, creates, limiter, fetcher, clock, catalogue
    )
    return Platform(
        app=build_app(services, urls, _api_limits(settings)),
        settings=settings,
        store=store,
        engine=engine,
        hub=hub,
        fetcher=fetcher,
        accounts=accounts,
        predictions=predictions,
        publishing=publishing,
        creates=creates,
        scheduler=scheduler,
        deliverer=deliverer,
        sweeper=FileSweeper(store, blobs, clock),
    )


def _build_publishing(
    store: Store,
    models: ModelService,
    blobs: BlobStore,
    engine: Engine,
    clock: Clock,
    work_dir: Path,
    limits: UnpackLimits,
    content_lock: asyncio.Lock,
) -> PublishService:
    return PublishService(
        store=store,
        models=models,
        blobs=blobs,
        engine=engine,
        clock=clock,
        work_dir=work_dir,
        limits=limits,
        platform=_build_target(),
        content_lock=content_lock,
    )


def build_catalogue(
    store: Store, models: ModelService, versions: VersionService, clock: Clock, randomness: Randomness, removal: RemovalParts
) -> CatalogueServices:
    """Assemble the use cases around finding, editing and deploying models."""
    editing = ModelEditing(store, models, clock)
    return CatalogueServices(
        editing=editing,
        removal=VersionRemoval(store, editing, versions, removal),
        collections=CollectionService(store, clock),
        search=SearchService(store),
        deployments=DeploymentService(store, versions, clock, randomness),
    )


@dataclass(frozen=True, slots=True)
class _Folders:
    blobs: Path
    inputs: Path
    work: Path


@dataclass(frozen=True, slots=True)
class _Outside:
    """What the scheduler's parts are built from."""

    store: Store
    hub: LocalEventHub
    engine: Engine
    clock: Clock
    randomness: Randomness
    blobs: BlobStore
    fetcher: GuardedFetcher
    urls: Urls
    wake_deliverer: Callable[[], None]
    inputs_dir: Path


def _make_folders(data_dir: Path) -> _Folders:
    folders = _Folders(data_dir / "blobs", data_dir / "inputs", data_dir / "work")
    # Input files of predictions that a killed server was running.
    shutil.rmtree(folders.inputs, ignore_errors=True)
    for folder in (folders.blobs, folders.inputs, folders.work):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folders


def _api_limits(settings: Settings) -> ApiLimits:
    return ApiLimits(
        settings.prediction_body_bytes_max, settings.sync_wait_seconds_max, allows_http_webhooks=settings.allows_private_targets
    )


def _build_limiter(settings: Settings) -> RateLimiter:
    per_minute = {
        RateClass.PREDICTION_CREATES: settings.prediction_creates_per_minute,
        RateClass.PREDICTION_READS: settings.prediction_reads_per_minute,
        RateClass.OTHERS: settings.other_requests_per_minute,
    }
    return RateLimiter(per_minute, time.monotonic)


def _trim_caches(data_dir: Path, size_bytes_max: int) -> None:
    """Make room among environments and unpacked versions, while nobody uses them."""
    entries = [*find_environments(data_dir / "environments"), *find_unpacked(data_dir / "packages")]
    for entry in choose_removals(entries, size_bytes_max=size_bytes_max):
        remove_entry(entry)


def _build_files(settings: Settings, store: Store, blobs: BlobStore, clock: Clock, randomness: Randomness) -> FileService:
    return FileService(
        store,
        blobs,
        clock,
        randomness,
        size_bytes_max=settings.file_bytes_max,
        expiry_seconds=settings.file_expiry_seconds,
    )


def _build_fetcher(settings: Settings, clock: Clock) -> GuardedFetcher:
    return GuardedFetcher(
        allows_private=settings.allows_private_targets,
        clock=clock,
        get_timeout_seconds=settings.fetch_timeout_seconds,
        post_timeout_seconds=settings.webhook_timeout_seconds,
    )


def _engine_config(settings: Settings, data_dir: Path) -> LocalEngineConfig:
    return LocalEngineConfig(
        data_dir=data_dir,
        sandbox=SandboxChoice(settings.sandbox),
        allows_network=settings.instance_network,
        cpu_slots=settings.cpu_slots,
        memory_bytes=settings.memory_bytes,
        gpus=settings.gpus,
        cancel_grace_seconds=settings.cancel_grace_seconds,
        lease_seconds=settings.lease_seconds,
        builds_from_source=settings.builds_from_source,
        passed_variables=settings.passed_variables,
    )


def _build_target() -> BuildTarget:
    machine = platform.machine()
    return BuildTarget(python_version=DEFAULT_PYTHON, architecture=_ARCHITECTURES.get(machine, machine), cog_version=cog_version)


def _build_scheduler(settings: Settings, outside: _Outside) -> Scheduler:
    base_url = outside.urls.base
    composer = WebhookComposer(
        lambda prediction: encode_prediction(prediction, outside.urls),
        outside.clock,
        outside.randomness,
        attempts_max=settings.webhook_attempts_max,
        interval_seconds=settings.webhook_interval_seconds,
    )
    outputs = OutputFiles(
        outside.blobs, outside.clock, outside.randomness, base_url=base_url, size_bytes_max=settings.output_file_bytes_max
    )
    inputs = InputFiles(
        outside.store,
        outside.blobs,
        outside.fetcher,
        base_url=base_url,
        size_bytes_max=settings.input_file_bytes_max,
    )
    parts = SchedulerParts(
        store=outside.store,
        hub=outside.hub,
        engine=outside.engine,
        clock=outside.clock,
        randomness=outside.randomness,
        composer=composer,
        outputs=outputs,
        inputs=inputs,
        inputs_dir=os.fspath(outside.inputs_dir),
        wake_deliverer=outside.wake_deliverer,
    )
    return Scheduler(parts, _scheduler_options(settings))


def _scheduler_options(settings: Settings) -> SchedulerOptions:
    return SchedulerOptions(
        prediction_attempts_max=settings.prediction_attempts_max,
        prediction_timeout_seconds=settings.prediction_timeout_seconds,
        queue_length_max=settings.queue_length_max,
        logs_bytes_max=settings.logs_bytes_max,
        output_bytes_max=settings.output_bytes_max,
        setup_timeout_seconds=settings.setup_timeout_seconds,
        setup_failures_max=settings.setup_failures_max,
        quarantine_seconds=settings.quarantine_seconds,
        instance_idle_seconds=settings.instance_idle_seconds,
        instances_per_version_max=settings.instances_per_version_max,
        instance_resources=Resources(memory_bytes=settings.instance_memory_bytes),
        cancel_grace_seconds=settings.cancel_grace_seconds,
        lease_seconds=settings.lease_seconds,
        shutdown_grace_seconds=settings.shutdown_grace_seconds,
    )
