"""Indexes for removing expired uploads and the bytes that no file names.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

EXPIRES = sa.text("expires_at IS NOT NULL AND prediction_id IS NULL")


def upgrade() -> None:
    """Create the indexes."""
    op.create_index("ix_files_expiry", "files", ["expires_at", "id"], sqlite_where=EXPIRES, postgresql_where=EXPIRES)
    op.create_index("ix_files_blob", "files", ["blob_key"])
