"""The command's entrance: its options, its commands, nothing else."""

from __future__ import annotations

from typing import Optional

import click

from replicate.__about__ import __version__
from replicate.cli.account import whoami
from replicate.cli.browse import models
from replicate.cli.exits import EXIT_CODES
from replicate.cli.predictions import predict, run, stream
from replicate.cli.session import Session

EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in EXIT_CODES.items())


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--base-url", metavar="URL", help="Where the API is; else REPLICATE_BASE_URL, .env, the hosts file, this machine.")
@click.version_option(__version__, prog_name="replicate")
@click.pass_context
def replicate(context: click.Context, base_url: Optional[str]) -> None:
    """Run models on a Replicate-compatible platform.

    The token is REPLICATE_API_TOKEN of the environment, else of .env in this folder, else the one that the hosts file keeps for
    the address.
    """
    context.obj = Session(base_url=base_url)


for command in (whoami, run, predict, stream, models):
    replicate.add_command(command)
