"""The history of the schema. Each revision is frozen: it never imports tables or rules, which describe the present."""

REVISIONS = ("0001", "0002", "0003", "0004")
"""Every revision, oldest first, so that a start can tell the current schema from an unknown one without importing Alembic."""
