"""The store port: every durable fact except bytes. Adapters hold the only SQL of the project.

Rules every adapter keeps (its conformance suite checks them):

- A write method returns after its transaction is on disk. Many calls may share one commit.
- Writes submitted from one event loop are applied in the order of submission, so a caller may submit the outcome of a prediction
  before its creation has returned.
- Writes that name a claim (`ClaimRef`) change nothing and return False when the claim is no longer that prediction's current one,
  or its outcome is already recorded. So exactly one outcome is ever stored (promises J2, J3).
- Reads see every write that returned before they began.
- Any method may raise `StorageUnavailable`. A write whose awaiter was cancelled is made all the same.
- Lists are keyset-ordered, newest first unless said otherwise; a page costs the same at any depth and table size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from replicate_server.domain.ids import AccountId, FileId, HolderId, InstanceId, ModelId, PredictionId, VersionId
from replicate_server.domain.lifecycle import Status
from replicate_server.domain.records import (
    Account,
    Event,
    IdempotencyKey,
    Membership,
    Model,
    Page,
    Prediction,
    RetiredSecret,
    StoredFile,
    Token,
    Version,
    WebhookMessage,
    WebhookSecret,
)
from replicate_server.domain.scopes import Role
from replicate_server.ports.catalogue import CatalogueStore, CollectionStore, DeploymentStore, SearchStore


class NameTaken(Exception):
    """A record with this unique name exists already."""


class StorageUnavailable(Exception):
    """The store cannot do this now: disk full, database locked or unreachable, too much waiting to be written, or closed.

    Nothing was changed, unless the commit itself was interrupted; then the change may be found later. The caller may try again.
    """


class CursorInvalid(ValueError):
    """A page cursor that this store never gave out."""


@dataclass(frozen=True, slots=True)
class ClaimRef:
    """Proof of a claim: whoever writes about a running prediction shows it."""

    prediction_id: PredictionId
    token: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a prediction ended, with everything that is final about it."""

    status: Status
    completed_at: datetime
    started_at: datetime | None = None
    output: Any = None
    error: str | None = None
    logs: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    instance_id: InstanceId | None = None
    """Where the code ran last, if it did."""


@dataclass(frozen=True, slots=True)
class Consequences:
    """Rows written in the same transaction as a change of a prediction."""

    events: Sequence[Event] = ()
    files: Sequence[StoredFile] = ()
    messages: Sequence[WebhookMessage] = ()
    key: IdempotencyKey | None = None
    """Only with the creation of what it stands for."""


NOTHING = Consequences()


@dataclass(frozen=True, slots=True)
class VersionQueue:
    """What waits for one version."""

    version_id: VersionId
    model_id: ModelId
    queued: int
    """Unclaimed predictions, counted up to 1,000."""
    oldest_created_at: datetime


@dataclass(frozen=True, slots=True)
class PredictionFilter:
    """Which predictions a list shows."""

    account_id: AccountId
    created_after: datetime | None = None
    """Inclusive."""
    created_before: datetime | None = None
    """Exclusive."""
    source: str | None = None
    status: Status | None = None
    model: str | None = None
    """``owner/name``."""
    version_id: VersionId | None = None
    deployment: str | None = None
    """``owner/name``."""


class PredictionStore(Protocol):
    """Predictions, their claims and their event logs."""

    async def create_prediction(self, prediction: Prediction, consequences: Consequences = NOTHING) -> None:
        """Store a new prediction. With a claim on it, it is *born claimed*: no other claim is needed to run it."""
        ...

    async def prediction(self, prediction_id: PredictionId) -> Prediction | None:
        """Load one; for a running one, ``output`` (a list), ``logs`` and ``metrics`` are folded from its events so far."""
        ...

    async def list_predictions(self, filters: PredictionFilter, *, cursor: str | None, limit: int) -> Page[Prediction]:
        """One page, newest first. Running ones come without folded output and logs.

        Raises:
            CursorInvalid: If the cursor is not one of ours.
        """
        ...

    async def claim_predictions(
        self, version_id: VersionId, *, claims_max: int, holder: HolderId, instance_id: InstanceId, expires_at: datetime
    ) -> list[Prediction]:
        """Claim up to ``claims_max`` unclaimed starting predictions, oldest first; each gets a new token and one more attempt.

        Two concurrent calls never claim the same one.
        """
        ...

    async def release_claims(self, claims: Sequence[ClaimRef]) -> None:
        """Put back predictions whose code was never started: unclaimed, the attempt not counted. Stale refs are ignored."""
        ...

    async def renew_claims(self, holder: HolderId, *, expires_at: datetime) -> int:
        """Move the lease of every claim of a holder; returns how many."""
        ...

    async def start_prediction(self, claim: ClaimRef, *, started_at: datetime, consequences: Consequences = NOTHING) -> bool:
        """``starting → processing``. True too when it already is processing under this claim."""
        ...

    async def append_events(self, claim: ClaimRef, *, started_at: datetime, consequences: Consequences) -> bool:
        """Add to the event log, going to processing first if need be."""
        ...

    async def finish_prediction(self, claim: ClaimRef, outcome: Outcome, consequences: Consequences = NOTHING) -> bool:
        """Record the outcome of a claimed prediction and end its claim; ``started_at`` says it passed through processing."""
        ...

    async def finish_unclaimed(self, prediction_id: PredictionId, outcome: Outcome, consequences: Consequences = NOTHING) -> bool:
        """Record the outcome of a prediction that nobody has claimed.

        It was canceled or aborted while queued, or failed because its version cannot be set up.
        False when it is claimed or already ended.
        """
        ...

    async def requeue_prediction(self, claim: ClaimRef, consequences: Consequences = NOTHING) -> bool:
        """Back to ``starting``, unclaimed, the attempt counted: its instance was lost."""
        ...

    async def request_cancel(self, prediction_id: PredictionId, *, at: datetime) -> bool:
        """Remember that a claimed prediction is to be canceled, so that a restart will not run it again; False when it ended."""
        ...

    async def queues(self) -> list[VersionQueue]:
        """What waits, per version, longest waiting first. Cheap with a million queued rows."""
        ...

    async def count_queued(self) -> int:
        """How many predictions wait in all. Reads the whole index of the queue: for a start, not for every tick."""
        ...

    async def queued_predictions(self, version_id: VersionId, *, limit: int) -> list[Prediction]:
        """Unclaimed starting predictions of a version, oldest first."""
        ...

    async def queued_before(self, prediction: Prediction) -> int:
        """How many unclaimed predictions of its version will be claimed before this one, counted up to 1,000."""
        ...

    async def claimed_by_others(self, holder: HolderId, *, limit: int) -> list[Prediction]:
        """Active predictions claimed by any other holder; what a starting single server must rescue."""
        ...

    async def expired_claims(self, now: datetime, *, limit: int) -> list[Prediction]:
        """Active predictions whose lease ended before ``now``."""
        ...

    async def overdue_predictions(self, now: datetime, *, limit: int) -> list[Prediction]:
        """Active predictions whose deadline is not after ``now``."""
        ...

    async def next_deadline(self) -> datetime | None:
        """The earliest deadline of an active prediction."""
        ...

    async def events_after(
        self, prediction_id: PredictionId, sequence: int, *, limit: int, size_bytes_max: int | None = None
    ) -> list[Event]:
        """Events with a greater sequence number, in order.

        Args:
            prediction_id: Whose.
            sequence: 0 begins at the first.
            limit: At most so many.
            size_bytes_max: No more once their data, as stored, has so many bytes; the first event is given whatever its size.
        """
        ...

    async def has_output_events(self, prediction_id: PredictionId) -> bool:
        """Whether output was published; then a lost attempt is not repeated, for published output is never taken back."""
        ...

    async def prediction_by_stream(self, stream_token: str) -> Prediction | None:
        """Load by the capability in a stream URL."""
        ...


class ModelStore(Protocol):
    """Models and versions."""

    async def create_model(self, model: Model) -> None:
        """Store a new model.

        Raises:
            NameTaken: If the owner has a model of this name.
        """
        ...

    async def model(self, owner: str, name: str) -> Model | None:
        """Load by name."""
        ...

    async def list_models(
        self, *, viewer: AccountId, sort_by: str, descending: bool, cursor: str | None, limit: int
    ) -> Page[Model]:
        """Public models, ordered by ``model_created_at`` or ``latest_version_created_at`` (models without a version last).

        Raises:
            CursorInvalid: If the cursor is not one of ours.
        """
        ...

    async def count_models(self, account_id: AccountId) -> int:
        """How many models an account owns."""
        ...

    async def create_version(self, version: Version) -> bool:
        """Store a version and make it its model's latest.

        False when the model had it already; it becomes the latest all the same.
        """
        ...

    async def version(self, model_id: ModelId, version_id: VersionId) -> Version | None:
        """Load one version of a model."""
        ...

    async def versions_by_prefix(self, prefix: str, *, model_id: ModelId | None, limit: int) -> list[Version]:
        """Versions whose id begins with ``prefix``, of one model or of all, newest first."""
        ...

    async def list_versions(self, model_id: ModelId, *, cursor: str | None, limit: int) -> Page[Version]:
        """One page, newest first.

        Raises:
            CursorInvalid: If the cursor is not one of ours.
        """
        ...

    async def add_runs(self, runs: Mapping[ModelId, int]) -> None:
        """Add to run counts, in one transaction."""
        ...


class AccountStore(Protocol):
    """Accounts, tokens and secrets."""

    async def create_account(self, account: Account) -> None:
        """Store a new account.

        Raises:
            NameTaken: If the username exists.
        """
        ...

    async def account(self, account_id: AccountId) -> Account | None:
        """Load by id."""
        ...

    async def account_by_username(self, username: str) -> Account | None:
        """Load by name."""
        ...

    async def list_accounts(self) -> list[Account]:
        """All, oldest first."""
        ...

    async def create_token(self, token: Token) -> None:
        """Store a new token."""
        ...

    async def token_by_digest(self, digest: str) -> Token | None:
        """Load by digest, revoked or not."""
        ...

    async def list_tokens(self, account_id: AccountId) -> list[Token]:
        """All of an account, oldest first, revoked ones too."""
        ...

    async def revoke_token(self, token_id: str, *, at: datetime) -> bool:
        """Revoke; False when unknown. The first revocation's time stays."""
        ...

    async def set_member(self, organization_id: AccountId, account_id: AccountId, role: Role, *, at: datetime) -> None:
        """Make an account a member of an organization, or change its role."""
        ...

    async def remove_member(self, organization_id: AccountId, account_id: AccountId) -> bool:
        """End a membership; False when there was none."""
        ...

    async def list_members(self, organization_id: AccountId) -> list[Membership]:
        """The members of an organization, oldest first."""
        ...

    async def list_memberships(self, account_id: AccountId) -> list[Membership]:
        """The organizations of an account, oldest first."""
        ...

    async def touch_tokens(self, used: Mapping[str, datetime]) -> None:
        """Record last uses (token id → time), in one transaction."""
        ...

    async def webhook_secret(self, account_id: AccountId) -> WebhookSecret | None:
        """The account's current signing secret."""
        ...

    async def create_webhook_secret(self, secret: WebhookSecret) -> WebhookSecret:
        """Store a secret if the account has none; returns the one it has now."""
        ...

    async def rotate_webhook_secret(self, secret: WebhookSecret, *, valid_until: datetime) -> None:
        """Make a secret the account's current one, and retire the one before, to be valid until then.

        A secret retired earlier is forgotten: never more than two are valid.
        """
        ...

    async def retired_webhook_secret(self, account_id: AccountId) -> RetiredSecret | None:
        """The secret before the current one, also when its time is over."""
        ...

    async def server_secret(self, name: str, *, if_missing: str) -> str:
        """A server-wide secret by name, stored as given when missing."""
        ...


class FileStore(Protocol):
    """Facts about files."""

    async def create_file(self, file: StoredFile) -> None:
        """Store the facts of an uploaded file whose bytes are already in the blob store."""
        ...

    async def file(self, file_id: FileId) -> StoredFile | None:
        """Load by id."""
        ...

    async def file_by_delivery(self, delivery_token: str) -> StoredFile | None:
        """Load an output file by the unguessable part of its URL."""
        ...

    async def list_files(self, account_id: AccountId, *, cursor: str | None, limit: int) -> Page[StoredFile]:
        """Uploads of an account (no prediction outputs), newest first.

        Raises:
            CursorInvalid: If the cursor is not one of ours.
        """
        ...

    async def expired_uploads(self, before: datetime, *, after: StoredFile | None, limit: int) -> list[StoredFile]:
        """Uploads that expired before a moment, the longest expired first, following ``after`` in that order."""
        ...

    async def is_file_needed(self, file_id: FileId) -> bool:
        """Whether the input of a prediction that has not ended names the file's id."""
        ...

    async def has_blob(self, blob_key: str) -> bool:
        """Whether a file, upload or output, has its bytes under this key."""
        ...

    async def delete_file(self, file_id: FileId) -> bool:
        """Forget a file; False when unknown. Its blob is the caller's to delete afterwards."""
        ...


class WebhookOutbox(Protocol):
    """Messages to be posted."""

    async def due_messages(self, now: datetime, *, limit: int) -> list[WebhookMessage]:
        """Undelivered, not given up, ``next_attempt_at`` not after ``now``; the longest due first."""
        ...

    async def next_message_at(self) -> datetime | None:
        """When the next undelivered message is due."""
        ...

    async def message_delivered(self, message_id: str, *, at: datetime) -> None:
        """The receiver answered 2xx."""
        ...

    async def message_failed(self, message_id: str, *, at: datetime, error: str, next_attempt_at: datetime | None) -> None:
        """An attempt failed; None gives up."""
        ...

    async def postpone_messages(self, message_ids: Sequence[str], *, until: datetime) -> None:
        """Move the due time of undelivered messages, in one transaction and without counting an attempt.

        Their receiver is busy, and others must not wait behind them. Unknown, delivered and given-up ids are ignored.
        """
        ...


class IdempotencyStore(Protocol):
    """What Idempotency-Keys stand for. A prediction's key is written with it, as a consequence of its creation."""

    async def idempotency_key(self, account_id: AccountId, key: str) -> IdempotencyKey | None:
        """Load one, expired or not."""
        ...

    async def create_idempotency_key(self, key: IdempotencyKey) -> None:
        """Store one, in the place of one that expired before it was made.

        Raises:
            NameTaken: If the account has this key and it has not expired.
        """
        ...

    async def remove_expired_keys(self, now: datetime, *, limit: int) -> int:
        """Forget keys whose time is over, the longest expired first; returns how many."""
        ...


class Store(
    PredictionStore,
    ModelStore,
    CatalogueStore,
    SearchStore,
    CollectionStore,
    DeploymentStore,
    AccountStore,
    FileStore,
    WebhookOutbox,
    IdempotencyStore,
    Protocol,
):
    """Everything durable, behind one transaction log."""

    async def close(self) -> None:
        """Finish what was submitted, then release everything."""
        ...
