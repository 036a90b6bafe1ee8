"""The first schema.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TRIGGER = (
    "CREATE TRIGGER predictions_life BEFORE UPDATE ON predictions WHEN (OLD.status <> NEW.status AND NOT CASE "
    "OLD.status WHEN 'starting' THEN (NEW.status = 'processing' OR NEW.status = 'succeeded' OR NEW.status = "
    "'failed' OR NEW.status = 'canceled' OR NEW.status = 'aborted') WHEN 'processing' THEN (NEW.status = "
    "'starting' OR NEW.status = 'succeeded' OR NEW.status = 'failed' OR NEW.status = 'canceled') ELSE FALSE "
    "END) OR (OLD.completed_at IS NOT NULL AND (NEW.started_at IS NOT OLD.started_at OR NEW.completed_at IS "
    "NOT OLD.completed_at OR ((NEW.output IS NOT OLD.output OR NEW.error IS NOT OLD.error OR NEW.logs IS NOT "
    "OLD.logs OR NEW.metrics IS NOT OLD.metrics) AND NOT (NEW.data_removed AND NEW.output IS NULL AND "
    "NEW.error IS NULL AND NEW.logs = '' AND NEW.metrics = '{}')))) OR (NEW.claim_token < OLD.claim_token) "
    "BEGIN SELECT RAISE(ABORT, 'a prediction cannot make this change of status') WHERE OLD.status <> "
    "NEW.status AND NOT CASE OLD.status WHEN 'starting' THEN (NEW.status = 'processing' OR NEW.status = "
    "'succeeded' OR NEW.status = 'failed' OR NEW.status = 'canceled' OR NEW.status = 'aborted') WHEN "
    "'processing' THEN (NEW.status = 'starting' OR NEW.status = 'succeeded' OR NEW.status = 'failed' OR "
    "NEW.status = 'canceled') ELSE FALSE END; SELECT RAISE(ABORT, 'the outcome of a prediction never changes')"
    " WHERE OLD.completed_at IS NOT NULL AND (NEW.started_at IS NOT OLD.started_at OR NEW.completed_at IS NOT "
    "OLD.completed_at OR ((NEW.output IS NOT OLD.output OR NEW.error IS NOT OLD.error OR NEW.logs IS NOT "
    "OLD.logs OR NEW.metrics IS NOT OLD.metrics) AND NOT (NEW.data_removed AND NEW.output IS NULL AND "
    "NEW.error IS NULL AND NEW.logs = '' AND NEW.metrics = '{}'))); SELECT RAISE(ABORT, 'a claim token never "
    "decreases') WHERE NEW.claim_token < OLD.claim_token; END"
)


def upgrade() -> None:
    """Create everything."""
    create_accounts()
    create_events()
    create_files()
    create_models()
    create_predictions()
    create_prediction_indexes()
    create_server_secrets()
    create_tokens()
    create_webhook_messages()
    create_webhook_secrets()
    create_versions()
    op.execute(TRIGGER)


def only(condition: str) -> dict[str, Any]:
    """The options of an index of matching rows only."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def create_accounts() -> None:
    """Create accounts."""
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("github_url", sa.Text(), nullable=True),
        sa.Column("avatar_url", sa.Text(), nullable=True),
        sa.CheckConstraint("type IN ('user', 'organization')", name=op.f("ck_accounts_type")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
    )
    op.create_index("ux_accounts_username", "accounts", ["username"], unique=True)


def create_events() -> None:
    """Create events."""
    op.create_table(
        "events",
        sa.Column("prediction_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("prediction_id", "sequence", name=op.f("pk_events")),
        sqlite_with_rowid=False,
    )


def create_files() -> None:
    """Create files."""
    op.create_table(
        "files",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("md5", sa.Text(), nullable=False),
        sa.Column("blob_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("prediction_id", sa.Text(), nullable=True),
        sa.Column("delivery_token", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
    )
    op.create_index(
        "ix_files_uploads", "files", ["account_id", "created_at", "id"], unique=False, **only("prediction_id IS NULL")
    )
    op.create_index("ux_files_delivery", "files", ["delivery_token"], unique=True, **only("delivery_token IS NOT NULL"))


def create_models() -> None:
    """Create models."""
    op.create_table(
        "models",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("hardware", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("github_url", sa.Text(), nullable=True),
        sa.Column("paper_url", sa.Text(), nullable=True),
        sa.Column("license_url", sa.Text(), nullable=True),
        sa.Column("cover_image_url", sa.Text(), nullable=True),
        sa.Column("readme", sa.Text(), nullable=True),
        sa.Column("run_count", sa.BigInteger(), nullable=False),
        sa.Column("latest_version_id", sa.Text(), nullable=True),
        sa.Column("latest_version_created_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("visibility IN ('public', 'private')", name=op.f("ck_models_visibility")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
    )
    op.create_index("ix_models_account", "models", ["account_id"], unique=False)
    op.create_index("ix_models_created", "models", ["visibility", "created_at", "id"], unique=False)
    op.create_index(
        "ix_models_newest", "models", ["visibility", sa.text("coalesce(latest_version_created_at, 0)"), "id"], unique=False
    )
    op.create_index(
        "ix_models_oldest",
        "models",
        ["visibility", sa.text("coalesce(latest_version_created_at, 4611686018427387904)"), "id"],
        unique=False,
    )
    op.create_index("ux_models_name", "models", ["owner", "name"], unique=True)


def create_predictions() -> None:
    """Create predictions."""
    op.create_table(
        "predictions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.Column("deadline_at", sa.BigInteger(), nullable=True),
        sa.Column("cancel_requested_at", sa.BigInteger(), nullable=True),
        sa.Column("claim_holder", sa.Text(), nullable=True),
        sa.Column("claim_instance_id", sa.Text(), nullable=True),
        sa.Column("claim_token", sa.BigInteger(), nullable=False),
        sa.Column("claim_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("is_file_stream", sa.Boolean(), nullable=False),
        sa.Column("data_removed", sa.Boolean(), nullable=False),
        sa.Column("stream_token", sa.Text(), nullable=True),
        sa.Column("webhook_url", sa.Text(), nullable=True),
        sa.Column("webhook_events", sa.Text(), nullable=True),
        sa.Column("text_length", sa.BigInteger(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("input", sa.Text(), nullable=False),
        sa.Column("output", sa.Text(), nullable=True),
        sa.Column("logs", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "CASE status WHEN 'starting' THEN completed_at IS NULL AND started_at IS NULL WHEN 'processing' THEN "
            "completed_at IS NULL AND started_at IS NOT NULL AND claim_holder IS NOT NULL WHEN 'succeeded' THEN "
            "completed_at IS NOT NULL AND started_at IS NOT NULL AND claim_holder IS NULL WHEN 'failed' THEN "
            "completed_at IS NOT NULL AND claim_holder IS NULL WHEN 'canceled' THEN completed_at IS NOT NULL AND "
            "claim_holder IS NULL WHEN 'aborted' THEN completed_at IS NOT NULL AND started_at IS NULL AND claim_holder"
            " IS NULL ELSE FALSE END",
            name=op.f("ck_predictions_life"),
        ),
        sa.CheckConstraint(
            "(claim_holder IS NULL) = (claim_instance_id IS NULL) AND (claim_holder IS NULL) = (claim_expires_at IS NULL)",
            name=op.f("ck_predictions_claim"),
        ),
        sa.CheckConstraint("attempt >= 0 AND claim_token >= 0", name=op.f("ck_predictions_counts")),
        sa.CheckConstraint("(webhook_url IS NULL) = (webhook_events IS NULL)", name=op.f("ck_predictions_webhook")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_predictions")),
    )


def create_prediction_indexes() -> None:
    """Create prediction indexes."""
    op.create_index("ix_predictions_account", "predictions", ["account_id", "created_at", "id"], unique=False)
    op.create_index(
        "ix_predictions_deadline",
        "predictions",
        ["deadline_at"],
        unique=False,
        **only("deadline_at IS NOT NULL AND completed_at IS NULL"),
    )
    op.create_index("ix_predictions_holder", "predictions", ["claim_holder"], unique=False, **only("claim_holder IS NOT NULL"))
    op.create_index(
        "ix_predictions_lease", "predictions", ["claim_expires_at"], unique=False, **only("claim_expires_at IS NOT NULL")
    )
    op.create_index(
        "ix_predictions_queue",
        "predictions",
        ["version_id", "created_at", "id"],
        unique=False,
        **only("status = 'starting' AND claim_holder IS NULL"),
    )
    op.create_index(
        "ix_predictions_source",
        "predictions",
        ["account_id", "source", "created_at", "id"],
        unique=False,
        **only("source <> 'api'"),
    )
    op.create_index("ux_predictions_stream", "predictions", ["stream_token"], unique=True, **only("stream_token IS NOT NULL"))


def create_server_secrets() -> None:
    """Create server secrets."""
    op.create_table(
        "server_secrets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_server_secrets")),
    )


def create_tokens() -> None:
    """Create tokens."""
    op.create_table(
        "tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
    )
    op.create_index("ix_tokens_account", "tokens", ["account_id", "created_at", "id"], unique=False)
    op.create_index("ux_tokens_digest", "tokens", ["digest"], unique=True)


def create_webhook_messages() -> None:
    """Create webhook messages."""
    op.create_table(
        "webhook_messages",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("prediction_id", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("attempts_max", sa.Integer(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint("delivered_at IS NULL OR failed_at IS NULL", name=op.f("ck_webhook_messages_ends_once")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_messages")),
    )
    op.create_index(
        "ix_webhook_messages_due",
        "webhook_messages",
        ["next_attempt_at", "id"],
        unique=False,
        **only("delivered_at IS NULL AND failed_at IS NULL"),
    )


def create_webhook_secrets() -> None:
    """Create webhook secrets."""
    op.create_table(
        "webhook_secrets",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_webhook_secrets")),
    )


def create_versions() -> None:
    """Create versions."""
    op.create_table(
        "versions",
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("cog_version", sa.Text(), nullable=False),
        sa.Column("openapi_schema", sa.Text(), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("package", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_versions_model_id")),
        sa.PrimaryKeyConstraint("model_id", "id", name=op.f("pk_versions")),
    )
    op.create_index("ix_versions_list", "versions", ["model_id", "created_at", "id"], unique=False)
    op.create_index("ix_versions_prefix", "versions", ["id"], unique=False)
