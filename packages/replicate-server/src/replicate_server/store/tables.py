"""Every table, declared once: columns, keys, checks and indexes. Statements and migrations are built on or compared with it.

Times are whole microseconds since 1970 UTC; JSON is text. Each index names the query it serves; a test asserts that no query of
the port scans predictions. The rules of a prediction's life come from `lifecycle_rules`, never from a second list here.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    event,
    func,
    literal_column,
    text,
)

from replicate_server.store import search_index
from replicate_server.store.lifecycle_rules import CHECKS, postgresql_trigger, sqlite_trigger

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

NEVER = 2**62
"""A time after every real one, in microseconds; stands for "no version yet" where models are sorted upwards."""


def partial_index(name: str, *columns: object, where: str, unique: bool = False) -> Index:
    """An index of only those rows that match a predicate, on either database."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))  # type: ignore[arg-type]


predictions = Table(
    "predictions",
    metadata,
    Column("id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("model_id", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("version_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("deployment", Text),
    Column("hardware", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("completed_at", BigInteger),
    Column("deadline_at", BigInteger),
    Column("cancel_requested_at", BigInteger),
    Column("instance_id", Text),
    Column("claim_holder", Text),
    Column("claim_instance_id", Text),
    # The last token given out, also after the claim ended: the next claim counts on from it.
    Column("claim_token", BigInteger, nullable=False),
    Column("claim_expires_at", BigInteger),
    Column("attempt", Integer, nullable=False),
    Column("is_file_stream", Boolean, nullable=False),
    Column("data_removed", Boolean, nullable=False),
    Column("stream_token", Text),
    Column("webhook_url", Text),
    Column("webhook_events", Text),
    # Characters of input, output and logs, so that a reader knows beforehand whether reading them is quick.
    Column("text_length", BigInteger, nullable=False),
    Column("metrics", Text, nullable=False),
    Column("error", Text),
    Column("input", Text, nullable=False),
    Column("output", Text),
    Column("logs", Text, nullable=False),
    PrimaryKeyConstraint("id"),
    *(CheckConstraint(text(condition), name=name) for name, condition in CHECKS.items()),
    Index("ix_predictions_account", "account_id", "created_at", "id"),
    # Nearly every prediction comes from the API, so only the others pay for a second list index.
    partial_index("ix_predictions_source", "account_id", "source", "created_at", "id", where="source <> 'api'"),
    # Filtered lists. The last is small: few predictions come through a deployment.
    Index("ix_predictions_status", "account_id", "status", "created_at", "id"),
    Index("ix_predictions_model", "account_id", "model", "created_at", "id"),
    Index("ix_predictions_version", "account_id", "version_id", "created_at", "id"),
    partial_index("ix_predictions_deployment", "account_id", "deployment", "created_at", "id", where="deployment IS NOT NULL"),
    partial_index("ix_predictions_queue", "version_id", "created_at", "id", where="status = 'starting' AND claim_holder IS NULL"),
    partial_index("ix_predictions_lease", "claim_expires_at", where="claim_expires_at IS NOT NULL"),
    partial_index("ix_predictions_holder", "claim_holder", where="claim_holder IS NOT NULL"),
    partial_index("ix_predictions_deadline", "deadline_at", where="deadline_at IS NOT NULL AND completed_at IS NULL"),
    # Whether a deployment is in use, by whomever; only predictions that came through one pay for it.
    partial_index("ix_predictions_of_deployment", "deployment", "created_at", where="deployment IS NOT NULL"),
    partial_index("ux_predictions_stream", "stream_token", where="stream_token IS NOT NULL", unique=True),
)

for _dialect, _trigger in (("sqlite", sqlite_trigger()), ("postgresql", postgresql_trigger())):
    _ddl = DDL(_trigger)  # type: ignore[no-untyped-call]
    event.listen(predictions, "after_create", _ddl.execute_if(dialect=_dialect))

events = Table(
    "events",
    metadata,
    Column("prediction_id", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("data", Text, nullable=False),
    PrimaryKeyConstraint("prediction_id", "sequence"),
    # The log of a prediction lies together in key order: reading it is one range.
    sqlite_with_rowid=False,
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("github_url", Text),
    Column("avatar_url", Text),
    PrimaryKeyConstraint("id"),
    CheckConstraint(text("type IN ('user', 'organization')"), name="type"),
    Index("ux_accounts_username", "username", unique=True),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
    PrimaryKeyConstraint("id"),
    Index("ux_tokens_digest", "digest", unique=True),
    Index("ix_tokens_account", "account_id", "created_at", "id"),
)

webhook_secrets = Table(
    "webhook_secrets",
    metadata,
    Column("account_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("account_id"),
)

# A secret that was replaced, and until when messages are signed with it too. One for each account: the one before the current.
retired_webhook_secrets = Table(
    "retired_webhook_secrets",
    metadata,
    Column("account_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("valid_until", BigInteger, nullable=False),
    PrimaryKeyConstraint("account_id"),
)

server_secrets = Table(
    "server_secrets",
    metadata,
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("name"),
)

models = Table(
    "models",
    metadata,
    Column("id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("visibility", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("hardware", Text, nullable=False),
    Column("description", Text),
    Column("github_url", Text),
    Column("paper_url", Text),
    Column("license_url", Text),
    Column("cover_image_url", Text),
    Column("readme", Text),
    Column("run_count", BigInteger, nullable=False),
    Column("latest_version_id", Text),
    # Copied from the latest version so that lists sort by an index.
    Column("latest_version_created_at", BigInteger),
    PrimaryKeyConstraint("id"),
    CheckConstraint(text("visibility IN ('public', 'private')"), name="visibility"),
    Index("ux_models_name", "owner", "name", unique=True),
    Index("ix_models_account", "account_id"),
    Index("ix_models_created", "visibility", "created_at", "id"),
)
# Models without a version come last in both directions, so each direction has its own stand-in for "none".
NEWEST_KEY = func.coalesce(models.c.latest_version_created_at, literal_column("0"))
OLDEST_KEY = func.coalesce(models.c.latest_version_created_at, literal_column(str(NEVER)))
Index("ix_models_newest", models.c.visibility, NEWEST_KEY, models.c.id)
Index("ix_models_oldest", models.c.visibility, OLDEST_KEY, models.c.id)

versions = Table(
    "versions",
    metadata,
    Column("model_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("cog_version", Text, nullable=False),
    Column("openapi_schema", Text, nullable=False),
    Column("manifest", LargeBinary, nullable=False),
    Column("package", Text, nullable=False),
    PrimaryKeyConstraint("model_id", "id"),
    ForeignKeyConstraint(["model_id"], ["models.id"]),
    Index("ix_versions_prefix", "id"),
    Index("ix_versions_list", "model_id", "created_at", "id"),
)

# What was added to models later, one row for those that have any of it.
model_details = Table(
    "model_details",
    metadata,
    Column("model_id", Text, nullable=False),
    Column("weights_url", Text),
    Column("is_official", Boolean, nullable=False),
    Column("default_example_id", Text),
    PrimaryKeyConstraint("model_id"),
)

model_examples = Table(
    "model_examples",
    metadata,
    Column("model_id", Text, nullable=False),
    Column("prediction_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("model_id", "prediction_id"),
    Index("ix_model_examples_list", "model_id", "created_at", "prediction_id"),
    # Whoever removes old predictions asks by this whether one is an example.
    Index("ix_model_examples_prediction", "prediction_id"),
)

collections = Table(
    "collections",
    metadata,
    Column("slug", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("full_description", Text),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("slug"),
    Index("ix_collections_list", "created_at", "slug"),
)

collection_models = Table(
    "collection_models",
    metadata,
    Column("slug", Text, nullable=False),
    Column("model_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("slug", "model_id"),
    Index("ix_collection_models_model", "model_id"),
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("release_number", Integer, nullable=False),
    PrimaryKeyConstraint("id"),
    Index("ux_deployments_name", "owner", "name", unique=True),
    Index("ix_deployments_list", "account_id", "created_at", "id"),
)

deployment_releases = Table(
    "deployment_releases",
    metadata,
    Column("deployment_id", Text, nullable=False),
    Column("number", Integer, nullable=False, autoincrement=False),
    Column("model_id", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("version_id", Text, nullable=False),
    Column("hardware", Text, nullable=False),
    Column("min_instances", Integer, nullable=False),
    Column("max_instances", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    PrimaryKeyConstraint("deployment_id", "number"),
    CheckConstraint(text("0 <= min_instances AND min_instances <= max_instances"), name="bounds"),
    Index("ix_deployment_releases_version", "version_id", "model_id"),
)

memberships = Table(
    "memberships",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "account_id"),
    CheckConstraint(text("role IN ('admin', 'member')"), name="role"),
    Index("ix_memberships_account", "account_id"),
)

# What was added to tokens later; a token without a row here may do everything and does not expire.
token_limits = Table(
    "token_limits",
    metadata,
    Column("token_id", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("expires_at", BigInteger),
    PrimaryKeyConstraint("token_id"),
)

search_entries = Table(
    "search_entries",
    metadata,
    Column("number", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("entry_key", Text, nullable=False),
    PrimaryKeyConstraint("number"),
    Index("ux_search_entries_key", "kind", "entry_key", unique=True),
)

for _table, _statements in (
    (search_entries, (search_index.INDEX,)),
    (models, search_index.MODEL_TRIGGERS),
    (collections, search_index.COLLECTION_TRIGGERS),
):
    for _statement in _statements:
        _ddl = DDL(_statement)  # type: ignore[no-untyped-call]
        event.listen(_table, "after_create", _ddl.execute_if(dialect="sqlite"))

files = Table(
    "files",
    metadata,
    Column("id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("md5", Text, nullable=False),
    Column("blob_key", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("metadata", Text, nullable=False),
    Column("prediction_id", Text),
    Column("delivery_token", Text),
    PrimaryKeyConstraint("id"),
    partial_index("ix_files_uploads", "account_id", "created_at", "id", where="prediction_id IS NULL"),
    partial_index("ix_files_expiry", "expires_at", "id", where="expires_at IS NOT NULL AND prediction_id IS NULL"),
    Index("ix_files_blob", "blob_key"),
    partial_index("ux_files_delivery", "delivery_token", where="delivery_token IS NOT NULL", unique=True),
)

webhook_messages = Table(
    "webhook_messages",
    metadata,
    Column("id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("prediction_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("next_attempt_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("attempts_max", Integer, nullable=False),
    Column("delivered_at", BigInteger),
    Column("failed_at", BigInteger),
    Column("last_error", Text),
    PrimaryKeyConstraint("id"),
    CheckConstraint(text("delivered_at IS NULL OR failed_at IS NULL"), name="ends_once"),
    partial_index("ix_webhook_messages_due", "next_attempt_at", "id", where="delivered_at IS NULL AND failed_at IS NULL"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("account_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("prediction_id", Text),
    Column("status", Integer),
    Column("body", LargeBinary),
    PrimaryKeyConstraint("account_id", "key"),
    Index("ix_idempotency_keys_expiry", "expires_at"),
)
