"""Deployments: names that stand for a version, hardware and bounds of scaling. Does not know HTTP.

Predictions through a deployment run on demand, like all others: the bounds are stored and shown, and 0 as the upper one switches
the deployment off, but no instance is kept waiting for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from replicate_server.domain import references
from replicate_server.domain.catalogue import Deployment, DeploymentRelease
from replicate_server.domain.errors import (
    Conflict,
    FieldError,
    InvalidRequest,
    InvalidVersion,
    NotFound,
    PermissionDenied,
    ValidationFailed,
)
from replicate_server.domain.hardware import HARDWARE, SKUS
from replicate_server.domain.ids import build_record_id
from replicate_server.domain.records import Account, Page, Version
from replicate_server.ports.catalogue import DeploymentStore, RecordInUse
from replicate_server.ports.clock import Clock, Randomness
from replicate_server.ports.store import CursorInvalid, NameTaken
from replicate_server.services.versions import VersionService

PAGE_SIZE = 25
UNUSED_SECONDS_MIN = 15 * 60
"""A deployment can be deleted when it has not been used for so long (reference http-api §1.3)."""
RELEASE_ATTEMPTS_MAX = 5
INSTANCES_MAX: Mapping[str, int] = {"min_instances": 5, "max_instances": 20}

_CHANGEABLE = ("version", "hardware", "min_instances", "max_instances")
_REQUIRED = ("name", "model", *_CHANGEABLE)


class DeploymentService:
    """Use cases around deployments."""

    def __init__(self, store: DeploymentStore, versions: VersionService, clock: Clock, randomness: Randomness) -> None:
        self._store = store
        self._versions = versions
        self._clock = clock
        self._randomness = randomness

    async def create(self, account: Account, fields: Mapping[str, Any]) -> Deployment:
        """Create a deployment of the caller's own, with release 1.

        Raises:
            ValidationFailed: With every wrong field.
            Conflict: If the name is taken.
        """
        errors = [FieldError("required", name, "This field is required.") for name in _REQUIRED if fields.get(name) is None]
        errors += _check(fields, known=_REQUIRED)
        if errors:
            raise ValidationFailed(errors)
        version = await self._resolve(account, fields["model"], fields["version"])
        now = self._clock.now()
        release = DeploymentRelease(
            number=1,
            model_id=version.model_id,
            model=version.model,
            version_id=version.id,
            hardware=fields["hardware"],
            min_instances=fields["min_instances"],
            max_instances=fields["max_instances"],
            created_at=now,
            created_by=account,
        )
        _check_bounds(release)
        deployment = Deployment(
            build_record_id("deployment", self._randomness(16)), account.id, account.username, fields["name"], now, release
        )
        try:
            await self._store.create_deployment(deployment)
        except NameTaken as error:
            raise Conflict("A deployment with that name and owner already exists.") from error
        return deployment

    async def get(self, account: Account, owner: str, name: str) -> Deployment:
        """Load one that the caller may use.

        Raises:
            NotFound: If there is none, or it is another account's.
        """
        is_possible = references.is_name(owner) and references.is_name(name)
        deployment = await self._store.deployment(owner, name) if is_possible else None
        if deployment is None or not account.acts_for(deployment.account_id):
            raise NotFound
        return deployment

    async def _own(self, account: Account, owner: str, name: str) -> Deployment:
        deployment = await self.get(account, owner, name)
        if not account.may_change(deployment.account_id):
            raise PermissionDenied(f"Only admins of {owner} may change its deployments.")
        return deployment

    async def list(self, account: Account, *, cursor: str | None) -> Page[Deployment]:
        """One page of the caller's, newest first.

        Raises:
            InvalidRequest: If the cursor is unknown.
        """
        try:
            return await self._store.list_deployments(account.id, cursor=cursor, limit=PAGE_SIZE)
        except CursorInvalid as error:
            raise InvalidRequest("Invalid cursor") from error

    async def update(self, account: Account, owner: str, name: str, fields: Mapping[str, Any]) -> Deployment:
        """Make a new release with what the fields name; what changes nothing makes none.

        Raises:
            NotFound: If there is none, or it is another account's.
            ValidationFailed: With every wrong field.
            Conflict: If others kept changing it at the same time.
        """
        errors = _check(fields, known=_CHANGEABLE)
        for _ in range(RELEASE_ATTEMPTS_MAX):
            deployment = await self._own(account, owner, name)
            if errors:
                raise ValidationFailed(errors)
            release = await self._next_release(account, deployment.release, fields)
            if release is None:
                return deployment
            if await self._store.release_deployment(deployment.id, release):
                return replace(deployment, release=release)
        raise Conflict("The deployment is being changed by others. Try again.")

    async def delete(self, account: Account, owner: str, name: str) -> None:
        """Remove one that has not been used for a while. Its predictions stay.

        Raises:
            NotFound: If there is none, or it is another account's.
            Conflict: If it is in use or was a short time ago.
        """
        deployment = await self._own(account, owner, name)
        unused_since = self._clock.now() - timedelta(seconds=UNUSED_SECONDS_MIN)
        try:
            await self._store.delete_deployment(deployment, unused_since=unused_since)
        except RecordInUse as error:
            raise Conflict(
                f"The deployment cannot be deleted: {error} It has to be unused for {UNUSED_SECONDS_MIN // 60} minutes."
            ) from error

    async def version(self, account: Account, owner: str, name: str) -> tuple[Deployment, Version]:
        """A deployment and the version that it runs.

        Raises:
            NotFound: If there is none, or it is another account's.
            Conflict: If it is switched off.
        """
        deployment = await self.get(account, owner, name)
        release = deployment.release
        if release.max_instances == 0:
            raise Conflict("The deployment is switched off: its max_instances is 0.")
        version = await self._versions.load(release.model_id, release.version_id)
        if version is None:
            raise LookupError(f"the version of deployment {deployment.full_name} is gone")
        return deployment, version

    async def _next_release(
        self, account: Account, release: DeploymentRelease, fields: Mapping[str, Any]
    ) -> DeploymentRelease | None:
        changes = {name: fields[name] for name in ("hardware", "min_instances", "max_instances") if name in fields}
        if "version" in fields:
            changes["version_id"] = (await self._resolve(account, release.model, fields["version"])).id
        changed = replace(release, **changes)
        if changed == release:
            return None
        _check_bounds(changed)
        return replace(changed, number=release.number + 1, created_at=self._clock.now(), created_by=account)

    async def _resolve(self, account: Account, model: str, reference: str) -> Version:
        """The version of a model that the fields name.

        Raises:
            ValidationFailed: If there is no such model or version that the caller may run.
        """
        owner, _, name = model.partition("/")
        try:
            return await self._versions.resolve(account, reference, model=(owner, name))
        except NotFound as error:
            raise ValidationFailed([FieldError("invalid", "model", f"The model {model} does not exist.")]) from error
        except InvalidVersion as error:
            raise ValidationFailed([FieldError("invalid", "version", error.detail)]) from error


def _check(fields: Mapping[str, Any], *, known: tuple[str, ...]) -> list[FieldError]:
    errors = [FieldError("unknown", name, "This field is not known.") for name in fields if name not in known]
    for name in known:
        problem = _problem_of(name, fields[name]) if name in fields and fields[name] is not None else None
        if name in fields and fields[name] is None and known is _CHANGEABLE:
            problem = "This field may not be null."
        if problem is not None:
            errors.append(FieldError("invalid", name, problem))
    return errors


def _problem_of(name: str, value: Any) -> str | None:
    """What is wrong with one given field."""
    if name in INSTANCES_MAX:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if not is_number or not 0 <= value <= INSTANCES_MAX[name]:
            return f"Give a whole number from 0 to {INSTANCES_MAX[name]}."
        return None
    if not isinstance(value, str):
        return "Not a valid string."
    if name == "name" and not references.is_name(value):
        return f"Use {references.name_rule()}."
    if name == "hardware" and value not in SKUS:
        return f"{value} is not a valid hardware SKU. Your options are: {', '.join(item.sku for item in HARDWARE)}"
    return None


def _check_bounds(release: DeploymentRelease) -> None:
    if release.min_instances > release.max_instances:
        raise ValidationFailed([FieldError("invalid", "min_instances", "It must not be greater than max_instances.")])
