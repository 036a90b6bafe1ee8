"""SQLite's full-text index over models and collections: its tables and the triggers that keep it current.

An entry has a number of its own, because the row numbers of other tables may change when the file is compacted. The triggers run
in the transaction of the change, so a search sees exactly what a read sees. PostgreSQL has its own full-text search and needs
none of this.
"""

from __future__ import annotations

INDEX = (
    "CREATE VIRTUAL TABLE search_index USING fts5(owner, name, description, body, "
    "prefix = '2 3', tokenize = 'unicode61 remove_diacritics 2')"
)


def _insert(table: str, kind: str, key: str, columns: str) -> str:
    return (
        f"CREATE TRIGGER {table}_search_insert AFTER INSERT ON {table} BEGIN "
        f"INSERT INTO search_entries (kind, entry_key) VALUES ('{kind}', NEW.{key}); "
        f"INSERT INTO search_index (rowid, owner, name, description, body) SELECT number, {columns} FROM search_entries "
        f"WHERE kind = '{kind}' AND entry_key = NEW.{key}; END"
    )


def _update(table: str, kind: str, key: str, columns: str, watched: str) -> str:
    return (
        f"CREATE TRIGGER {table}_search_update AFTER UPDATE OF {watched} ON {table} BEGIN "
        f"UPDATE search_index SET (owner, name, description, body) = (SELECT {columns}) WHERE rowid = "
        f"(SELECT number FROM search_entries WHERE kind = '{kind}' AND entry_key = NEW.{key}); END"
    )


def _delete(table: str, kind: str, key: str) -> str:
    return (
        f"CREATE TRIGGER {table}_search_delete AFTER DELETE ON {table} BEGIN DELETE FROM search_index WHERE rowid = "
        f"(SELECT number FROM search_entries WHERE kind = '{kind}' AND entry_key = OLD.{key}); "
        f"DELETE FROM search_entries WHERE kind = '{kind}' AND entry_key = OLD.{key}; END"
    )


_MODEL_COLUMNS = "NEW.owner, NEW.name, coalesce(NEW.description, ''), coalesce(NEW.readme, '')"
_COLLECTION_COLUMNS = "NEW.slug, NEW.name, NEW.description, coalesce(NEW.full_description, '')"

# A model's run count and latest version change often and are not searched: those updates must not touch the index.
MODEL_TRIGGERS = (
    _insert("models", "model", "id", _MODEL_COLUMNS),
    _update("models", "model", "id", _MODEL_COLUMNS, "owner, name, description, readme"),
    _delete("models", "model", "id"),
)
COLLECTION_TRIGGERS = (
    _insert("collections", "collection", "slug", _COLLECTION_COLUMNS),
    _update("collections", "collection", "slug", _COLLECTION_COLUMNS, "name, description, full_description"),
    _delete("collections", "collection", "slug"),
)
