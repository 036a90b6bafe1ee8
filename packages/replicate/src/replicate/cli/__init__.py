"""The `replicate` command."""
