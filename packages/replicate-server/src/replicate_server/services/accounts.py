"""Accounts, their tokens and signing secrets: who is calling.

Tokens are known by their digest alone; the plain text is returned once, when a token is made. Lookups are cached for at most one
second, so that a revocation takes effect within that time on every server (promise I4). Does not know HTTP.
"""

from __future__ import annotations

import base64
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from replicate_server.domain import references
from replicate_server.domain.errors import Conflict, InvalidRequest, NotFound, Unauthenticated
from replicate_server.domain.ids import AccountId, build_record_id, build_token, token_digest
from replicate_server.domain.records import Account, Membership, Token, WebhookSecret
from replicate_server.domain.scopes import ALL_SCOPES, Role, Scope
from replicate_server.ports.clock import Clock, Randomness
from replicate_server.ports.store import AccountStore, NameTaken
from replicate_server.services.token_uses import TokenUses

STALE_AFTER_SECONDS = 1.0
CACHE_ENTRIES_MAX = 10_000
TOKEN_LENGTH_MIN = 24
TOKEN_LENGTH_MAX = 200
WEBHOOK_SECRET_BYTES = 32

_PREFIX_LENGTH = 8


@dataclass(frozen=True, slots=True)
class _Checked:
    """What the store said about one digest, and when. ``account`` None: nobody may use it."""

    account: Account | None
    token_id: str
    at: datetime


class AccountService:
    """Use cases around accounts and tokens."""

    def __init__(self, store: AccountStore, clock: Clock, randomness: Randomness) -> None:
        self._store = store
        self._clock = clock
        self._randomness = randomness
        self._uses = TokenUses(store)
        # Least recently used first. Unknown digests are kept too, so that guessing costs no query; the bound covers both.
        self._checked: OrderedDict[str, _Checked] = OrderedDict()

    def start(self) -> None:
        """Begin to record last uses of tokens."""
        self._uses.start()

    async def stop(self) -> None:
        """Record what is left and end."""
        await self._uses.stop()

    async def authenticate(self, token: str) -> Account:
        """The account that a token belongs to.

        Raises:
            Unauthenticated: If the token is unknown, revoked, expired or cannot be one.
        """
        if not 0 < len(token) <= TOKEN_LENGTH_MAX:
            raise Unauthenticated
        digest = token_digest(token)
        now = self._clock.now()
        checked = self._checked.get(digest)
        # An entry from the future means that the clock jumped back; it must not live longer for that.
        if checked is None or not 0 <= (now - checked.at).total_seconds() < STALE_AFTER_SECONDS:
            checked = await self._check(digest, now)
        if checked.account is None:
            raise Unauthenticated
        self._uses.record(checked.token_id, now)
        return checked.account

    async def _check(self, digest: str, now: datetime) -> _Checked:
        found = await self._store.token_by_digest(digest)
        account = await self._store.account(found.account_id) if found is not None and _is_valid(found, now) else None
        if found is not None and account is not None:
            memberships = tuple(await self._store.list_memberships(account.id))
            account = replace(account, memberships=memberships, scopes=found.scopes)
        checked = _Checked(account, found.id if found is not None else "", now)
        self._checked[digest] = checked
        self._checked.move_to_end(digest)
        while len(self._checked) > CACHE_ENTRIES_MAX:
            self._checked.popitem(last=False)
        return checked

    async def ensure_first_account(self, username: str, token: str | None = None) -> str | None:
        """Create the first account and its token on a store that has none.

        A store whose first account has no token at all (the server died between the two writes) gets one too.

        Args:
            username: Its name.
            token: Its plain token; a random one when None.

        Returns:
            The plain token when one was created, else None.

        Raises:
            InvalidRequest: If the name or the token breaks its grammar.
        """
        accounts = await self._store.list_accounts()
        if accounts and await self._store.list_tokens(accounts[0].id):
            return None
        account = accounts[0] if accounts else await self.create_account(username)
        _, plain = await self.create_token(account.id, name="first", token=token)
        return plain

    async def create_account(self, username: str, *, name: str | None = None, type: str = "user") -> Account:
        """Create an account.

        Raises:
            InvalidRequest: If the username breaks the grammar of names.
            Conflict: If the username is taken.
        """
        if not references.is_name(username):
            raise InvalidRequest(f"A username consists of {references.name_rule()}.")
        account = Account(
            id=AccountId(build_record_id("acct", self._randomness(16))),
            username=username,
            name=name or username,
            type=type,
            created_at=self._clock.now(),
        )
        try:
            await self._store.create_account(account)
        except NameTaken as error:
            raise Conflict(f"The username {username} is taken.") from error
        return account

    async def list_accounts(self) -> list[Account]:
        """All accounts, oldest first."""
        return await self._store.list_accounts()

    async def account_by_username(self, username: str) -> Account:
        """Load by name.

        Raises:
            NotFound: If there is none.
        """
        account = await self._store.account_by_username(username)
        if account is None:
            raise NotFound
        return account

    async def set_member(self, organization: str, username: str, role: Role) -> None:
        """Make an account a member of an organization, or change its role; it takes effect within a second.

        Raises:
            NotFound: If one of the two does not exist.
            InvalidRequest: If the first is no organization.
        """
        owner, member = await self._organization(organization), await self.account_by_username(username)
        if member.type == "organization":
            raise InvalidRequest("An organization cannot be a member.")
        await self._store.set_member(owner.id, member.id, role, at=self._clock.now())
        self._checked.clear()

    async def remove_member(self, organization: str, username: str) -> None:
        """End a membership; it takes effect within a second.

        Raises:
            NotFound: If one of the two does not exist, or there is no membership.
        """
        owner, member = await self._organization(organization), await self.account_by_username(username)
        if not await self._store.remove_member(owner.id, member.id):
            raise NotFound(f"{username} is not a member of {organization}.")
        self._checked.clear()

    async def list_members(self, organization: str) -> list[Membership]:
        """The members of an organization, oldest first.

        Raises:
            NotFound: If it does not exist.
        """
        return await self._store.list_members((await self._organization(organization)).id)

    async def _organization(self, username: str) -> Account:
        account = await self.account_by_username(username)
        if account.type != "organization":
            raise InvalidRequest(f"{username} is not an organization.")
        return account

    async def create_token(
        self,
        account_id: AccountId,
        *,
        name: str,
        token: str | None = None,
        scopes: frozenset[Scope] = ALL_SCOPES,
        expires_at: datetime | None = None,
    ) -> tuple[Token, str]:
        """Create a token; its plain text is in the answer and nowhere else.

        Args:
            account_id: Whom it acts for.
            name: What it is for.
            token: Its plain text; random when None.
            scopes: What it allows.
            expires_at: From when on it is refused; None for never.

        Raises:
            InvalidRequest: If a given token is too short to be safe or has the wrong form.
        """
        if token is not None and not _is_token(token):
            raise InvalidRequest(
                f"A token begins with r8_ and has {TOKEN_LENGTH_MIN} to {TOKEN_LENGTH_MAX} letters, digits, - or _."
            )
        plain = token if token is not None else build_token(self._randomness(32))
        record = Token(
            id=build_record_id("tok", self._randomness(16)),
            account_id=account_id,
            name=name,
            digest=token_digest(plain),
            prefix=plain[:_PREFIX_LENGTH],
            created_at=self._clock.now(),
            scopes=scopes,
            expires_at=expires_at,
        )
        await self._store.create_token(record)
        self._checked.pop(record.digest, None)
        return record, plain

    async def list_tokens(self, account_id: AccountId) -> list[Token]:
        """All tokens of an account, oldest first, revoked ones too."""
        return await self._store.list_tokens(account_id)

    async def revoke_token(self, token_id: str) -> bool:
        """Revoke at once here, within a second elsewhere. False when unknown."""
        is_known = await self._store.revoke_token(token_id, at=self._clock.now())
        for digest in [digest for digest, checked in self._checked.items() if checked.token_id == token_id]:
            del self._checked[digest]
        return is_known

    async def webhook_secret(self, account_id: AccountId) -> WebhookSecret:
        """The account's webhook signing secret, made when it has none yet."""
        secret = await self._store.webhook_secret(account_id)
        if secret is not None:
            return secret
        return await self._store.create_webhook_secret(self._new_secret(account_id))

    async def rotate_webhook_secret(self, account_id: AccountId, *, overlap_seconds: float) -> WebhookSecret:
        """Replace the account's signing secret; messages carry the old signature too until the overlap is over (promise W4)."""
        secret = self._new_secret(account_id)
        await self._store.rotate_webhook_secret(secret, valid_until=secret.created_at + timedelta(seconds=overlap_seconds))
        return secret

    async def signing_keys(self, account_id: AccountId) -> list[str]:
        """The keys that messages are signed with: the current one, and during a rotation the one before."""
        current = await self.webhook_secret(account_id)
        retired = await self._store.retired_webhook_secret(account_id)
        is_valid = retired is not None and retired.valid_until > self._clock.now()
        return [current.key, retired.key] if retired is not None and is_valid else [current.key]

    def _new_secret(self, account_id: AccountId) -> WebhookSecret:
        # Standard base64 has no underscore: official clients split the secret at it (reference http-api §5.2).
        key = "whsec_" + base64.b64encode(self._randomness(WEBHOOK_SECRET_BYTES)).decode()
        return WebhookSecret(account_id, key, self._clock.now())


def _is_valid(token: Token, now: datetime) -> bool:
    return token.revoked_at is None and (token.expires_at is None or now < token.expires_at)


def _is_token(text: str) -> bool:
    rest = text.removeprefix("r8_")
    is_plain = rest.isascii() and rest.replace("_", "").replace("-", "").isalnum()
    return text.startswith("r8_") and is_plain and TOKEN_LENGTH_MIN <= len(text) <= TOKEN_LENGTH_MAX
