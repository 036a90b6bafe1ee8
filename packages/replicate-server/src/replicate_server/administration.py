"""Commands that work on a data folder directly: accounts, tokens and the catalogue, also while a server runs on it.

Owns opening the store beside a server and closing it again. The rules are those of the services; printing is ``cli``'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from replicate_server.domain.errors import NotFound
from replicate_server.hosts_file import write_private
from replicate_server.ports.clock import SystemClock, system_randomness
from replicate_server.ports.store import Store
from replicate_server.services.accounts import AccountService
from replicate_server.services.collections import CollectionService
from replicate_server.store import open_store

DATABASE_NAME = "replicate.db"
FIRST_CREDENTIAL_FILE = "token"

Result = TypeVar("Result")


class DataFolderMissing(Exception):
    """No server ever ran on this folder."""


def with_accounts(data_dir: Path, use: Callable[[AccountService], Awaitable[Result]]) -> Result:
    """Run one use case on the accounts of a data folder.

    Raises:
        DataFolderMissing: If the folder has no database: a misspelt path must not become an empty one.
    """
    return with_catalogue(data_dir, lambda desk: use(desk.accounts))


@dataclass(frozen=True, slots=True)
class OperatorDesk:
    """What an operator may use on a data folder."""

    accounts: AccountService
    collections: CollectionService
    store: Store


def with_catalogue(data_dir: Path, use: Callable[[OperatorDesk], Awaitable[Result]]) -> Result:
    """Run one use case on the accounts or the catalogue of a data folder.

    Raises:
        DataFolderMissing: If the folder has no database: a misspelt path must not become an empty one.
    """
    if not (data_dir / DATABASE_NAME).is_file():
        raise DataFolderMissing(f"{data_dir} holds no database: name the server's folder with --data-dir, or start a server")
    return asyncio.run(_with_store(data_dir, use))


async def set_official(desk: OperatorDesk, name: str, *, is_official: bool) -> None:
    """Mark a model ``owner/name`` as official, or take the mark away.

    Raises:
        NotFound: If there is no such model.
    """
    owner, _, own_name = name.partition("/")
    model = await desk.store.model(owner, own_name)
    if model is None:
        raise NotFound(f"There is no model {name}.")
    await desk.store.update_model(model.id, {"is_official": is_official})


async def collect(desk: OperatorDesk, slug: str, models: Iterable[str], *, name: str, description: str) -> None:
    """Put models ``owner/name`` into a collection, which is created when it is missing; those in it keep their place.

    Raises:
        NotFound: If a model does not exist.
    """
    try:
        await desk.collections.get(slug)
    except NotFound:
        await desk.collections.create(slug, name=name, description=description)
    for model in models:
        await desk.collections.add(slug, model)


async def _with_store(data_dir: Path, use: Callable[[OperatorDesk], Awaitable[Result]]) -> Result:
    clock = SystemClock()
    store = open_store(data_dir / DATABASE_NAME, clock=clock, exclusive=False)
    try:
        return await use(OperatorDesk(AccountService(store, clock, system_randomness), CollectionService(store, clock), store))
    finally:
        await store.close()


def ensure_first_token(data_dir: Path, *, username: str, token: str | None) -> str | None:
    """Create the first account of a new data folder, and write its token to a file that only the owner can read.

    Args:
        data_dir: Made when missing.
        username: The account's name.
        token: Its token; None for a random one.

    Returns:
        The token when one was created: the only time it can be shown.

    Raises:
        replicate_server.domain.errors.InvalidRequest: If the name or the token has the wrong form.
    """
    created = asyncio.run(_with_store(data_dir, lambda desk: desk.accounts.ensure_first_account(username, token)))
    if created is not None:
        write_private(token_path(data_dir), created + "\n")
    return created


def token_path(data_dir: Path) -> Path:
    """The file of the first account's token."""
    return data_dir / FIRST_CREDENTIAL_FILE


def issue_token(data_dir: Path, *, username: str, name: str, kind: str = "user") -> tuple[str, str]:
    """Create a token of an account, and the account too when it is missing; returns the token's id and its plain text."""

    async def issue(accounts: AccountService) -> tuple[str, str]:
        try:
            account = await accounts.account_by_username(username)
        except NotFound:
            account = await accounts.create_account(username, type=kind)
        record, plain = await accounts.create_token(account.id, name=name)
        return record.id, plain

    return with_accounts(data_dir, issue)
