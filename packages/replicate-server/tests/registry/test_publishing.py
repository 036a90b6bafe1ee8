"""From an archive to a version, on the real store, with an engine that only says what it was asked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from replicate_server.domain.errors import BrokenPackage, NotFound, PermissionDenied, TooLarge
from replicate_server.domain.ids import AccountId, ModelId
from replicate_server.domain.records import Account, Model, Package, Version
from replicate_server.ports.clock import SystemClock, system_randomness
from replicate_server.ports.engine import PackageBroken
from replicate_server.registry.manifest import blob_key, digest_hex
from replicate_server.registry.unpacking import UnpackLimits
from replicate_server.services.models import ModelService
from replicate_server.services.package_reading import CONFIG_BYTES_MAX
from replicate_server.services.publishing import Platform, PublishLog, PublishService
from replicate_server.store import open_store

pytestmark = pytest.mark.anyio

CLOCK = SystemClock()
SCHEMA = {"openapi": "3.0.2", "info": {"title": "Cog"}}
NEEDS_FILE = b"build: {python_requirements: r.txt}\nrun: predict.py:P\n"
MODEL = {"cog.yaml": b"run: predict.py:Predictor\n", "predict.py": b"class Predictor: ...\n"}


@dataclass
class SayingEngine:
    """Answers what it is told to, and logs each question."""

    failure: PackageBroken | None = None
    described: list[Package] = field(default_factory=list)
    hold: asyncio.Event | None = None

    async def lock_requirements(self, requirements: str, *, python_version: str, log: Callable[[str], None]) -> str:
        log(f"locking for {python_version}\n")
        return requirements.replace("numpy", "numpy==2.0.0 --hash=sha256:00")

    async def describe(self, package: Package, source_dir: str, *, log: Callable[[str], None]) -> Mapping[str, Any]:
        log(f"describing {sorted(os.listdir(source_dir))}\n")
        self.described.append(package)
        if self.hold is not None:
            await self.hold.wait()
        if self.failure is not None:
            raise self.failure
        return SCHEMA


def build_account(name: str) -> Account:
    return Account(AccountId(f"acct_{name}"), name, name, "user", CLOCK.now())


ALICE, BOB = build_account("alice"), build_account("bob")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Any]:
    opened = open_store(tmp_path / "db.sqlite", clock=CLOCK)
    await opened.create_account(ALICE)
    await opened.create_account(BOB)
    yield opened
    await opened.close()


@pytest.fixture
def engine() -> SayingEngine:
    return SayingEngine()


@pytest.fixture
def service(store: Any, engine: Any, blobs: Any, tmp_path: Path) -> PublishService:
    return PublishService(
        store=store,
        models=ModelService(store, CLOCK, system_randomness),
        blobs=blobs,
        engine=engine,
        clock=CLOCK,
        work_dir=tmp_path / "work",
        limits=UnpackLimits(size_bytes_max=1_000_000),
        platform=Platform(python_version="3.11", architecture="amd64", cog_version="0.1.0"),
    )


@pytest.fixture
def publish(service: PublishService, build_archive: Any) -> Callable[..., Any]:
    """Publishes files as ``alice/model`` and returns everything that was told."""

    async def run(
        files: Mapping[str, bytes] | bytes = MODEL, *, account: Account = ALICE, name: str = "alice/model"
    ) -> list[Any]:
        content = files if isinstance(files, bytes) else build_archive(*files.items()).getvalue()

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(content), 100):
                yield content[start : start + 100]

        owner, model = name.split("/")
        return [item async for item in service.publish(account, owner=owner, name=model, archive=chunks())]

    return run


async def test_a_folder_becomes_the_latest_version_of_a_new_model(publish: Any, store: Any, blobs: Any) -> None:
    *lines, version = await publish()
    assert "".join(line.text for line in lines).endswith("describing ['cog.yaml', 'predict.py']\n")
    model = await store.model("alice", "model")
    assert (model.latest_version_id, model.visibility, model.hardware) == (version.id, "public", "cpu")
    assert version.id == digest_hex(version.manifest)
    assert version.openapi_schema == SCHEMA
    assert {blob_key(version.id), blob_key(version.package.layers[0])} <= blobs.contents.keys()
    assert (await store.version(model.id, version.id)).package == version.package


async def test_the_same_folder_gives_the_same_version(publish: Any) -> None:
    assert (await publish())[-1].id == (await publish())[-1].id


async def test_other_content_gives_another_version(publish: Any) -> None:
    assert (await publish())[-1].id != (await publish({**MODEL, "x.txt": b"x"}))[-1].id


async def test_requirements_are_locked_for_the_python_of_cog_yaml(publish: Any, engine: SayingEngine) -> None:
    config = b"build:\n  python_version: '3.12'\n  python_requirements: requirements.txt\nrun: predict.py:Predictor\n"
    *lines, version = await publish({**MODEL, "cog.yaml": config, "requirements.txt": b"numpy\n"})
    assert version.package.requirements_lock == "numpy==2.0.0 --hash=sha256:00\n"
    assert PublishLog("locking for 3.12\n") in lines
    assert engine.described[0].requirements_lock == version.package.requirements_lock


async def test_what_is_not_installed_is_said(publish: Any) -> None:
    config = b"build:\n  system_packages: [ffmpeg]\n  run: [make]\nrun: predict.py:Predictor\n"
    text = "".join(line.text for line in (await publish({**MODEL, "cog.yaml": config}))[:-1])
    assert "ffmpeg" in text
    assert "make" in text


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"predict.py": b""}, "cog.yaml"),
        ({**MODEL, "cog.yaml": b"build:\n  gpuu: true\n"}, "cog.yaml:2"),
        ({**MODEL, "cog.yaml": b"build: {}\n"}, "run: predict.py:Predictor"),
        ({**MODEL, "cog.yaml": b"run: other.py:Predictor\n"}, "other.py:Predictor"),
        ({**MODEL, "cog.yaml": b"build: {python_requirements: r.txt}\nrun: predict.py:P\n"}, "r.txt is not in the folder"),
        (
            {**MODEL, "cog.yaml": b"build: {python_requirements: r.txt}\nrun: predict.py:P\n", "r.txt": b"a\n-r b.txt\n"},
            "r.txt:2: -r",
        ),
        (
            {**MODEL, "cog.yaml": b"build: {python_requirements: r.txt}\nrun: predict.py:P\n", "r.txt": b"./wheel.whl\n"},
            "r.txt:1",
        ),
        *(
            ({**MODEL, "cog.yaml": NEEDS_FILE, "r.txt": line}, "r.txt:1")
            for line in (b"a @ /etc/a.whl\n", b"a @ ./a.whl\n", b"a @ FILE:///a.whl\n", b"-f /srv\n", b"--find-links=/srv\n")
        ),
        ({**MODEL, "cog.yaml": b"#" * CONFIG_BYTES_MAX + b"\n"}, "cog.yaml is larger than"),
        ({**MODEL, "cog.yaml": b"run: " + b"[" * 50_000}, "nested too deeply"),
        ({**MODEL, "../evil": b"x"}, "leaves the folder"),
        (b"not an archive", "cannot be unpacked"),
    ],
)
async def test_an_authors_mistake_is_told_with_its_place(publish: Any, tmp_path: Path, files: Any, said: str) -> None:
    with pytest.raises(BrokenPackage) as broken:
        await publish(files)
    assert said in broken.value.detail
    assert list((tmp_path / "work").iterdir()) == []


async def test_what_the_engine_says_reaches_the_author(publish: Any, engine: SayingEngine, store: Any) -> None:
    engine.failure = PackageBroken("the model cannot be imported", log="Traceback\nModuleNotFoundError: No module named 'torch'")
    with pytest.raises(BrokenPackage, match="No module named 'torch'"):
        await publish()
    assert await store.model("alice", "model") is None


async def test_only_the_owner_of_a_name_publishes_to_it(publish: Any) -> None:
    await publish()
    with pytest.raises(PermissionDenied):
        await publish(account=BOB)
    with pytest.raises(PermissionDenied):
        await publish(account=BOB, name="carol/model")


async def test_another_accounts_private_model_does_not_exist(publish: Any, store: Any) -> None:
    await store.create_model(Model(ModelId("model_1"), ALICE.id, "alice", "secret", "private", CLOCK.now()))
    with pytest.raises(NotFound):
        await publish(account=BOB, name="alice/secret")


async def test_an_archive_over_the_limit_is_too_large(publish: Any) -> None:
    with pytest.raises(TooLarge):
        await publish(b"x" * 1_000_001)


async def test_a_caller_that_leaves_takes_the_build_with_it(
    service: PublishService, engine: SayingEngine, build_archive: Any, tmp_path: Path
) -> None:
    engine.hold = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield build_archive(*MODEL.items()).getvalue()

    progress = service.publish(ALICE, owner="alice", name="model", archive=chunks())
    while not engine.described:
        await anext(progress)
    await progress.aclose()  # type: ignore[attr-defined]
    assert list((tmp_path / "work").iterdir()) == []


async def test_one_publish_at_a_time_is_not_required(publish: Any) -> None:
    results = await asyncio.gather(*(publish({**MODEL, "n.txt": str(number).encode()}) for number in range(4)))
    assert len({items[-1].id for items in results}) == 4
    assert all(isinstance(items[-1], Version) for items in results)
