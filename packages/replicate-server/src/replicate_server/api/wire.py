"""The JSON shapes of every object, and their encoding. Nothing else writes a record as JSON (errors: see `problems`).

Absent and null differ on the wire: a field that clients expect to be absent is `UNSET`. Source: reference http-api §§1–2 and
§7.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from replicate_server.api.urls import Urls
from replicate_server.domain.hardware import HARDWARE, run_cost_dollars
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import Account, Model, Page, Prediction, Standing, StoredFile, Version, WebhookSecret
from replicate_server.domain.secret_inputs import mask_input

T = TypeVar("T")

_NOWHERE = Standing()

# Times go out as RFC 3339 with microseconds and Z.
_encoder = msgspec.json.Encoder()


class PredictionUrls(msgspec.Struct, frozen=True):
    """Links of a prediction. Never null: the official Python client has a dictionary of strings here."""

    get: str
    cancel: str
    web: str
    stream: str | UnsetType = UNSET


class WirePhase(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stretch of a prediction's life; one that goes on has no end."""

    name: str
    """``queued`` or ``running``."""
    started_at: datetime
    completed_at: datetime | None = None


class WirePlatform(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What this platform tells beside the standard fields; what is unknown is absent.

    One object of its own: official clients keep or skip a field they do not know, and no later standard field can collide.
    """

    phases: Sequence[WirePhase]
    hardware: str | None = None
    instance: str | None = None
    attempt: int = 0
    cost_dollars: float | None = None
    queue_position: int | None = None
    estimated_start_at: datetime | None = None


class WirePrediction(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction as every route and webhook shows it."""

    id: str
    model: str
    version: str
    input: Mapping[str, Any]
    output: Any
    logs: str | UnsetType = UNSET
    error: str | None
    status: str
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    metrics: Mapping[str, Any]
    data_removed: bool
    source: str
    deployment: str | UnsetType = UNSET
    deadline: datetime | UnsetType = UNSET
    webhook: str | UnsetType = UNSET
    webhook_events_filter: list[str] | UnsetType = UNSET
    urls: PredictionUrls
    platform: WirePlatform


class WireVersion(msgspec.Struct, frozen=True):
    """A version. The official Python client needs both of the last two."""

    id: str
    created_at: datetime
    cog_version: str
    openapi_schema: Mapping[str, Any]


class WireModel(msgspec.Struct, frozen=True):
    """A model; its hardware is never shown."""

    url: str
    owner: str
    name: str
    description: str | None
    visibility: str
    is_official: bool
    github_url: str | None
    paper_url: str | None
    license_url: str | None
    run_count: int
    cover_image_url: str | None
    default_example: WirePrediction | None
    latest_version: WireVersion | None
    created_at: datetime


class WireAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account; the name is never empty."""

    type: str
    username: str
    name: str
    github_url: str | UnsetType = UNSET
    avatar_url: str | UnsetType = UNSET


class WireFile(msgspec.Struct, frozen=True):
    """An uploaded file."""

    id: str
    name: str
    content_type: str
    size: int
    etag: str
    checksums: Mapping[str, str]
    metadata: Mapping[str, Any]
    created_at: datetime
    expires_at: datetime | None
    urls: Mapping[str, str]


class WirePage(msgspec.Struct, frozen=True):
    """One page of a list."""

    next: str | None
    previous: str | None
    results: Sequence[Any]


def build_prediction(
    prediction: Prediction,
    urls: Urls,
    *,
    with_logs: bool = True,
    shows_aborted: bool = False,
    standing: Standing | None = None,
) -> WirePrediction:
    """Shape a prediction.

    Args:
        prediction: The record.
        urls: Builds its links.
        with_logs: False in lists, whose items have every field but this one.
        shows_aborted: Whether the client knows the status ``aborted``; to others it is ``canceled``, for the official clients
        would
            wait for ever (reference http-api §2.2).
        standing: Where it stands in the queue, for whoever looked.
    """
    webhook = prediction.webhook
    is_disguised = prediction.status is Status.ABORTED and not shows_aborted
    return WirePrediction(
        id=prediction.id,
        model=prediction.model,
        version=prediction.version_id,
        input=mask_input(prediction.input),
        output=prediction.output,
        logs=prediction.logs if with_logs else UNSET,
        error=prediction.error if prediction.status is Status.FAILED else None,
        status=Status.CANCELED if is_disguised else prediction.status,
        created_at=prediction.created_at,
        started_at=prediction.started_at,
        completed_at=prediction.completed_at,
        metrics=prediction.metrics,
        data_removed=prediction.data_removed,
        source=prediction.source,
        deployment=_present(prediction.deployment),
        deadline=_present(prediction.deadline_at),
        webhook=UNSET if webhook is None else webhook.url,
        webhook_events_filter=UNSET if webhook is None else sorted(webhook.events),
        urls=PredictionUrls(
            urls.prediction(prediction.id),
            urls.cancel(prediction.id),
            urls.web(prediction.id),
            _present(urls.stream(prediction)),
        ),
        platform=_build_platform(prediction, standing or _NOWHERE),
    )


def _build_platform(prediction: Prediction, standing: Standing) -> WirePlatform:
    started_at, completed_at = prediction.started_at, prediction.completed_at
    queued = WirePhase("queued", prediction.created_at, started_at or completed_at)
    run_seconds = prediction.metrics.get("predict_time") if completed_at is not None else None
    # A claim counts the attempt it is made for; the code may not have been started yet.
    is_counted = started_at is not None or prediction.claim is None
    return WirePlatform(
        phases=[queued] if started_at is None else [queued, WirePhase("running", started_at, completed_at)],
        hardware=prediction.hardware,
        instance=prediction.instance_id or standing.instance_id,
        attempt=prediction.attempt if is_counted else 0,
        cost_dollars=None if run_seconds is None else run_cost_dollars(prediction.hardware, run_seconds),
        queue_position=standing.queue_position,
        estimated_start_at=standing.estimated_start_at,
    )


def encode_prediction(
    prediction: Prediction, urls: Urls, *, shows_aborted: bool = False, standing: Standing | None = None
) -> bytes:
    """A prediction as ``GET /v1/predictions/{id}`` answers it; webhook bodies are the same but for the standing."""
    return _encoder.encode(build_prediction(prediction, urls, shows_aborted=shows_aborted, standing=standing))


def build_version(version: Version) -> WireVersion:
    """Shape a version."""
    return WireVersion(version.id, version.created_at, version.cog_version, version.openapi_schema)


def build_model(
    model: Model, latest_version: Version | None, urls: Urls, *, default_example: Prediction | None = None
) -> WireModel:
    """Shape a model."""
    return WireModel(
        url=urls.model(model.owner, model.name),
        owner=model.owner,
        name=model.name,
        description=model.description,
        visibility=model.visibility,
        is_official=model.is_official,
        github_url=model.github_url,
        paper_url=model.paper_url,
        license_url=model.license_url,
        run_count=model.run_count,
        cover_image_url=model.cover_image_url,
        default_example=None if default_example is None else build_prediction(default_example, urls),
        latest_version=None if latest_version is None else build_version(latest_version),
        created_at=model.created_at,
    )


def build_account(account: Account) -> WireAccount:
    """Shape an account."""
    return WireAccount(
        type=account.type,
        username=account.username,
        name=account.name or account.username,
        github_url=_present(account.github_url),
        avatar_url=_present(account.avatar_url),
    )


def build_file(file: StoredFile, urls: Urls) -> WireFile:
    """Shape an uploaded file."""
    return WireFile(
        id=file.id,
        name=file.name,
        content_type=file.content_type,
        size=file.size_bytes,
        etag=file.md5,
        checksums={"sha256": file.sha256, "md5": file.md5},
        metadata=file.metadata,
        created_at=file.created_at,
        expires_at=file.expires_at,
        urls={"get": urls.file(file.id)},
    )


def build_webhook_secret(secret: WebhookSecret) -> dict[str, str]:
    """Shape a signing secret."""
    return {"key": secret.key}


def build_hardware() -> list[dict[str, str]]:
    """Shape the hardware list: a bare array."""
    return [{"sku": item.sku, "name": item.name} for item in HARDWARE]


def build_page(
    page: Page[T], build: Callable[[T], Any], urls: Urls, *, path: str, filters: Mapping[str, str] | None = None
) -> WirePage:
    """Shape a page; its links carry the filters on."""
    return WirePage(
        next=urls.page(path, filters=filters or {}, cursor=page.next_cursor),
        previous=urls.page(path, filters=filters or {}, cursor=page.previous_cursor),
        results=[build(item) for item in page.results],
    )


def encode(shape: Any) -> bytes:
    """Write a shape as JSON."""
    return _encoder.encode(shape)


def _present(value: T | None) -> T | UnsetType:
    """What is None in a record is absent on the wire."""
    return UNSET if value is None else value
