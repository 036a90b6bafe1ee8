"""Guarded outgoing HTTP: user URLs are checked against private networks and limits."""
