"""The store adapter: the only SQL of the project. `open_store` migrates a database and opens it; everything else is internal."""

from replicate_server.store.opening import open_store
from replicate_server.store.sql_store import SqlStore

__all__ = ["SqlStore", "open_store"]
