# ruff: noqa: T201 - a model prints.
"""A runner that cannot be imported."""

print("importing")
raise LookupError("a module of the author's is missing")
