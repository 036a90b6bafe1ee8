"""The catalogue: details and examples of models, collections, deployments, members, limits of tokens, and the search index.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SEARCH = (
    (
        "CREATE VIRTUAL TABLE search_index USING fts5(owner, name, description, body, prefix = '2 3', tokenize = "
        "'unicode61 remove_diacritics 2')"
    ),
    (
        "CREATE TRIGGER models_search_insert AFTER INSERT ON models BEGIN INSERT INTO search_entries (kind, "
        "entry_key) VALUES ('model', NEW.id); INSERT INTO search_index (rowid, owner, name, description, body) "
        "SELECT number, NEW.owner, NEW.name, coalesce(NEW.description, ''), coalesce(NEW.readme, '') FROM "
        "search_entries WHERE kind = 'model' AND entry_key = NEW.id; END"
    ),
    (
        "CREATE TRIGGER models_search_update AFTER UPDATE OF owner, name, description, readme ON models BEGIN "
        "UPDATE search_index SET (owner, name, description, body) = (SELECT NEW.owner, NEW.name, "
        "coalesce(NEW.description, ''), coalesce(NEW.readme, '')) WHERE rowid = (SELECT number FROM search_entries"
        " WHERE kind = 'model' AND entry_key = NEW.id); END"
    ),
    (
        "CREATE TRIGGER models_search_delete AFTER DELETE ON models BEGIN DELETE FROM search_index WHERE rowid = "
        "(SELECT number FROM search_entries WHERE kind = 'model' AND entry_key = OLD.id); DELETE FROM "
        "search_entries WHERE kind = 'model' AND entry_key = OLD.id; END"
    ),
    (
        "CREATE TRIGGER collections_search_insert AFTER INSERT ON collections BEGIN INSERT INTO search_entries "
        "(kind, entry_key) VALUES ('collection', NEW.slug); INSERT INTO search_index (rowid, owner, name, "
        "description, body) SELECT number, NEW.slug, NEW.name, NEW.description, coalesce(NEW.full_description, '')"
        " FROM search_entries WHERE kind = 'collection' AND entry_key = NEW.slug; END"
    ),
    (
        "CREATE TRIGGER collections_search_update AFTER UPDATE OF name, description, full_description ON "
        "collections BEGIN UPDATE search_index SET (owner, name, description, body) = (SELECT NEW.slug, NEW.name, "
        "NEW.description, coalesce(NEW.full_description, '')) WHERE rowid = (SELECT number FROM search_entries "
        "WHERE kind = 'collection' AND entry_key = NEW.slug); END"
    ),
    (
        "CREATE TRIGGER collections_search_delete AFTER DELETE ON collections BEGIN DELETE FROM search_index WHERE"
        " rowid = (SELECT number FROM search_entries WHERE kind = 'collection' AND entry_key = OLD.slug); DELETE "
        "FROM search_entries WHERE kind = 'collection' AND entry_key = OLD.slug; END"
    ),
)

INDEX_EXISTING_MODELS = (
    "INSERT INTO search_entries (kind, entry_key) SELECT 'model', id FROM models",
    "INSERT INTO search_index (rowid, owner, name, description, body) "
    "SELECT number, owner, name, coalesce(description, ''), coalesce(readme, '') "
    "FROM search_entries JOIN models ON kind = 'model' AND entry_key = models.id",
)


def upgrade() -> None:
    """Create everything and index the models that are there."""
    create_model_details()
    create_model_examples()
    create_collections()
    create_collection_models()
    create_deployments()
    create_deployment_releases()
    create_memberships()
    create_token_limits()
    create_search_entries()
    condition = sa.text("deployment IS NOT NULL")
    op.create_index(
        "ix_predictions_of_deployment",
        "predictions",
        ["deployment", "created_at"],
        unique=False,
        sqlite_where=condition,
        postgresql_where=condition,
    )
    if op.get_bind().dialect.name == "sqlite":
        for statement in (*SEARCH, *INDEX_EXISTING_MODELS):
            op.execute(statement)


def create_model_details() -> None:
    """Create model details."""
    op.create_table(
        "model_details",
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("weights_url", sa.Text(), nullable=True),
        sa.Column("is_official", sa.Boolean(), nullable=False),
        sa.Column("default_example_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_model_details")),
    )


def create_model_examples() -> None:
    """Create model examples."""
    op.create_table(
        "model_examples",
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("prediction_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("model_id", "prediction_id", name=op.f("pk_model_examples")),
    )
    op.create_index("ix_model_examples_list", "model_examples", ["model_id", "created_at", "prediction_id"], unique=False)
    op.create_index("ix_model_examples_prediction", "model_examples", ["prediction_id"], unique=False)


def create_collections() -> None:
    """Create collections."""
    op.create_table(
        "collections",
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("full_description", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_collections")),
    )
    op.create_index("ix_collections_list", "collections", ["created_at", "slug"], unique=False)


def create_collection_models() -> None:
    """Create collection models."""
    op.create_table(
        "collection_models",
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slug", "model_id", name=op.f("pk_collection_models")),
    )
    op.create_index("ix_collection_models_model", "collection_models", ["model_id"], unique=False)


def create_deployments() -> None:
    """Create deployments."""
    op.create_table(
        "deployments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("release_number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
    )
    op.create_index("ux_deployments_name", "deployments", ["owner", "name"], unique=True)
    op.create_index("ix_deployments_list", "deployments", ["account_id", "created_at", "id"], unique=False)


def create_deployment_releases() -> None:
    """Create deployment releases."""
    op.create_table(
        "deployment_releases",
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("hardware", sa.Text(), nullable=False),
        sa.Column("min_instances", sa.Integer(), nullable=False),
        sa.Column("max_instances", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("deployment_id", "number", name=op.f("pk_deployment_releases")),
        sa.CheckConstraint("0 <= min_instances AND min_instances <= max_instances", name=op.f("ck_deployment_releases_bounds")),
    )
    op.create_index("ix_deployment_releases_version", "deployment_releases", ["version_id", "model_id"], unique=False)


def create_memberships() -> None:
    """Create memberships."""
    op.create_table(
        "memberships",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "account_id", name=op.f("pk_memberships")),
        sa.CheckConstraint("role IN ('admin', 'member')", name=op.f("ck_memberships_role")),
    )
    op.create_index("ix_memberships_account", "memberships", ["account_id"], unique=False)


def create_token_limits() -> None:
    """Create token limits."""
    op.create_table(
        "token_limits",
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_token_limits")),
    )


def create_search_entries() -> None:
    """Create search entries."""
    op.create_table(
        "search_entries",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("entry_key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_search_entries")),
    )
    op.create_index("ux_search_entries_key", "search_entries", ["kind", "entry_key"], unique=True)
