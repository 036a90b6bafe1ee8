"""The account store: accounts, their tokens, and secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from replicate_server.domain.ids import AccountId
from replicate_server.domain.records import Account, RetiredSecret, Token, WebhookSecret
from replicate_server.domain.scopes import ALL_SCOPES, Scope
from replicate_server.ports.store import NameTaken
from replicate_server.store.prediction_rows import select_all
from replicate_server.store.readers import Readers
from replicate_server.store.statements import Connection, Database, Row, Statement
from replicate_server.store.tables import (
    accounts,
    retired_webhook_secrets,
    server_secrets,
    token_limits,
    tokens,
    webhook_secrets,
)
from replicate_server.store.values import micros, moment, optional_micros, optional_moment
from replicate_server.store.writer import Operation, Writer

INSERT_ACCOUNT = Statement(insert(accounts))
ACCOUNT = Statement(select_all(accounts).where(accounts.c.id == bindparam("account_id")))
ACCOUNT_BY_USERNAME = Statement(select_all(accounts).where(accounts.c.username == bindparam("username")))
ACCOUNTS = Statement(select_all(accounts).order_by(accounts.c.created_at, accounts.c.id))

INSERT_TOKEN = Statement(insert(tokens))
_SELECT_TOKEN = select(*tokens.columns, token_limits.c.scopes, token_limits.c.expires_at).select_from(
    tokens.outerjoin(token_limits, token_limits.c.token_id == tokens.c.id)
)
INSERT_TOKEN_LIMITS = Statement(insert(token_limits))
TOKEN_BY_DIGEST = Statement(_SELECT_TOKEN.where(tokens.c.digest == bindparam("digest")))
TOKENS = Statement(_SELECT_TOKEN.where(tokens.c.account_id == bindparam("account_id")).order_by(tokens.c.created_at, tokens.c.id))
# Idempotent: the first revocation's time stays.
REVOKE_TOKEN = Statement(
    update(tokens)
    .where(tokens.c.id == bindparam("token_id"))
    .values(revoked_at=func.coalesce(tokens.c.revoked_at, bindparam("at")))
)
# Batches may arrive out of order: a later use is never overwritten by an earlier one.
TOUCH_TOKEN = Statement(
    update(tokens)
    .where(tokens.c.id == bindparam("token_id"), or_(tokens.c.last_used_at.is_(None), tokens.c.last_used_at < bindparam("at")))
    .values(last_used_at=bindparam("at"))
)

WEBHOOK_SECRET = Statement(select_all(webhook_secrets).where(webhook_secrets.c.account_id == bindparam("account_id")))
INSERT_WEBHOOK_SECRET = Statement(insert(webhook_secrets))
DELETE_WEBHOOK_SECRET = Statement(delete(webhook_secrets).where(webhook_secrets.c.account_id == bindparam("account_id")))
RETIRED_SECRET = Statement(
    select_all(retired_webhook_secrets).where(retired_webhook_secrets.c.account_id == bindparam("account_id"))
)
INSERT_RETIRED_SECRET = Statement(insert(retired_webhook_secrets))
DELETE_RETIRED_SECRET = Statement(
    delete(retired_webhook_secrets).where(retired_webhook_secrets.c.account_id == bindparam("account_id"))
)
SERVER_SECRET = Statement(select(server_secrets.c.value).where(server_secrets.c.name == bindparam("name")))
INSERT_SERVER_SECRET = Statement(insert(server_secrets))


class CreateAccount(Operation[None]):
    """Insert an account under a username nobody has."""

    def __init__(self, account: Account, database: Database) -> None:
        self._database = database
        self._parameters = {**asdict(account), "created_at": micros(account.created_at)}

    def apply(self, connection: Connection) -> None:
        """Insert it."""
        try:
            connection.change(INSERT_ACCOUNT, self._parameters)
        except Exception as error:
            if self._database.is_unique_violation(error):
                raise NameTaken(f"an account named {self._parameters['username']} exists already") from error
            raise


class ChangeRow(Operation[int]):
    """One statement with one set of parameters; returns how many rows it changed."""

    def __init__(self, statement: Statement, parameters: dict[str, Any]) -> None:
        self._statement = statement
        self._parameters = parameters

    def apply(self, connection: Connection) -> int:
        """Execute it."""
        return connection.change(self._statement, self._parameters)


class CreateToken(Operation[None]):
    """Insert a token, and its limits where it has any."""

    def __init__(self, token: Token) -> None:
        self._is_limited = token.scopes != ALL_SCOPES or token.expires_at is not None
        self._parameters = token_parameters(token)

    def apply(self, connection: Connection) -> None:
        """Insert both."""
        connection.change(INSERT_TOKEN, self._parameters)
        if self._is_limited:
            connection.change(INSERT_TOKEN_LIMITS, self._parameters)


class TouchTokens(Operation[None]):
    """Record when tokens were last used."""

    def __init__(self, used: Mapping[str, datetime]) -> None:
        self._parameters = [{"token_id": token_id, "at": micros(at)} for token_id, at in used.items()]

    def apply(self, connection: Connection) -> None:
        """Record all."""
        connection.change_many(TOUCH_TOKEN, self._parameters)


class InsertIfMissing(Operation[Row]):
    """Insert a row unless its key has one; returns the row there is now. Nothing comes between the statements of one writer."""

    def __init__(self, look_up: Statement, insertion: Statement, parameters: dict[str, Any]) -> None:
        self._look_up = look_up
        self._insertion = insertion
        self._parameters = parameters

    def apply(self, connection: Connection) -> Row:
        """Look, insert if need be, and look again."""
        if connection.one(self._look_up, self._parameters) is None:
            connection.change(self._insertion, self._parameters)
        row = connection.one(self._look_up, self._parameters)
        if row is None:
            raise LookupError("a row that was just inserted is gone")
        return row


class RotateWebhookSecret(Operation[None]):
    """Put a secret in the place of the current one, which is retired."""

    def __init__(self, secret: WebhookSecret, valid_until: datetime) -> None:
        self._parameters = {"account_id": secret.account_id, "key": secret.key, "created_at": micros(secret.created_at)}
        self._valid_until = micros(valid_until)

    def apply(self, connection: Connection) -> None:
        """Retire and replace."""
        current = connection.one(WEBHOOK_SECRET, self._parameters)
        if current is not None:
            retired = {"account_id": current[0], "key": current[1], "valid_until": self._valid_until}
            connection.change(DELETE_RETIRED_SECRET, retired)
            connection.change(INSERT_RETIRED_SECRET, retired)
            connection.change(DELETE_WEBHOOK_SECRET, self._parameters)
        connection.change(INSERT_WEBHOOK_SECRET, self._parameters)


def token_parameters(token: Token) -> dict[str, Any]:
    """The row of a token."""
    return {
        **asdict(token),
        "created_at": micros(token.created_at),
        "last_used_at": optional_micros(token.last_used_at),
        "revoked_at": optional_micros(token.revoked_at),
        "token_id": token.id,
        "scopes": " ".join(sorted(token.scopes)),
        "expires_at": optional_micros(token.expires_at),
    }


def build_account(row: Row) -> Account:
    """The record of a row of accounts."""
    account_id, username, name, kind, created_at, github_url, avatar_url = row
    return Account(account_id, username, name, kind, moment(created_at), github_url, avatar_url)


def build_token(row: Row) -> Token:
    """The record of a row of tokens."""
    token_id, account_id, name, digest, prefix, created_at, last_used_at, revoked_at, scopes, expires_at = row
    return Token(
        id=token_id,
        account_id=account_id,
        name=name,
        digest=digest,
        prefix=prefix,
        created_at=moment(created_at),
        last_used_at=optional_moment(last_used_at),
        revoked_at=optional_moment(revoked_at),
        scopes=ALL_SCOPES if scopes is None else frozenset(Scope(scope) for scope in scopes.split()),
        expires_at=optional_moment(expires_at),
    )


def build_webhook_secret(row: Row) -> WebhookSecret:
    """The record of a row of webhook secrets."""
    account_id, key, created_at = row
    return WebhookSecret(account_id, key, moment(created_at))


class SqlAccounts:
    """`AccountStore` on a writer and readers."""

    def __init__(self, writer: Writer, readers: Readers, database: Database) -> None:
        self._writer = writer
        self._readers = readers
        self._database = database

    async def create_account(self, account: Account) -> None:
        """See the port."""
        await self._writer.write(CreateAccount(account, self._database))

    async def account(self, account_id: AccountId) -> Account | None:
        """See the port."""
        row = self._readers.point(lambda connection: connection.one(ACCOUNT, {"account_id": account_id}))
        return build_account(row) if row else None

    async def account_by_username(self, username: str) -> Account | None:
        """See the port."""
        row = self._readers.point(lambda connection: connection.one(ACCOUNT_BY_USERNAME, {"username": username}))
        return build_account(row) if row else None

    async def list_accounts(self) -> list[Account]:
        """See the port."""
        rows = await self._readers.run(lambda connection: connection.all(ACCOUNTS, {}))
        return [build_account(row) for row in rows]

    async def create_token(self, token: Token) -> None:
        """See the port."""
        await self._writer.write(CreateToken(token))

    async def token_by_digest(self, digest: str) -> Token | None:
        """See the port."""
        row = self._readers.point(lambda connection: connection.one(TOKEN_BY_DIGEST, {"digest": digest}))
        return build_token(row) if row else None

    async def list_tokens(self, account_id: AccountId) -> list[Token]:
        """See the port."""
        rows = await self._readers.run(lambda connection: connection.all(TOKENS, {"account_id": account_id}))
        return [build_token(row) for row in rows]

    async def revoke_token(self, token_id: str, *, at: datetime) -> bool:
        """See the port."""
        return await self._writer.write(ChangeRow(REVOKE_TOKEN, {"token_id": token_id, "at": micros(at)})) > 0

    async def touch_tokens(self, used: Mapping[str, datetime]) -> None:
        """See the port."""
        await self._writer.write(TouchTokens(used))

    async def webhook_secret(self, account_id: AccountId) -> WebhookSecret | None:
        """See the port."""
        row = self._readers.point(lambda connection: connection.one(WEBHOOK_SECRET, {"account_id": account_id}))
        return build_webhook_secret(row) if row else None

    async def create_webhook_secret(self, secret: WebhookSecret) -> WebhookSecret:
        """See the port."""
        parameters = {"account_id": secret.account_id, "key": secret.key, "created_at": micros(secret.created_at)}
        return build_webhook_secret(await self._writer.write(InsertIfMissing(WEBHOOK_SECRET, INSERT_WEBHOOK_SECRET, parameters)))

    async def rotate_webhook_secret(self, secret: WebhookSecret, *, valid_until: datetime) -> None:
        """See the port."""
        await self._writer.write(RotateWebhookSecret(secret, valid_until))

    async def retired_webhook_secret(self, account_id: AccountId) -> RetiredSecret | None:
        """See the port."""
        row = self._readers.point(lambda connection: connection.one(RETIRED_SECRET, {"account_id": account_id}))
        return RetiredSecret(row[0], row[1], moment(row[2])) if row else None

    async def server_secret(self, name: str, *, if_missing: str) -> str:
        """See the port."""
        parameters = {"name": name, "value": if_missing}
        row = await self._writer.write(InsertIfMissing(SERVER_SECRET, INSERT_SERVER_SECRET, parameters))
        return str(row[0])
