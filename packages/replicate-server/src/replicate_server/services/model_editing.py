"""Changing and removing models, and the examples that their owners show. Does not know HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from replicate_server.domain.errors import Conflict, FieldError, InvalidRequest, NotFound, PermissionDenied, ValidationFailed
from replicate_server.domain.ids import PredictionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Account, Model, Page, Prediction
from replicate_server.ports.catalogue import CatalogueStore, RecordInUse
from replicate_server.ports.clock import Clock
from replicate_server.ports.store import CursorInvalid, PredictionStore
from replicate_server.services.models import ModelService, check_model_changes

EXAMPLES_PAGE = 25


class EditingStore(CatalogueStore, PredictionStore, Protocol):
    """Models' changes and the predictions that are their examples."""


class ModelEditing:
    """Use cases of a model's owner."""

    def __init__(self, store: EditingStore, models: ModelService, clock: Clock) -> None:
        self._store = store
        self._models = models
        self._clock = clock

    async def own(self, account: Account, owner: str, name: str) -> Model:
        """A model that the caller may change.

        Raises:
            NotFound: If it cannot be seen.
            PermissionDenied: If it is another account's.
        """
        model = await self._models.get(account, owner, name)
        if not account.may_change(model.account_id):
            raise PermissionDenied(f"The model {owner}/{name} belongs to another account.")
        return model

    async def update(self, account: Account, owner: str, name: str, fields: Mapping[str, Any]) -> Model:
        """Change what the fields name; everything else stays.

        Args:
            account: The caller.
            owner: The model's owner.
            name: The model's name.
            fields: As decoded; ``default_example`` names a prediction, which becomes an example too.

        Raises:
            NotFound: If it cannot be seen.
            PermissionDenied: If it is another account's.
            ValidationFailed: With every wrong field.
        """
        model = await self.own(account, owner, name)
        errors = check_model_changes(fields)
        changes = {name: value for name, value in fields.items() if name != "default_example"}
        example_id = fields.get("default_example")
        if not errors and example_id is not None and not await self._may_show(account, model, example_id):
            errors = [FieldError("invalid", "default_example", _NO_EXAMPLE)]
        if errors:
            raise ValidationFailed(errors)
        if "default_example" in fields:
            changes["default_example_id"] = example_id
        if example_id is not None:
            await self._store.add_example(model.id, PredictionId(example_id), at=self._clock.now())
        changed = await self._store.update_model(model.id, changes)
        if changed is None:
            raise NotFound
        return changed

    async def delete(self, account: Account, owner: str, name: str) -> None:
        """Remove a private model of the caller's own that has no versions.

        Raises:
            NotFound: If it cannot be seen.
            PermissionDenied: If it is another account's.
            Conflict: If it is public or has versions.
        """
        model = await self.own(account, owner, name)
        if model.visibility != "private":
            raise Conflict("The model cannot be deleted: only private models can.")
        try:
            await self._store.delete_model(model.id)
        except RecordInUse as error:
            raise Conflict(f"The model cannot be deleted: {error}") from error

    async def readme(self, account: Account, owner: str, name: str) -> str:
        """A model's readme in Markdown.

        Raises:
            NotFound: If the model cannot be seen or has none.
        """
        model = await self._models.get(account, owner, name)
        if not model.readme:
            raise NotFound
        return model.readme

    async def examples(self, account: Account, owner: str, name: str, *, cursor: str | None) -> Page[Prediction]:
        """One page of a model's examples, newest first.

        Raises:
            NotFound: If the model cannot be seen.
            InvalidRequest: If the cursor is unknown.
        """
        model = await self._models.get(account, owner, name)
        try:
            page = await self._store.list_examples(model.id, cursor=cursor, limit=EXAMPLES_PAGE)
        except CursorInvalid as error:
            raise InvalidRequest("Invalid cursor") from error
        return replace(page, results=[_as_example(prediction) for prediction in page.results])

    async def add_example(self, account: Account, owner: str, name: str, prediction_id: Any) -> Prediction:
        """Show a prediction as an example of the caller's model.

        Raises:
            NotFound: If the model cannot be seen.
            PermissionDenied: If it is another account's.
            ValidationFailed: If the prediction cannot be an example.
        """
        model = await self.own(account, owner, name)
        prediction = await self._may_show(account, model, prediction_id)
        if prediction is None:
            raise ValidationFailed([FieldError("invalid", "prediction", _NO_EXAMPLE)])
        await self._store.add_example(model.id, prediction.id, at=self._clock.now())
        return _as_example(prediction)

    async def remove_example(self, account: Account, owner: str, name: str, prediction_id: str) -> None:
        """Take an example back.

        Raises:
            NotFound: If the model cannot be seen or has no such example.
            PermissionDenied: If it is another account's.
        """
        model = await self.own(account, owner, name)
        if not await self._store.remove_example(model.id, PredictionId(prediction_id)):
            raise NotFound

    async def default_example(self, model: Model) -> Prediction | None:
        """The prediction that a model shows; None when its owner chose none."""
        if model.default_example_id is None:
            return None
        prediction = await self._store.prediction(model.default_example_id)
        return None if prediction is None else _as_example(prediction)

    async def _may_show(self, account: Account, model: Model, prediction_id: Any) -> Prediction | None:
        """A prediction of the caller's own by this model that succeeded and still has its data."""
        prediction = await self._store.prediction(PredictionId(prediction_id)) if isinstance(prediction_id, str) else None
        if prediction is None or prediction.model_id != model.id or not account.acts_for(prediction.account_id):
            return None
        return prediction if prediction.status is Status.SUCCEEDED and not prediction.data_removed else None


_NO_EXAMPLE = "Name a prediction of this model that is yours and succeeded."


def _as_example(prediction: Prediction) -> Prediction:
    """What everybody may see of it: not where its owner wanted to be called, nor the permission to its stream."""
    return replace(prediction, webhook=None, stream_token=None)
