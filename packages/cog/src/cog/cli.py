"""The ``cog`` command. Needs click; nothing else of the package imports this module."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from cog import __version__
from cog.errors import CogError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cog")
def main() -> None:
    """Package machine-learning models."""


@main.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
def schema(folder: Path) -> None:
    """Print the OpenAPI document of the model in FOLDER.

    The model is imported by the Python that runs this command, so its dependencies must be installed there.
    """
    from cog.packaging.config import load_config
    from cog.schema import build_schema

    try:
        config = load_config(folder)
        if config.runner is None:
            raise click.ClickException(f"{folder / 'cog.yaml'}: names no `run`, such as `run: run.py:Runner`")
        for warning in config.warnings:
            click.echo(f"warning: {warning}", err=True)
        document = build_schema(config.runner, str(folder.resolve()), train=config.train)
    except CogError as error:
        raise click.ClickException(str(error)) from error
    except ImportError as error:
        raise click.ClickException(f"the model cannot be imported by {sys.executable}: {error}") from error
    click.echo(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
