"""Accounts, tokens, secrets and files by key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from replicate_server.domain.ids import AccountId, FileId, PredictionId
from replicate_server.domain.records import Account, RetiredSecret, StoredFile, Token, WebhookSecret
from replicate_server.ports.store import NameTaken, Store

pytestmark = pytest.mark.anyio

At = Callable[[float], datetime]

ADA = AccountId("acct_a")


def token(number: int, at: At) -> Token:
    return Token(f"tok_{number}", ADA, "laptop", f"digest{number}", "r8_ab", at(number))


async def test_accounts_are_found_by_id_and_by_name(store: Store, at: At) -> None:
    ada = Account(ADA, "ada", "Ada", "user", at(1), "https://g", "https://a")
    bob = Account(AccountId("acct_b"), "bob", "Bob", "organization", at(0))
    for account in (ada, bob):
        await store.create_account(account)
    assert await store.account(ADA) == ada
    assert await store.account_by_username("bob") == bob
    assert await store.account_by_username("Bob") is None
    assert await store.list_accounts() == [bob, ada]


async def test_a_username_is_given_once(store: Store, at: At) -> None:
    ada = Account(ADA, "ada", "Ada", "user", at(1))
    await store.create_account(ada)
    with pytest.raises(NameTaken, match="ada"):
        await store.create_account(replace(ada, id=AccountId("acct_b")))


async def test_tokens_are_found_by_digest_also_when_revoked(store: Store, at: At) -> None:
    tokens = [token(1, at), token(2, at)]
    for one in tokens:
        await store.create_token(one)
    assert await store.revoke_token("tok_2", at=at(5))
    assert await store.revoke_token("tok_2", at=at(6))
    assert not await store.revoke_token("tok_9", at=at(6))
    assert await store.token_by_digest("digest2") == replace(tokens[1], revoked_at=at(5))
    assert await store.token_by_digest("digest9") is None
    assert await store.list_tokens(ADA) == [tokens[0], replace(tokens[1], revoked_at=at(5))]


async def test_the_last_use_of_a_token_never_goes_back(store: Store, at: At) -> None:
    for number in (1, 2):
        await store.create_token(token(number, at))
    await store.touch_tokens({"tok_1": at(50), "tok_2": at(40), "tok_9": at(1)})
    await store.touch_tokens({"tok_1": at(45)})
    assert [one.last_used_at for one in await store.list_tokens(ADA)] == [at(50), at(40)]


async def test_the_first_webhook_secret_stays(store: Store, at: At) -> None:
    secrets = [WebhookSecret(ADA, f"whsec_{number}", at(number)) for number in range(3)]
    assert await store.webhook_secret(ADA) is None
    stored = await asyncio.gather(*(store.create_webhook_secret(secret) for secret in secrets))
    assert set(stored) == {secrets[0]}
    assert await store.webhook_secret(ADA) == secrets[0]


async def test_a_rotated_webhook_secret_retires_the_one_before(store: Store, at: At) -> None:
    first, second, third = (WebhookSecret(ADA, f"whsec_{number}", at(number)) for number in range(3))
    await store.rotate_webhook_secret(first, valid_until=at(10))
    assert await store.retired_webhook_secret(ADA) is None
    await store.rotate_webhook_secret(second, valid_until=at(11))
    await store.rotate_webhook_secret(third, valid_until=at(12))
    assert await store.webhook_secret(ADA) == third
    assert await store.retired_webhook_secret(ADA) == RetiredSecret(ADA, "whsec_1", at(12))


async def test_the_first_server_secret_stays(store: Store) -> None:
    assert await store.server_secret("signing", if_missing="one") == "one"
    assert await store.server_secret("signing", if_missing="two") == "one"
    assert await store.server_secret("other", if_missing="two") == "two"


async def test_files_are_found_by_id_and_delivery_token_until_deleted(store: Store, at: At) -> None:
    upload = StoredFile(FileId("f1"), ADA, "a b.txt", "text/plain", 3, "sha", "md5", "blobs/1", at(1), at(9), {"k": "v"})
    output = replace(upload, id=FileId("f2"), prediction_id=PredictionId("p"), delivery_token="d")
    for file in (upload, output):
        await store.create_file(file)
    assert await store.file(FileId("f1")) == upload
    assert await store.file_by_delivery("d") == output
    assert await store.file_by_delivery("none") is None
    assert await store.delete_file(FileId("f1"))
    assert not await store.delete_file(FileId("f1"))
    assert await store.file(FileId("f1")) is None
