"""Binds queued predictions to slots of instances, and decides which instances run."""
