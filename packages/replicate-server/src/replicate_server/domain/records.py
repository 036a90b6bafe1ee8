"""What is stored, as frozen values. Stores return these and never rows; the wire shapes live in ``api.wire``.

Times are aware UTC datetimes. JSON-valued fields hold plain Python values (dict, list, str, int, float, bool, None). Nothing
here does I/O, and nothing here may be mutated: a change is a new record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from replicate_server.domain.ids import AccountId, FileId, HolderId, InstanceId, ModelId, PredictionId, VersionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.scopes import ALL_SCOPES, Role, Scope

Json = Any
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Account:
    """A user or an organisation: what owns models, tokens, predictions and files."""

    id: AccountId
    username: str
    name: str
    type: str
    """``user`` or ``organization``."""
    created_at: datetime
    github_url: str | None = None
    avatar_url: str | None = None
    memberships: tuple[Membership, ...] = ()
    """The organizations that it belongs to; filled in for whoever calls."""
    scopes: frozenset[Scope] = ALL_SCOPES
    """What the token that is used allows; filled in for whoever calls."""

    def acts_for(self, account_id: AccountId) -> bool:
        """Whether it is this account or a member of it: then it may see and run what that owns."""
        return account_id == self.id or any(item.organization_id == account_id for item in self.memberships)

    def may_change(self, account_id: AccountId) -> bool:
        """Whether it is this account or an admin of it: then it may change what that owns."""
        return account_id == self.id or any(
            item.organization_id == account_id and item.role is Role.ADMIN for item in self.memberships
        )

    def id_as(self, username: str) -> AccountId | None:
        """The account of a name in which it may create things; None when it may not."""
        if username == self.username:
            return self.id
        found = [item.organization_id for item in self.memberships if item.organization == username]
        return found[0] if found and self.may_change(found[0]) else None


@dataclass(frozen=True, slots=True)
class Membership:
    """One account's place in an organization."""

    organization_id: AccountId
    organization: str
    """The organization's username."""
    account_id: AccountId
    username: str
    """The member's username."""
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Token:
    """A credential of an account. Only its digest is stored."""

    id: str
    account_id: AccountId
    name: str
    digest: str
    prefix: str
    """The first characters, kept so that people recognise it."""
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    scopes: frozenset[Scope] = ALL_SCOPES
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A family of versions, named ``owner/name``."""

    id: ModelId
    account_id: AccountId
    owner: str
    name: str
    visibility: str
    """``public`` or ``private``."""
    created_at: datetime
    hardware: str = "cpu"
    description: str | None = None
    github_url: str | None = None
    paper_url: str | None = None
    license_url: str | None = None
    cover_image_url: str | None = None
    readme: str | None = None
    run_count: int = 0
    latest_version_id: VersionId | None = None
    weights_url: str | None = None
    is_official: bool = False
    """Set by the operator: such a model does not show the list of its versions."""
    default_example_id: PredictionId | None = None
    """The prediction that its owner shows as its example."""


@dataclass(frozen=True, slots=True)
class Version:
    """One immutable build of a model."""

    id: VersionId
    model_id: ModelId
    owner: str
    """The owner of its model."""
    name: str
    """The name of its model."""
    created_at: datetime
    cog_version: str
    openapi_schema: Mapping[str, Json]
    manifest: bytes
    """The OCI manifest, byte for byte; its sha256 is the id."""
    package: Package
    """What an engine needs to run it."""
    hardware: str | None = None
    """The SKU of its model, when it was loaded from the store; None in a version being made."""

    @property
    def model(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True, slots=True)
class Package:
    """How to run a version: taken from its cog.yaml and its lock when it was published."""

    runner: str
    """``predict.py:Predictor``."""
    layers: tuple[str, ...]
    """Digests (``sha256:…``) of the tar+gzip layers that make up ``/src``, in order; blobs under ``oci/<hex>``."""
    python_version: str
    """``3.11``."""
    requirements_lock: str
    """The text of the resolved requirements, one pin and its hashes each; "" when the model needs nothing."""
    environment: Mapping[str, str] = field(default_factory=dict)
    concurrency_max: int = 1
    is_gpu: bool = False
    train: str | None = None
    system_packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WebhookSubscription:
    """Where a prediction's events are posted, and which."""

    url: str
    events: frozenset[str]
    """Subset of ``start output logs completed``."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The scheduler's binding of a prediction to an instance. It ends by itself when the lease expires."""

    holder: HolderId
    instance_id: InstanceId
    token: int
    """Fencing token: grows with every claim of this prediction, never reused; a write with an old one is refused."""
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Prediction:
    """One execution of a version. ``logs`` and ``output`` are complete for terminal ones, and so far for running ones."""

    id: PredictionId
    account_id: AccountId
    model_id: ModelId
    model: str
    version_id: VersionId
    status: Status
    input: Mapping[str, Json]
    created_at: datetime
    source: str = "api"
    deployment: str | None = None
    hardware: str | None = None
    """The SKU it was created for; its price is the prediction's."""
    output: Json = None
    error: str | None = None
    logs: str = ""
    metrics: Mapping[str, Json] = field(default_factory=dict)
    started_at: datetime | None = None
    completed_at: datetime | None = None
    deadline_at: datetime | None = None
    webhook: WebhookSubscription | None = None
    stream_token: str | None = None
    """The capability in its stream URL; None when the version does not stream."""
    is_file_stream: bool = False
    """Whether its stream carries file URLs, which are served under ``/v1/files/`` (reference http-api §4.3.8)."""
    attempt: int = 0
    """How many times its code was started; a retry budget counts these."""
    claim: Claim | None = None
    cancel_requested_at: datetime | None = None
    instance_id: InstanceId | None = None
    """Where its code ran, once it has ended."""
    data_removed: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of an active prediction beside its record."""

    instance_id: InstanceId | None = None
    """Where its code runs."""
    queue_position: int | None = None
    """1 for the next to start; None when it has started."""
    estimated_start_at: datetime | None = None
    """None when unknown: nothing serves its version, or nothing of it ever ran."""


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a prediction's append-only log."""

    prediction_id: PredictionId
    sequence: int
    """1, 2, 3 … without gaps within a prediction."""
    kind: str
    """``output`` (data: the JSON value yielded), ``log`` (data: text), ``metric`` (data: ``[name, value, mode]``), or
    ``done`` (data: ``{}``, ``{"reason": "canceled"}`` or ``{"reason": "error", "detail": …}``), always the last."""
    data: Json
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Bytes with a name: an upload or an output of a prediction. The bytes are in the blob port under ``blob_key``."""

    id: FileId
    account_id: AccountId
    name: str
    content_type: str
    size_bytes: int
    sha256: str
    md5: str
    blob_key: str
    created_at: datetime
    expires_at: datetime | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)
    prediction_id: PredictionId | None = None
    """Set for outputs; such a file is not listed by the Files API and is served at its delivery URL."""
    delivery_token: str | None = None
    """The unguessable part of its delivery URL; outputs only."""


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """An outbox row: one POST to be made. ``body`` is stored as sent, so that every retry sends the same bytes."""

    id: str
    """``msg_…``: the ``webhook-id`` header, the same on each retry."""
    account_id: AccountId
    prediction_id: PredictionId
    event: str
    """``start``, ``output``, ``logs`` or ``completed``."""
    url: str
    body: bytes
    created_at: datetime
    next_attempt_at: datetime
    attempts: int = 0
    attempts_max: int = 1
    """1 for intermediate events, which are never retried."""
    delivered_at: datetime | None = None
    failed_at: datetime | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """The signing secret of an account, ``whsec_`` and standard base64 (no underscore inside: reference http-api §5.2)."""

    account_id: AccountId
    key: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RetiredSecret:
    """A signing secret that was replaced: for a while messages are signed with it too, so that receivers can change over."""

    account_id: AccountId
    key: str
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """What an Idempotency-Key of an account stands for: one request, and what came of it."""

    account_id: AccountId
    key: str
    fingerprint: str
    """Digest of the request's method, path and body."""
    created_at: datetime
    expires_at: datetime
    prediction_id: PredictionId | None = None
    """The prediction that was created; its answer can be built again at any time. None for other creates."""
    status: int | None = None
    """The answer's status; None where there is a prediction."""
    body: bytes | None = None
    """The answer's body; None where there is a prediction."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A slice of a keyset-ordered list. A cursor is None where nothing more lies in that direction."""

    results: Sequence[T]
    next_cursor: str | None = None
    previous_cursor: str | None = None
