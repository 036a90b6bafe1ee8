"""Prediction routes: decode, call the service, encode."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from starlette.types import ASGIApp

from replicate_server.api import wire
from replicate_server.api.answers import Answer, json_answer
from replicate_server.api.bodies import PredictionBody, decode_prediction
from replicate_server.api.calls import Call
from replicate_server.api.headers import parse_cancel_after, parse_prefer
from replicate_server.domain.catalogue import Deployment
from replicate_server.domain.errors import InvalidRequest
from replicate_server.domain.ids import PredictionId, VersionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Prediction, Version
from replicate_server.ports.store import CursorInvalid, PredictionFilter
from replicate_server.services.predictions import CreatePrediction

WEB_LIST_DAYS = 14
LIST_PATH = "/v1/predictions"
LIST_FILTERS = ("created_after", "created_before", "source", "status", "model", "version", "deployment")


async def create(call: Call) -> ASGIApp:
    """``POST /v1/predictions``: run the version that the body names."""
    body = await _decode(call, has_version=True)
    return await _create(call, body, await call.services.versions.resolve(call.account, body.version or ""))


async def create_for_model(call: Call) -> ASGIApp:
    """``POST /v1/models/{owner}/{name}/predictions``: run a model's latest version."""
    body = await _decode(call, has_version=False)
    version = await call.services.versions.latest(call.account, call.parameters["owner"], call.parameters["name"])
    return await _create(call, body, version)


async def create_for_deployment(call: Call) -> ASGIApp:
    """``POST /v1/deployments/{owner}/{name}/predictions``: run what a deployment stands for."""
    body = await _decode(call, has_version=False)
    owner, name = call.parameters["owner"], call.parameters["name"]
    deployment, version = await call.services.catalogue.deployments.version(call.account, owner, name)
    return await _create(call, body, version, deployment=deployment)


async def get(call: Call) -> ASGIApp:
    """``GET /v1/predictions/{prediction_id}``."""
    prediction = await call.services.predictions.get(call.account, call.parameters["prediction_id"])
    standing = await call.services.predictions.standing(prediction)
    return Answer(wire.encode_prediction(prediction, call.urls, standing=standing, shows_aborted=call.shows_aborted))


async def cancel(call: Call) -> ASGIApp:
    """``POST /v1/predictions/{prediction_id}/cancel``."""
    return _answer(call, await call.services.predictions.cancel(call.account, call.parameters["prediction_id"]))


async def list_page(call: Call) -> ASGIApp:
    """``GET /v1/predictions``: newest first, 100 a page."""
    filters = {name: value for name, value in call.query.items() if name in LIST_FILTERS}
    try:
        page = await call.services.predictions.list(_parse_filters(call, filters), call.query.get("cursor"))
    except CursorInvalid as error:
        raise InvalidRequest("Invalid cursor") from error
    shows_aborted = call.shows_aborted

    def build(prediction: Prediction) -> wire.WirePrediction:
        return wire.build_prediction(prediction, call.urls, with_logs=False, shows_aborted=shows_aborted)

    return json_answer(wire.build_page(page, build, call.urls, path=LIST_PATH, filters=filters))


async def _decode(call: Call, *, has_version: bool) -> PredictionBody:
    return decode_prediction(
        await call.body(size_bytes_max=call.limits.prediction_body_bytes_max),
        has_version=has_version,
        fetcher=call.services.fetcher,
        allows_http=call.limits.allows_http_webhooks,
    )


async def _create(call: Call, body: PredictionBody, version: Version, *, deployment: Deployment | None = None) -> ASGIApp:
    prefer = call.header(b"prefer")
    wait = parse_prefer(prefer, seconds_max=call.limits.sync_wait_seconds_max) if prefer else None
    cancel_after = call.header(b"cancel-after")
    prediction = await call.services.predictions.create(
        CreatePrediction(
            account=call.account,
            version=version,
            input=body.input,
            webhook=body.webhook,
            wait_seconds=None if wait is None else wait.seconds,
            cancel_after_seconds=parse_cancel_after(cancel_after) if cancel_after else None,
            deployment=None if deployment is None else deployment.full_name,
            hardware=None if deployment is None else deployment.release.hardware,
            turn=call.turn,
        )
    )
    headers = {} if wait is None else {"Preference-Applied": wait.applied}
    return _answer(call, prediction, status=201, headers=headers)


async def repeat_create(call: Call, prediction_id: PredictionId, headers: Mapping[str, str]) -> ASGIApp:
    """The answer to a create that was sent again: what the first one got, waiting for its end where the client asks for that."""
    prefer = call.header(b"prefer")
    wait = parse_prefer(prefer, seconds_max=call.limits.sync_wait_seconds_max) if prefer else None
    prediction = await call.services.predictions.repeat_create(
        call.account, prediction_id, wait_seconds=None if wait is None else wait.seconds
    )
    applied = {} if wait is None else {"Preference-Applied": wait.applied}
    return _answer(call, prediction, status=201, headers={**headers, **applied})


def _answer(call: Call, prediction: Prediction, *, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    body = wire.encode_prediction(prediction, call.urls, shows_aborted=call.shows_aborted)
    return Answer(body, status=status, headers=headers)


def _parse_filters(call: Call, filters: dict[str, str]) -> PredictionFilter:
    """The list's query parameters.

    Raises:
        InvalidRequest: If one cannot be read.
    """
    after, before = (_parse_time(name, filters.get(name)) for name in ("created_after", "created_before"))
    source = filters.get("source")
    if source is not None:
        if source != "web":
            raise InvalidRequest("source can only be web")
        # The hosted service lists web-created predictions of the last two weeks only.
        earliest = call.services.clock.now() - timedelta(days=WEB_LIST_DAYS)
        after = earliest if after is None else max(after, earliest)
    return PredictionFilter(
        call.account.id,
        created_after=after,
        created_before=before,
        source=source,
        status=_parse_status(filters.get("status")),
        model=filters.get("model"),
        version_id=VersionId(filters["version"]) if "version" in filters else None,
        deployment=filters.get("deployment"),
    )


def _parse_status(text: str | None) -> Status | None:
    if text is None:
        return None
    try:
        return Status(text)
    except ValueError as error:
        raise InvalidRequest(f"status must be one of {', '.join(Status)}") from error


def _parse_time(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        # A plus sign that was not percent-encoded arrives as a space.
        time = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())
        # An offset may lead out of the years that a datetime can hold.
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(f"{name} must be an ISO 8601 time such as 2024-08-22T12:26:51Z") from error
