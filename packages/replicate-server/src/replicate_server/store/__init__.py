"""The store port on SQL databases: the only SQL of the project."""
