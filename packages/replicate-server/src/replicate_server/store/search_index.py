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


_ENTRY = "(SELECT number FROM search_entries WHERE kind = '<kind>' AND entry_key = <row>.<key>)"
_TRIGGERS = (
    "CREATE TRIGGER <table>_search_insert AFTER INSERT ON <table> BEGIN "
    "INSERT INTO search_entries (kind, entry_key) VALUES ('<kind>', NEW.<key>); "
    "INSERT INTO search_index (rowid, owner, name, description, body) SELECT number, <columns> FROM search_entries "
    "WHERE kind = '<kind>' AND entry_key = NEW.<key>; END",
    "CREATE TRIGGER <table>_search_update AFTER UPDATE OF <watched> ON <table> BEGIN "
    "UPDATE search_index SET (owner, name, description, body) = (SELECT <columns>) WHERE rowid = <entry>; END",
    "CREATE TRIGGER <table>_search_delete AFTER DELETE ON <table> BEGIN DELETE FROM search_index WHERE rowid = <entry>; "
    "DELETE FROM search_entries WHERE kind = '<kind>' AND entry_key = OLD.<key>; END",
)


def _triggers(kind: str, table: str, key: str, columns: str, watched: str) -> tuple[str, ...]:
    """The three triggers of one table."""
    words = {"<kind>": kind, "<table>": table, "<key>": key, "<columns>": columns, "<watched>": watched}
    texts = [text.replace("<entry>", _ENTRY).replace("<row>", "OLD" if "DELETE ON" in text else "NEW") for text in _TRIGGERS]
    for mark, word in words.items():
        texts = [text.replace(mark, word) for text in texts]
    return tuple(texts)


# A model's run count and latest version change often and are not searched: those updates must not touch the index.
MODEL_TRIGGERS = _triggers(
    "model",
    "models",
    "id",
    "NEW.owner, NEW.name, coalesce(NEW.description, ''), coalesce(NEW.readme, '')",
    "owner, name, description, readme",
)
COLLECTION_TRIGGERS = _triggers(
    "collection",
    "collections",
    "slug",
    "NEW.slug, NEW.name, NEW.description, coalesce(NEW.full_description, '')",
    "name, description, full_description",
)
