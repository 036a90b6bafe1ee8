"""The model HTTP server."""
