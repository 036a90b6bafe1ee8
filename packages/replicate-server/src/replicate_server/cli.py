"""The ``replicate-server`` command.

Owns flags, messages and exit statuses, nothing else. What a command needs is imported inside it: ``--help`` must not wait for a
database, an HTTP server and a settings library. Results go to standard output, everything else to standard error.

Exit statuses: 0 done, 1 refused or failed with one clear line, 2 wrong usage.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from replicate_server.administration import OperatorDesk
    from replicate_server.services.accounts import AccountService
    from replicate_server.settings import Settings

DEFAULT_BASE_URL = "http://127.0.0.1:8000"

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    envvar="REPLICATE_SERVER_DATA_DIR",
    default=Path("data"),
    show_default=True,
    help="Folder of the database, the files and the environments.",
)


def fail(message: str) -> NoReturn:
    """Print one line and end with status 1."""
    click.echo(f"replicate-server: {message}", err=True)
    sys.exit(1)


def read_settings(**flags: Any) -> Settings:
    """The settings from the environment and the flags that were given; every wrong one is named."""
    from pydantic import ValidationError

    from replicate_server.settings import Settings

    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors())
        fail(f"wrong settings (REPLICATE_SERVER_*, or the flag): {problems}")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="replicate-server", prog_name="replicate-server")
def main() -> None:
    """Run machine-learning models behind one durable HTTP API.

    Every setting can also be given in the environment, as REPLICATE_SERVER_ and its name.
    """


@main.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.  [default: 8000]")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of the database, the files and the environments.")
def serve(host: str | None, port: int | None, data_dir: Path | None) -> None:
    """Serve the HTTP API until a stop signal.

    Prints `Listening on http://…` when it is ready. The first start on a data folder creates an account and prints its token,
    once.
    """
    from replicate_server.serving import ServingRefused, run_server
    from replicate_server.store.opening import SchemaUnknown, StoreInUse

    settings = read_settings(host=host, port=port, data_dir=data_dir)
    try:
        sys.exit(run_server(settings))
    except (ServingRefused, StoreInUse, SchemaUnknown) as error:
        fail(str(error))


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.  [default: 8000]")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of the database, the files and the environments.")
@click.option(
    "--models-dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path("models"),
    show_default=True,
    help="Folder whose starter/* models are published.",
)
@click.option("--once", is_flag=True, help="End after the first result instead of serving on.")
def quickstart(port: int | None, data_dir: Path | None, models_dir: Path, *, once: bool) -> None:
    """Serve, publish the starter models and run one of them."""
    from replicate_server.quickstart import run_quickstart
    from replicate_server.serving import ServingRefused
    from replicate_server.store.opening import SchemaUnknown, StoreInUse

    settings = read_settings(port=port, data_dir=data_dir)
    try:
        sys.exit(run_quickstart(settings, models_dir, is_once=once, environment=os.environ))
    except (ServingRefused, StoreInUse, SchemaUnknown) as error:
        fail(str(error))


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("model", metavar="OWNER/NAME")
def publish(folder: Path, model: str) -> None:
    """Publish the folder DIR, which holds a cog.yaml, as the latest version of the model OWNER/NAME.

    The server is REPLICATE_BASE_URL with REPLICATE_API_TOKEN, else the current one of the hosts file that `quickstart` writes.
    The model is created when it is missing. Progress goes to standard error, the version id to standard output.
    """
    from replicate_server.domain.references import is_name
    from replicate_server.publish_client import Destination, PublishFailed, publish_folder

    owner, _, name = model.partition("/")
    if not is_name(owner) or not is_name(name):
        raise click.BadParameter(
            "write OWNER/NAME in lower-case letters, digits, dots, dashes and underscores", param_hint="MODEL"
        )
    base_url, token = find_destination()
    try:
        version_id = publish_folder(
            folder, model, Destination(base_url, token), say=lambda text: click.echo(text, err=True, nl=False)
        )
    except PublishFailed as error:
        fail(str(error))
    click.echo(version_id)


def find_destination() -> tuple[str, str]:
    """The server and the token: the environment's, else the hosts file's, whose token goes only to the server it belongs to."""
    from replicate_server.hosts_file import current_host, hosts_path

    base_url = os.environ.get("REPLICATE_BASE_URL", "").rstrip("/").removesuffix("/v1")
    token = os.environ.get("REPLICATE_API_TOKEN")
    host = current_host(hosts_path(os.environ))
    if token is None and host is not None and base_url in ("", host.base_url):
        return host.base_url, host.token
    if token is None:
        fail("no token: set REPLICATE_API_TOKEN, or start a server with `replicate-server quickstart`, which remembers one")
    return base_url or (host.base_url if host is not None else DEFAULT_BASE_URL), token


@main.command()
@data_dir_option
def doctor(data_dir: Path) -> None:
    """Look at this machine and say what is missing and what that costs.

    Ends with status 1 when the server cannot work like this.
    """
    from replicate_server.diagnosis import Standing, diagnose

    settings = read_settings(data_dir=data_dir)
    findings = diagnose(data_dir=settings.data_dir, host=settings.host, port=settings.port)
    for finding in findings:
        click.echo(f"{finding.status:<6} {finding.name}: {finding.what}")
        for label, text in (("costs", finding.cost), ("do", finding.advice)):
            if text and finding.status is not Standing.OK:
                click.echo(f"       {label}: {text}")
    errors = sum(finding.status is Standing.ERROR for finding in findings)
    gaps = sum(finding.status is Standing.GAP for finding in findings)
    verdict = f"The server cannot work like this: {errors} of the above must be mended" if errors else "The server can run here"
    click.echo(f"\n{verdict}" + (f"; gaps that cost something: {gaps}." if gaps else "."))
    sys.exit(1 if errors else 0)


def use_accounts(data_dir: Path, use: Callable[[AccountService], Awaitable[Any]]) -> Any:
    """Run one use case on the accounts of a data folder, and end with one line when it refuses."""
    return use_catalogue(data_dir, lambda desk: use(desk.accounts))


def use_catalogue(data_dir: Path, use: Callable[[OperatorDesk], Awaitable[Any]]) -> Any:
    """Run one use case of the operator on a data folder, and end with one line when it refuses."""
    from replicate_server.administration import DataFolderMissing, with_catalogue
    from replicate_server.domain.errors import OperatingError
    from replicate_server.store.opening import SchemaUnknown, StoreInUse

    try:
        return with_catalogue(data_dir, use)
    except OperatingError as error:
        fail(error.detail)
    except (DataFolderMissing, SchemaUnknown, StoreInUse) as error:
        fail(str(error))


@main.group()
def account() -> None:
    """Accounts: who owns models, tokens, predictions and files."""


@account.command("create")
@click.argument("username")
@click.option("--name", help="The name to show.  [default: the username]")
@click.option("--organization", is_flag=True, help="Create an organization instead of a user.")
@data_dir_option
def create_account(username: str, name: str | None, data_dir: Path, *, organization: bool) -> None:
    """Create an account and print its id."""
    kind = "organization" if organization else "user"
    created = use_accounts(data_dir, lambda accounts: accounts.create_account(username, name=name, type=kind))
    click.echo(created.id)


@account.command("list")
@data_dir_option
def list_accounts(data_dir: Path) -> None:
    """List the accounts, oldest first: id, username, kind."""
    for found in use_accounts(data_dir, lambda accounts: accounts.list_accounts()):
        click.echo(f"{found.id}  {found.username}  {found.type}")


@main.group()
def member() -> None:
    """Members of organizations."""


@member.command("add")
@click.argument("organization")
@click.argument("username")
@click.option("--role", type=click.Choice(["member", "admin"]), default="member", show_default=True, help="What it may do.")
@data_dir_option
def add_member(organization: str, username: str, role: str, data_dir: Path) -> None:
    """Make the account USERNAME a member of ORGANIZATION, or change its role.

    A member sees and runs what the organization owns; an admin may change it too.
    """
    from replicate_server.domain.scopes import Role

    use_accounts(data_dir, lambda accounts: accounts.set_member(organization, username, Role(role)))


@member.command("remove")
@click.argument("organization")
@click.argument("username")
@data_dir_option
def remove_member(organization: str, username: str, data_dir: Path) -> None:
    """End the membership of USERNAME in ORGANIZATION; it takes effect within a second."""
    use_accounts(data_dir, lambda accounts: accounts.remove_member(organization, username))


@member.command("list")
@click.argument("organization")
@data_dir_option
def list_members(organization: str, data_dir: Path) -> None:
    """List the members of ORGANIZATION, oldest first: username, role."""
    for found in use_accounts(data_dir, lambda accounts: accounts.list_members(organization)):
        click.echo(f"{found.username}  {found.role}")


@main.group()
def token() -> None:
    """API tokens."""


@token.command("create")
@click.option("--account", "username", default="local", show_default=True, help="The username it acts for.")
@click.option("--name", default="", help="What it is for.")
@click.option("--scopes", help="What it allows, with commas: read, run, write, admin.  [default: admin, which is everything]")
@click.option("--expires", "expires_days", type=click.IntRange(1, 36_500), help="Days until it is refused.  [default: never]")
@data_dir_option
def create_token(username: str, name: str, scopes: str | None, expires_days: int | None, data_dir: Path) -> None:
    """Create a token and print it. It cannot be shown again: only its digest is stored."""
    from datetime import timedelta

    from replicate_server.domain.scopes import ALL_SCOPES, parse_scopes
    from replicate_server.ports.clock import SystemClock

    try:
        allowed = ALL_SCOPES if scopes is None else parse_scopes(scopes)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--scopes") from error
    expires_at = None if expires_days is None else SystemClock().now() + timedelta(days=expires_days)

    async def create(accounts: AccountService) -> str:
        owner = await accounts.account_by_username(username)
        return (await accounts.create_token(owner.id, name=name, scopes=allowed, expires_at=expires_at))[1]

    click.echo(use_accounts(data_dir, create))


@token.command("list")
@click.option("--account", "username", default="local", show_default=True, help="Whose tokens.")
@data_dir_option
def list_tokens(username: str, data_dir: Path) -> None:
    """List an account's tokens, oldest first: id, first characters, state, last use, scopes, expiry, name."""

    async def load(accounts: AccountService) -> Any:
        return await accounts.list_tokens((await accounts.account_by_username(username)).id)

    for found in use_accounts(data_dir, load):
        state = "revoked" if found.revoked_at else "active"
        used = f"{found.last_used_at:%Y-%m-%d %H:%M} UTC" if found.last_used_at else "never used"
        allowed = ",".join(sorted(found.scopes))
        ends = f"until {found.expires_at:%Y-%m-%d %H:%M} UTC" if found.expires_at else "no end"
        click.echo(f"{found.id}  {found.prefix}…  {state}  {used}  {allowed}  {ends}  {found.name}")


@token.command("revoke")
@click.argument("token_id")
@data_dir_option
def revoke_token(token_id: str, data_dir: Path) -> None:
    """Revoke the token TOKEN_ID (see `token list`); it stops working within a second."""
    if not use_accounts(data_dir, lambda accounts: accounts.revoke_token(token_id)):
        fail(f"there is no token {token_id}; `replicate-server token list` shows the ids")


@main.group()
def model() -> None:
    """Models: what only the operator may say about them."""


@model.command("official")
@click.argument("name", metavar="OWNER/NAME")
@click.option("--off", is_flag=True, help="Take the mark away.")
@data_dir_option
def mark_official(name: str, data_dir: Path, *, off: bool) -> None:
    """Mark a model as official: `is_official` is true, and its versions are not listed."""
    from replicate_server.administration import set_official

    use_catalogue(data_dir, lambda desk: set_official(desk, name, is_official=not off))


@main.group()
def collection() -> None:
    """Collections: models put together under a name."""


@collection.command("create")
@click.argument("slug")
@click.option("--name", help="The name to show.  [default: the slug]")
@click.option("--description", default="", help="What the models have in common, in a sentence.")
@click.option("--full-description", help="The same at length, in Markdown.")
@data_dir_option
def create_collection(slug: str, name: str | None, description: str, full_description: str | None, data_dir: Path) -> None:
    """Create an empty collection whose name in URLs is SLUG."""
    use_catalogue(
        data_dir,
        lambda desk: desk.collections.create(slug, name=name or slug, description=description, full_description=full_description),
    )


@collection.command("add")
@click.argument("slug")
@click.argument("name", metavar="OWNER/NAME")
@data_dir_option
def add_to_collection(slug: str, name: str, data_dir: Path) -> None:
    """Add the model OWNER/NAME; one that is in the collection keeps its place."""
    use_catalogue(data_dir, lambda desk: desk.collections.add(slug, name))


@collection.command("remove")
@click.argument("slug")
@click.argument("name", metavar="OWNER/NAME")
@data_dir_option
def remove_from_collection(slug: str, name: str, data_dir: Path) -> None:
    """Remove the model OWNER/NAME from a collection."""
    use_catalogue(data_dir, lambda desk: desk.collections.remove(slug, name))


@collection.command("list")
@data_dir_option
def list_collections(data_dir: Path) -> None:
    """List the collections, oldest first: slug, name, description."""

    async def load(desk: OperatorDesk) -> list[Any]:
        page = await desk.collections.list(cursor=None)
        found = list(page.results)
        while page.next_cursor is not None:
            page = await desk.collections.list(cursor=page.next_cursor)
            found += page.results
        return found

    for found in use_catalogue(data_dir, load):
        click.echo(f"{found.slug}  {found.name}  {found.description}")


@main.group("webhook-secret")
def webhook_secret() -> None:
    """The secrets that webhooks are signed with."""


@webhook_secret.command("rotate")
@click.option("--account", "username", default="local", show_default=True, help="Whose secret.")
@click.option(
    "--overlap-hours",
    type=click.FloatRange(min=0),
    default=24.0,
    show_default=True,
    help="How long webhooks are signed with the old secret too.",
)
@data_dir_option
def rotate_webhook_secret(username: str, overlap_hours: float, data_dir: Path) -> None:
    """Replace an account's webhook secret and print the new one.

    During the overlap each webhook carries two signatures, so receivers may hold either secret. Only two are ever valid: a second
    rotation ends the overlap of the first.
    """

    async def rotate(accounts: AccountService) -> str:
        owner = await accounts.account_by_username(username)
        return (await accounts.rotate_webhook_secret(owner.id, overlap_seconds=overlap_hours * 3600)).key

    click.echo(use_accounts(data_dir, rotate))
