"""Engines: where instances run."""
