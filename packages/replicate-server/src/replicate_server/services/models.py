"""Models: families of versions named ``owner/name``. Creation with its checks, and who may see which. Does not know HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from replicate_server.domain import references
from replicate_server.domain.errors import Conflict, FieldError, InvalidRequest, NotFound, PermissionDenied, ValidationFailed
from replicate_server.domain.hardware import HARDWARE, SKUS
from replicate_server.domain.ids import ModelId, build_record_id
from replicate_server.domain.records import Account, Model, Page
from replicate_server.ports.clock import Clock, Randomness
from replicate_server.ports.store import CursorInvalid, ModelStore, NameTaken

PAGE_SIZE = 25
MODELS_PER_ACCOUNT_MAX = 1_000
TEXT_LENGTH_MAX = 10_000
SORT_KEYS = ("latest_version_created_at", "model_created_at")

_REQUIRED = ("owner", "name", "visibility", "hardware")
_URLS = ("github_url", "paper_url", "weights_url", "license_url", "cover_image_url")
_FIELDS = frozenset((*_REQUIRED, "github_url", "paper_url", "license_url", "cover_image_url", "description"))
# The last is an extra of this server: the id of the prediction to show, or null.
_EDITABLE = frozenset(("description", "readme", "github_url", "paper_url", "weights_url", "license_url", "default_example"))
README_LENGTH_MAX = 500_000

NAME_TAKEN = "A model with that name and owner already exists."


def is_visible(account: Account, model: Model) -> bool:
    """Whether an account may see and run a model."""
    return model.visibility == "public" or account.acts_for(model.account_id)


class ModelService:
    """Use cases around models."""

    def __init__(self, store: ModelStore, clock: Clock, randomness: Randomness) -> None:
        self._store = store
        self._clock = clock
        self._randomness = randomness

    async def create(self, account: Account, fields: Mapping[str, Any]) -> Model:
        """Create a model of the caller's own.

        Args:
            account: The caller.
            fields: The request's fields as decoded; every problem with them is reported at once.

        Raises:
            ValidationFailed: If a field is missing or wrong.
            PermissionDenied: If the owner is another account.
            Conflict: If the name is taken or the account has its limit of models.
        """
        errors = check_model_fields(fields)
        if errors:
            raise ValidationFailed(errors)
        owner_id = account.id_as(fields["owner"])
        if owner_id is None:
            raise PermissionDenied(f"You can only create models owned by {account.username}.")
        if await self._store.count_models(owner_id) >= MODELS_PER_ACCOUNT_MAX:
            raise Conflict(f"An account can have at most {MODELS_PER_ACCOUNT_MAX:,} models.")
        model = Model(
            id=ModelId(build_record_id("model", self._randomness(16))),
            account_id=owner_id,
            created_at=self._clock.now(),
            **{name: value for name, value in fields.items() if value is not None},
        )
        try:
            await self._store.create_model(model)
        except NameTaken as error:
            raise Conflict(NAME_TAKEN) from error
        return model

    async def get(self, account: Account, owner: str, name: str) -> Model:
        """Load a model that the caller may see.

        Raises:
            NotFound: If there is none, or it is another account's private one.
        """
        model = await self._store.model(owner, name) if references.is_name(owner) and references.is_name(name) else None
        if model is None or not is_visible(account, model):
            raise NotFound
        return model

    async def list(self, account: Account, *, sort_by: str, descending: bool, cursor: str | None) -> Page[Model]:
        """One page of public models.

        Raises:
            InvalidRequest: If the sort key or the cursor is unknown.
        """
        if sort_by not in SORT_KEYS:
            raise InvalidRequest(f"sort_by must be one of: {', '.join(SORT_KEYS)}.")
        try:
            return await self._store.list_models(
                viewer=account.id, sort_by=sort_by, descending=descending, cursor=cursor, limit=PAGE_SIZE
            )
        except CursorInvalid as error:
            raise InvalidRequest("Invalid cursor") from error


def check_model_fields(fields: Mapping[str, Any]) -> list[FieldError]:
    """Everything wrong with the fields of a new model, in the order of the fields; empty when nothing is."""
    errors = [FieldError("required", name, "This field is required.") for name in _REQUIRED if fields.get(name) is None]
    errors += [FieldError("unknown", name, "This field is not known.") for name in fields if name not in _FIELDS]
    for name in sorted(_FIELDS):
        value = fields.get(name)
        problem = None if value is None else _problem_of(name, value)
        if problem is not None:
            errors.append(FieldError("invalid", name, problem))
    return errors


def check_model_changes(fields: Mapping[str, Any]) -> list[FieldError]:
    """Everything wrong with changes of a model; null takes a field's value away."""
    errors = [FieldError("unknown", name, "This field cannot be changed.") for name in fields if name not in _EDITABLE]
    for name in sorted(_EDITABLE.intersection(fields)):
        problem = None if fields[name] is None else _problem_of(name, fields[name])
        if problem is not None:
            errors.append(FieldError("invalid", name, problem))
    return errors


def _problem_of(name: str, value: Any) -> str | None:
    """What is wrong with one given field of a model."""
    if not isinstance(value, str):
        return "Not a valid string."
    length_max = README_LENGTH_MAX if name == "readme" else TEXT_LENGTH_MAX
    if len(value) > length_max:
        return f"Ensure this field has no more than {length_max} characters."
    if name in ("owner", "name") and not references.is_name(value):
        return f"Use {references.name_rule()}."
    if name == "visibility" and value not in ("public", "private"):
        return f'"{value}" is not a valid choice.'
    if name == "hardware" and value not in SKUS:
        return f"{value} is not a valid hardware SKU. Your options are: {', '.join(item.sku for item in HARDWARE)}"
    if name in _URLS and not _is_web_url(value):
        return "Enter a valid URL."
    return None


def _is_web_url(text: str) -> bool:
    if not text.isprintable() or any(character in text for character in ' <>"'):
        # urlsplit drops line breaks silently, and such text has no business in a link.
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
