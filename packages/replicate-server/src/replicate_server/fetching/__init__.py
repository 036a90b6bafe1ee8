"""Guarded outgoing HTTP: user URLs are checked against private networks and limits."""

from replicate_server.fetching.guarded import GuardedFetcher

__all__ = ["GuardedFetcher"]
