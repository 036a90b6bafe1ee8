"""Versions: what a reference names, and who may run it. Does not know HTTP.

Resolution is on the path of every prediction, so references that name an id are remembered for a second per account. A model's
latest version is never remembered: who publishes and then runs ``owner/name`` gets what was published.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from typing import TypeVar

from replicate_server.domain.errors import InvalidRequest, InvalidVersion, NotFound, VersionsHidden
from replicate_server.domain.ids import AccountId, ModelId, VersionId
from replicate_server.domain.records import Account, Model, Page, Version
from replicate_server.domain.references import VERSION_ID_LENGTH, InvalidReference, VersionReference, parse_version_reference
from replicate_server.ports.clock import Clock
from replicate_server.ports.store import CursorInvalid, ModelStore
from replicate_server.services.models import ModelService, is_visible

PAGE_SIZE = 25
STALE_AFTER_SECONDS = 1.0
CACHE_ENTRIES_MAX = 4_096
CANDIDATES_MAX = 20

_K = TypeVar("_K")
_V = TypeVar("_V")
_Key = tuple[AccountId, str, tuple[str, str] | None]


class VersionService:
    """Use cases around versions."""

    def __init__(self, store: ModelStore, models: ModelService, clock: Clock) -> None:
        self._store = store
        self._models = models
        self._clock = clock
        self._resolved: OrderedDict[_Key, tuple[Version, datetime]] = OrderedDict()
        # Versions never change, so these entries have no age; the bound alone limits them. Removal takes them out.
        self._known: OrderedDict[tuple[ModelId, VersionId], Version] = OrderedDict()

    async def resolve(self, account: Account, reference: str, *, model: tuple[str, str] | None = None) -> Version:
        """The one version that a reference names and the caller may run.

        Args:
            account: The caller.
            reference: A 64-digit id, a unique prefix of at least 6 digits (trailing dots are ignored),
                ``owner/name:<id or prefix>``, or ``owner/name`` for its latest version.
            model: Look among the versions of this ``(owner, name)`` only.

        Raises:
            InvalidVersion: If it names nothing, several versions, or another account's private one.
            NotFound: If ``model`` is given and cannot be seen.
        """
        key = (account.id, reference, model)
        remembered = self._resolved.get(key)
        now = self._clock.now()
        if remembered is not None and 0 <= (now - remembered[1]).total_seconds() < STALE_AFTER_SECONDS:
            return remembered[0]
        try:
            parsed = parse_version_reference(reference)
        except InvalidReference as error:
            raise InvalidVersion from error
        if model is not None:
            await self._models.get(account, *model)
            parsed = VersionReference(*model, parsed.id_prefix)
        version = await self._find(account, parsed)
        if parsed.id_prefix is not None:
            _remember(self._resolved, key, (version, now))
        return version

    async def get(self, account: Account, owner: str, name: str, reference: str) -> Version:
        """One version of a model by id or unique prefix.

        Raises:
            NotFound: If the model or the version cannot be seen.
        """
        try:
            return await self.resolve(account, reference, model=(owner, name))
        except InvalidVersion as error:
            raise NotFound from error

    async def latest(self, account: Account, owner: str, name: str) -> Version:
        """The latest version of a model.

        Raises:
            NotFound: If the model cannot be seen or has no version yet.
        """
        model = await self._models.get(account, owner, name)
        version = await self.latest_of(model)
        if version is None:
            raise NotFound
        return version

    async def latest_of(self, model: Model) -> Version | None:
        """The latest version of a model record; None when it has none yet."""
        return None if model.latest_version_id is None else await self.load(model.id, model.latest_version_id)

    async def load(self, model_id: ModelId, version_id: VersionId) -> Version | None:
        """One version of a model by its whole id; None when there is none. Whether the caller may see it was checked before."""
        key = (model_id, version_id)
        known = self._known.get(key)
        if known is not None:
            return known
        version = await self._store.version(*key)
        if version is not None:
            _remember(self._known, key, version)
        return version

    async def list(self, account: Account, owner: str, name: str, *, cursor: str | None) -> Page[Version]:
        """One page of a model's versions, newest first.

        Raises:
            NotFound: If the model cannot be seen.
            VersionsHidden: If it is an official one.
            InvalidRequest: If the cursor is unknown.
        """
        model = await self._models.get(account, owner, name)
        if model.is_official:
            raise VersionsHidden
        try:
            return await self._store.list_versions(model.id, cursor=cursor, limit=PAGE_SIZE)
        except CursorInvalid as error:
            raise InvalidRequest("Invalid cursor") from error

    def forget(self, model_id: ModelId, version_id: VersionId) -> None:
        """A version was removed: it is found no more, at once."""
        self._known.pop((model_id, version_id), None)
        for key in [key for key, (version, _) in self._resolved.items() if version.id == version_id]:
            del self._resolved[key]

    async def _find(self, account: Account, reference: VersionReference) -> Version:
        model_id = None
        if reference.owner is not None and reference.name is not None:
            try:
                model = await self._models.get(account, reference.owner, reference.name)
            except NotFound as error:
                raise InvalidVersion from error
            if reference.id_prefix is None:
                version = await self.latest_of(model)
                if version is None:
                    raise InvalidVersion(f"The model {model.owner}/{model.name} has no version yet.")
                return version
            model_id = model.id
        return await self._find_by_prefix(account, reference.id_prefix or "", model_id)

    async def _find_by_prefix(self, account: Account, prefix: str, model_id: ModelId | None) -> Version:
        candidates = await self._store.versions_by_prefix(prefix, model_id=model_id, limit=CANDIDATES_MAX)
        if model_id is None:
            candidates = [version for version in candidates if await self._may_run(account, version)]
        if not candidates:
            raise InvalidVersion
        # The same build published to two models has one id: that is no ambiguity, the newest is meant.
        if len({version.id for version in candidates}) > 1 and len(prefix) < VERSION_ID_LENGTH:
            raise InvalidVersion(f"Several versions begin with {prefix}. Give more digits of the id.")
        return candidates[0]

    async def _may_run(self, account: Account, version: Version) -> bool:
        model = await self._store.model(version.owner, version.name)
        return model is not None and is_visible(account, model)


def _remember(cache: OrderedDict[_K, _V], key: _K, value: _V) -> None:
    """Put an entry at the young end and drop the oldest beyond the bound."""
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > CACHE_ENTRIES_MAX:
        cache.popitem(last=False)
