"""One use of the command: its client, made when the first request is near."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click

from replicate.cli.credentials import load_credentials

if TYPE_CHECKING:
    from replicate.client import Client

RETRIES_MAX = 3
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Session:
    """What the options before the command said."""

    base_url: Optional[str] = None

    def connect(self) -> Client:
        """Make the client, closed when the command ends.

        People are waiting, so it gives up on a dead network sooner than a program would.
        """
        from replicate.client import Client, parse_base_url
        from replicate.core.retry import RetryPolicy

        credentials = load_credentials(self.base_url, os.environ, Path.cwd())
        try:
            parse_base_url(credentials.base_url)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        client = Client(
            credentials.token,
            base_url=credentials.base_url,
            poll_interval=POLL_SECONDS,
            retry_policy=RetryPolicy(attempts_max=RETRIES_MAX),
        )
        return click.get_current_context().with_resource(client)


pass_session = click.make_pass_decorator(Session)
