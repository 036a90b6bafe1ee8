"""The event hub port inside one process."""

from replicate_server.events.hub import LocalEventHub

__all__ = ["LocalEventHub"]
