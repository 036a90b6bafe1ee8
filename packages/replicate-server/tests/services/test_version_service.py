"""What a version reference names, for whom, and for how long that is remembered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replicate_server.domain.errors import InvalidVersion, NotFound
from replicate_server.domain.ids import VersionId
from replicate_server.domain.records import Account, Model, Package, Version
from replicate_server.domain.references import InvalidReference, VersionReference, parse_version_reference
from replicate_server.ports.clock import system_randomness
from replicate_server.services.accounts import AccountService
from replicate_server.services.models import ModelService
from replicate_server.services.versions import VersionService
from replicate_server.store import SqlStore, open_store

SAFE = set("abcdefghijklmnopqrstuvwxyz0123456789._-")


class SetClock:
    def __init__(self) -> None:
        self.time = datetime(2024, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Catalogue:
    """Two accounts; alice owns a public and a private model."""

    store: SqlStore
    clock: SetClock
    versions: VersionService
    alice: Account
    bob: Account
    public: Model
    private: Model

    async def publish(self, model: Model, version_id: str) -> Version:
        self.clock.advance(1)
        version = Version(
            VersionId(version_id.ljust(64, "0")), model.id, model.owner, model.name, self.clock.now(), "0", {}, b"",
            Package("p", (), "3.11", ""),
        )  # fmt: skip
        await self.store.create_version(version)
        return version


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def catalogue(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Catalogue]:
    clock = SetClock()
    store = open_store(tmp_path / "store.db", clock=clock)
    accounts = AccountService(store, clock, system_randomness)
    alice, bob = await accounts.create_account("alice"), await accounts.create_account("bob")
    models = ModelService(store, clock, system_randomness)
    fields: dict[str, Any] = {"owner": "alice", "hardware": "cpu"}
    public = await models.create(alice, {**fields, "name": "open", "visibility": "public"})
    private = await models.create(alice, {**fields, "name": "secret", "visibility": "private"})
    yield Catalogue(store, clock, VersionService(store, models, clock), alice, bob, public, private)
    await store.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 64, VersionReference(None, None, "a" * 64)),
        ("ac732df...", VersionReference(None, None, "ac732df")),
        ("owner/name", VersionReference("owner", "name", None)),
        ("owner/name:ac732df", VersionReference("owner", "name", "ac732df")),
        ("mistralai/mistral-7b-instruct-v0.2", VersionReference("mistralai", "mistral-7b-instruct-v0.2", None)),
    ],
)
def test_a_reference_is_read(text: str, expected: VersionReference) -> None:
    assert parse_version_reference(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ac732",
        "AC732DF",
        "a" * 65,
        "xyzxyz",
        "...",
        "a/b:",
        "a/b:xyz",
        "a:b",
        "/b",
        "a/",
        "a/b/c",
        "../..",
        "a b/c",
        "a/b\n",
        "a/.b",
    ],
)
def test_anything_else_is_no_reference(text: str) -> None:
    with pytest.raises(InvalidReference):
        parse_version_reference(text)


@pytest.mark.anyio
async def test_the_latest_version_is_never_remembered(catalogue: Catalogue) -> None:
    first = await catalogue.publish(catalogue.public, "aaaaaa")
    assert (await catalogue.versions.resolve(catalogue.bob, "alice/open")).id == first.id
    second = await catalogue.publish(catalogue.public, "bbbbbb")
    assert (await catalogue.versions.resolve(catalogue.bob, "alice/open")).id == second.id
    assert (await catalogue.versions.latest(catalogue.bob, "alice", "open")).id == second.id


@pytest.mark.anyio
async def test_a_prefix_of_several_versions_is_refused(catalogue: Catalogue) -> None:
    await catalogue.publish(catalogue.public, "aaaaaa1")
    await catalogue.publish(catalogue.public, "aaaaaa2")
    with pytest.raises(InvalidVersion, match="Several versions begin with aaaaaa"):
        await catalogue.versions.resolve(catalogue.alice, "aaaaaa")
    assert (await catalogue.versions.resolve(catalogue.alice, "aaaaaa2")).id.startswith("aaaaaa2")


@pytest.mark.anyio
async def test_one_build_in_two_models_is_no_ambiguity(catalogue: Catalogue) -> None:
    version = await catalogue.publish(catalogue.public, "aaaaaa")
    await catalogue.store.create_version(replace(version, model_id=catalogue.private.id, name="secret"))
    assert (await catalogue.versions.resolve(catalogue.bob, version.id)).name == "open"
    found = await catalogue.versions.resolve(catalogue.alice, version.id, model=("alice", "secret"))
    assert found.name == "secret"


@pytest.mark.anyio
@pytest.mark.parametrize("reference", ["cccccc", "c" * 6 + "0" * 58, "alice/secret", "alice/secret:cccccc"])
async def test_a_private_version_exists_for_its_owner_only(catalogue: Catalogue, reference: str) -> None:
    version = await catalogue.publish(catalogue.private, "cccccc")
    assert (await catalogue.versions.resolve(catalogue.alice, reference)).id == version.id
    with pytest.raises(InvalidVersion):
        await catalogue.versions.resolve(catalogue.bob, reference)


@pytest.mark.anyio
async def test_a_private_version_does_not_make_a_public_prefix_ambiguous(catalogue: Catalogue) -> None:
    await catalogue.publish(catalogue.private, "aaaaaa1")
    version = await catalogue.publish(catalogue.public, "aaaaaa2")
    assert (await catalogue.versions.resolve(catalogue.bob, "aaaaaa")).id == version.id


@pytest.mark.anyio
async def test_a_version_is_looked_for_in_the_model_that_is_named(catalogue: Catalogue) -> None:
    await catalogue.publish(catalogue.public, "aaaaaa")
    with pytest.raises(InvalidVersion):
        await catalogue.versions.resolve(catalogue.alice, "alice/secret:aaaaaa")
    with pytest.raises(NotFound):
        await catalogue.versions.get(catalogue.alice, "alice", "secret", "aaaaaa")
    with pytest.raises(NotFound):
        await catalogue.versions.resolve(catalogue.alice, "aaaaaa", model=("alice", "nothing"))


@pytest.mark.anyio
async def test_a_model_without_versions_says_so(catalogue: Catalogue) -> None:
    with pytest.raises(InvalidVersion, match="has no version yet"):
        await catalogue.versions.resolve(catalogue.alice, "alice/open")
    with pytest.raises(NotFound):
        await catalogue.versions.latest(catalogue.alice, "alice", "open")


@given(st.text(max_size=140))
def test_whatever_is_read_from_text_is_safe_in_paths_and_queries(text: str) -> None:
    try:
        reference = parse_version_reference(text)
    except InvalidReference:
        return
    parts = [part for part in (reference.owner, reference.name, reference.id_prefix) if part is not None]
    assert all(set(part) <= SAFE and not part.startswith(".") for part in parts)
