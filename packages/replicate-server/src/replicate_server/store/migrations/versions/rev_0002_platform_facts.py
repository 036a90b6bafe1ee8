"""Idempotency keys, webhook secrets that are being replaced, what a prediction ran on, and indexes for list filters.

Columns and tables are only added, and each statement takes the same time however many predictions there are, but for the indexes.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add everything."""
    op.create_table(
        "idempotency_keys",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("prediction_id", sa.Text()),
        sa.Column("status", sa.Integer()),
        sa.Column("body", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("account_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_expiry", "idempotency_keys", ["expires_at"])
    op.create_table(
        "retired_webhook_secrets",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_retired_webhook_secrets")),
    )
    op.add_column("predictions", sa.Column("hardware", sa.Text()))
    op.add_column("predictions", sa.Column("instance_id", sa.Text()))
    for name, column in (("status", "status"), ("model", "model"), ("version", "version_id")):
        op.create_index(f"ix_predictions_{name}", "predictions", ["account_id", column, "created_at", "id"])
    is_deployed = sa.text("deployment IS NOT NULL")
    op.create_index(
        "ix_predictions_deployment",
        "predictions",
        ["account_id", "deployment", "created_at", "id"],
        sqlite_where=is_deployed,
        postgresql_where=is_deployed,
    )
