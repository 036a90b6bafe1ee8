"""Accounts and tokens: who may call, for how long, and what is remembered of it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from replicate_server.domain.errors import Conflict, InvalidRequest, Unauthenticated
from replicate_server.ports.clock import system_randomness
from replicate_server.services.accounts import CACHE_ENTRIES_MAX, AccountService
from replicate_server.store import SqlStore, open_store

pytestmark = pytest.mark.anyio

TOKEN = "r8_given_token_of_the_first_account"


class SetClock:
    def __init__(self) -> None:
        self.time = datetime(2024, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def store(anyio_backend: str, tmp_path: Path, clock: SetClock) -> AsyncIterator[SqlStore]:
    store = open_store(tmp_path / "store.db", clock=clock)
    yield store
    await store.close()


@pytest.fixture
def accounts(store: SqlStore, clock: SetClock) -> AccountService:
    return AccountService(store, clock, system_randomness)


async def test_the_first_account_is_made_once(accounts: AccountService) -> None:
    token = await accounts.ensure_first_account("local")
    assert token is not None
    assert token.startswith("r8_")
    assert len(token) == 40
    assert (await accounts.authenticate(token)).username == "local"
    assert await accounts.ensure_first_account("local") is None


async def test_the_first_token_can_be_given(accounts: AccountService) -> None:
    assert await accounts.ensure_first_account("local", TOKEN) == TOKEN
    assert (await accounts.authenticate(TOKEN)).username == "local"


async def test_an_account_left_without_a_token_gets_one(accounts: AccountService) -> None:
    await accounts.create_account("local")
    assert await accounts.ensure_first_account("local") is not None


@pytest.mark.parametrize(
    "token", ["", "r8_short", "xx_long_enough_but_wrong_prefix", "r8_with space and more of them", "r8_" + "x" * 300]
)
async def test_a_given_token_must_be_a_safe_one(accounts: AccountService, token: str) -> None:
    with pytest.raises(InvalidRequest):
        await accounts.ensure_first_account("local", token)


@pytest.mark.parametrize("username", ["", "Upper", "a b", "-a", "a-", "../x", "x" * 64, "a\n", "ä"])
async def test_a_username_keeps_to_the_grammar(accounts: AccountService, username: str) -> None:
    with pytest.raises(InvalidRequest):
        await accounts.create_account(username)


async def test_a_username_is_taken_once(accounts: AccountService) -> None:
    await accounts.create_account("alice")
    with pytest.raises(Conflict):
        await accounts.create_account("alice")


async def test_only_the_digest_of_a_token_is_stored(accounts: AccountService, store: SqlStore, tmp_path: Path) -> None:
    token = await accounts.ensure_first_account("local")
    assert token is not None
    (record,) = await store.list_tokens((await store.list_accounts())[0].id)
    assert record.prefix == token[:8]
    written = everything_in(tmp_path)
    assert token.encode() not in written
    assert record.digest.encode() in written


async def test_a_revocation_elsewhere_counts_within_a_second(accounts: AccountService, store: SqlStore, clock: SetClock) -> None:
    await accounts.ensure_first_account("local", TOKEN)
    account = await accounts.authenticate(TOKEN)
    (record,) = await store.list_tokens(account.id)
    await store.revoke_token(record.id, at=clock.now())
    clock.advance(0.9)
    await accounts.authenticate(TOKEN)
    clock.advance(0.1)
    with pytest.raises(Unauthenticated):
        await accounts.authenticate(TOKEN)


async def test_a_revocation_here_counts_at_once(accounts: AccountService) -> None:
    account = await accounts.create_account("alice")
    record, token = await accounts.create_token(account.id, name="laptop")
    await accounts.authenticate(token)
    assert await accounts.revoke_token(record.id)
    with pytest.raises(Unauthenticated):
        await accounts.authenticate(token)


async def test_a_clock_that_jumps_back_does_not_prolong_the_cache(
    accounts: AccountService, store: SqlStore, clock: SetClock
) -> None:
    await accounts.ensure_first_account("local", TOKEN)
    account = await accounts.authenticate(TOKEN)
    (record,) = await store.list_tokens(account.id)
    await store.revoke_token(record.id, at=clock.now())
    clock.advance(-3600)
    with pytest.raises(Unauthenticated):
        await accounts.authenticate(TOKEN)


async def test_guessing_tokens_costs_bounded_memory(accounts: AccountService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replicate_server.services.accounts.CACHE_ENTRIES_MAX", 10)
    for number in range(30):
        with pytest.raises(Unauthenticated):
            await accounts.authenticate(f"r8_guess_{number}")
    assert len(accounts._checked) == 10
    assert CACHE_ENTRIES_MAX == 10_000


async def test_last_uses_are_written_together(accounts: AccountService, store: SqlStore, clock: SetClock) -> None:
    await accounts.ensure_first_account("local", TOKEN)
    accounts.start()
    for _ in range(3):
        clock.advance(1)
        account = await accounts.authenticate(TOKEN)
    await accounts.stop()
    (record,) = await store.list_tokens(account.id)
    assert record.last_used_at == clock.now()


async def test_a_webhook_secret_is_made_once_in_standard_base64(accounts: AccountService) -> None:
    account = await accounts.create_account("alice")
    secret = await accounts.webhook_secret(account.id)
    assert await accounts.webhook_secret(account.id) == secret
    prefix, encoded = secret.key.split("_")
    assert prefix == "whsec"
    assert len(base64.b64decode(encoded, validate=True)) == 32


async def test_two_webhook_secrets_are_valid_during_a_rotation(accounts: AccountService, clock: SetClock) -> None:
    account = await accounts.create_account("alice")
    old = await accounts.webhook_secret(account.id)
    new = await accounts.rotate_webhook_secret(account.id, overlap_seconds=60)
    assert await accounts.webhook_secret(account.id) == new
    assert await accounts.signing_keys(account.id) == [new.key, old.key]
    clock.advance(60)
    assert await accounts.signing_keys(account.id) == [new.key]
