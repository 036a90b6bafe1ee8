"""What the engine's tests share: an engine for each sandbox, a recording observer, a model folder."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from replicate_server.domain.ids import InstanceId, ModelId, PredictionId, VersionId
from replicate_server.domain.records import Package, Version
from replicate_server.engine import local
from replicate_server.engine.cgroups import ControlGroups, find_control_groups
from replicate_server.engine.config import LocalEngineConfig, SandboxChoice
from replicate_server.engine.fake import ANY_VERSION, FakeEngine, FakeModel
from replicate_server.engine.local import LocalEngine
from replicate_server.engine.sandbox import find_bubblewrap
from replicate_server.ports.engine import Engine, Instance, InstanceSpec, Resources, Work

WAIT_SECONDS = 30.0
MODEL = Path(__file__).parent / "model"
# Of instances. Benches share an engine, whose instances need names of their own.
NUMBERS = itertools.count(1)


class Recorder:
    """An observer that keeps every call and lets tests wait for one."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self._changed = asyncio.Event()

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name not in {"setup_logged", "ready", "setup_failed", "logged", "output", "metric", "done", "exited"}:
            raise AttributeError(name)

        def record(instance_id: InstanceId, *arguments: Any) -> None:
            self.calls.append((name, arguments))
            self._changed.set()

        return record

    def values(self, name: str) -> list[Any]:
        """The first argument of each call of that name so far."""
        return [arguments[0] for called, arguments in self.calls if called == name]

    async def wait(self, name: str, count: int = 1) -> Any:
        """Wait until it was called ``count`` times; the last one's argument."""
        async with asyncio.timeout(WAIT_SECONDS):
            while len(self.values(name)) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.values(name)[count - 1]


class FolderPackages:
    """A package source for one unpacked folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def source_dir(self, version_id: VersionId, package: Package) -> str:
        """Every version lies here."""
        return str(self.folder)


def build_version(package: Package) -> Version:
    """A version around a package."""
    return Version(
        id=VersionId("0" * 64),
        model_id=ModelId("model_1"),
        owner="test",
        name="model",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        cog_version="",
        openapi_schema={},
        manifest=b"",
        package=package,
    )


class Bench:
    """An engine and quick ways to use it."""

    def build_package(self, runner: str = "predict.py:Predictor", **changes: Any) -> Package:
        """A package of the test model."""
        return replace(Package(runner=runner, layers=(), python_version="3.11", requirements_lock=""), **changes)

    def build_work(self, action: str, text: str = "", *, prediction_id: str = "p1") -> Work:
        """A prediction of the test model."""
        return Work(PredictionId(prediction_id), {"action": action, "text": text})

    engine: Engine

    def __init__(self, engine: Engine, data_dir: Path, source_dir: Path) -> None:
        self.engine = engine
        self.data_dir = data_dir
        self.source_dir = source_dir
        self.recorder = Recorder()

    async def start(self, runner: str = "Predictor", *, package: Package | None = None, **limits: Any) -> Instance:
        """Start an instance and return at once."""
        if package is None:
            package = self.build_package(f"predict.py:{runner}")
        spec = InstanceSpec(
            instance_id=InstanceId(f"test-{next(NUMBERS)}"),
            version=build_version(package),
            resources=Resources(memory_bytes=limits.get("memory_bytes", 256 * 1024**2), gpus=limits.get("gpus", 0)),
            setup_timeout_seconds=limits.get("setup_timeout_seconds", WAIT_SECONDS),
        )
        return await self.engine.start_instance(spec, self.recorder)

    async def start_ready(self, runner: str = "Predictor", **limits: Any) -> Instance:
        """Start an instance and wait until it can predict."""
        instance = await self.start(runner, **limits)
        await self.recorder.wait("ready")
        return instance

    async def until_running(self, instance: Instance) -> None:
        """Wait until a prediction that says so runs."""
        await self.recorder.wait("logged")

    async def run(self, instance: Instance, action: str, text: str = "") -> Any:
        """Run one action to its end."""
        count = len(self.recorder.values("done")) + 1
        instance.predict(self.build_work(action, text, prediction_id=f"p{count}"))
        return await self.recorder.wait("done", count)


class FakeBench(Bench):
    """The fake engine, scripted to do what the test model does."""

    engine: FakeEngine

    async def start(self, runner: str = "Predictor", **limits: Any) -> Instance:
        """Start an instance that behaves as the model of that name."""
        self.engine.models[ANY_VERSION] = FAKE_MODELS[runner]()
        return await super().start(runner, **limits)

    def build_work(self, action: str, text: str = "", *, prediction_id: str = "p1") -> Work:
        """A prediction; one that waits is ended by whoever cancels it."""
        self.engine.models[ANY_VERSION].is_held = action == "wait_politely"
        return super().build_work(action, text, prediction_id=prediction_id)

    async def until_running(self, instance: Instance) -> None:
        """Its code runs once the engine was told to."""


FAKE_MODELS: dict[str, Callable[[], FakeModel]] = {
    "Predictor": lambda: FakeModel(setup_log="setting up\n", logs=("echoing\n",), answer=lambda values: values["text"]),
    "Streaming": lambda: FakeModel(yields=("part 0", "part 1", "part 2")),
    "FailingSetup": lambda: FakeModel(setup_log="about to fail\n", setup_error="RuntimeError: no weights here"),
    "EndlessSetup": lambda: FakeModel(is_setup_held=True),
}


@pytest.fixture
def anyio_backend() -> str:
    """Engines run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def bubblewrap_works() -> bool:
    """Whether this machine has a bubblewrap that works."""
    return find_bubblewrap(os.environ) is not None


@pytest.fixture(scope="session")
def shared_dir() -> Iterator[Path]:
    """A folder that any user can enter (pytest's own are closed to the user that model code runs as)."""
    folder = Path(tempfile.mkdtemp(prefix="replicate-engine-test-"))
    folder.chmod(0o755)
    shutil.copytree(MODEL, folder / "model", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "data").mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def needs_memory_groups() -> None:
    """Skips where no control group can be made."""
    if not find_control_groups().bases:
        pytest.skip("control groups are not writable on this machine")


SANDBOXES = [pytest.param("bubblewrap", marks=pytest.mark.needs_bubblewrap), "process"]


@pytest.fixture(params=SANDBOXES)
def config(request: pytest.FixtureRequest, shared_dir: Path, bubblewrap_works: bool) -> LocalEngineConfig:
    """One configuration for each sandbox."""
    return build_config(request.param, shared_dir, bubblewrap_works=bubblewrap_works)


def build_config(sandbox: str, shared_dir: Path, *, bubblewrap_works: bool) -> LocalEngineConfig:
    """The configuration for a sandbox; skips where it does not work."""
    if sandbox == "bubblewrap" and not bubblewrap_works:
        pytest.skip("bubblewrap does not work on this machine")
    return LocalEngineConfig(
        data_dir=shared_dir / "data", sandbox=SandboxChoice(sandbox), cancel_grace_seconds=1.0, stop_grace_seconds=5.0
    )


@pytest.fixture(params=[*SANDBOXES, "fake"])
async def any_bench(request: pytest.FixtureRequest, shared_dir: Path, bubblewrap_works: bool) -> AsyncIterator[Bench]:
    """Every engine there is."""
    if request.param == "fake":
        engine = FakeEngine(schema={"components": {"schemas": {"Input": {"properties": {"action": {}, "text": {}, "file": {}}}}}})
        yield FakeBench(engine, shared_dir / "data", shared_dir / "model")
        await engine.close()
        return
    async for made in open_bench(build_config(request.param, shared_dir, bubblewrap_works=bubblewrap_works), shared_dir):
        yield made


@pytest.fixture
async def bench(config: LocalEngineConfig, shared_dir: Path) -> AsyncIterator[Bench]:
    """An engine with patient limits; closed at the end, whatever the test left running."""
    async for made in open_bench(config, shared_dir):
        yield made


@pytest.fixture
async def short_lease_bench(config: LocalEngineConfig, shared_dir: Path) -> AsyncIterator[Bench]:
    """An engine whose instances are lost quickly."""
    async for made in open_bench(replace(config, lease_seconds=0.6), shared_dir):
        yield made


@pytest.fixture
async def offline_bench(config: LocalEngineConfig, shared_dir: Path) -> AsyncIterator[Bench]:
    """An engine that forbids the network."""
    async for made in open_bench(replace(config, allows_network=False), shared_dir):
        yield made


@pytest.fixture
async def passing_bench(config: LocalEngineConfig, shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """An engine whose operator lets models have one of the server's variables."""
    monkeypatch.setenv("PASSED_VARIABLE", "on")
    async for made in open_bench(replace(config, passed_variables=("PASSED_VARIABLE",)), shared_dir):
        yield made


async def open_bench(config: LocalEngineConfig, shared_dir: Path) -> AsyncIterator[Bench]:
    """Make an engine and close it."""
    engine = LocalEngine(config, FolderPackages(shared_dir / "model"))
    yield Bench(engine, config.data_dir, shared_dir / "model")
    await engine.close()


@pytest.fixture
async def bubblewrap_bench(shared_dir: Path, bubblewrap_works: bool) -> AsyncIterator[Bench]:
    """An engine with bubblewrap."""
    if not bubblewrap_works:
        pytest.skip("bubblewrap does not work on this machine")
    async for made in open_bench(LocalEngineConfig(shared_dir / "data", SandboxChoice.BUBBLEWRAP), shared_dir):
        yield made


@pytest.fixture
async def ungrouped_bench(config: LocalEngineConfig, shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """An engine on a machine whose control groups are closed to it."""
    monkeypatch.setattr(local, "find_control_groups", lambda: ControlGroups((), is_version_2=True))
    async for made in open_bench(config, shared_dir):
        yield made
