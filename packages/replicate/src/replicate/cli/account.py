"""``replicate whoami``."""

from __future__ import annotations

import click

from replicate.cli.exits import errors_as_lines
from replicate.cli.printing import print_json, wants_json, without_data
from replicate.cli.session import Session, pass_session


@click.command(short_help="Show whose token this is.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@pass_session
def whoami(session: Session, as_json: bool) -> None:
    """Show the account that the token belongs to."""
    with errors_as_lines():
        account = session.connect().accounts.current()
    if wants_json(as_json):
        print_json(without_data(account.dict()))
    else:
        click.echo(f"{account.username} ({account.name or account.username}, {account.type})")
