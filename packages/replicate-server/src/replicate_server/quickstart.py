"""``make run``: a server, its starter models, and a first result.

Owns the first minutes of a new user. Runs beside the server in one process, but reaches the models through the public HTTP API as
everybody does.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from replicate_server.administration import collect, issue_token, token_path, with_accounts, with_catalogue
from replicate_server.first_result import show_example
from replicate_server.hosts_file import Host, hosts_path, remember_host, write_private
from replicate_server.publish_client import Destination
from replicate_server.serving import AnnouncingServer, run_server
from replicate_server.starter_models import OWNER, PublishedMemory, StarterModel, find_models, find_unpublished, publish_models

if TYPE_CHECKING:
    from replicate_server.settings import Settings

FIRST_CHOICES = ("starter/story", "starter/embed", "starter/speak")
REQUEST_SECONDS_MAX = 90
NEXT_COMMANDS = (
    "models list",
    'run starter/speak -i text="Hello" --output-dir .',
    "run starter/remove-background -i image=@models/starter/remove-background/astronaut.jpg --output-dir .",
)


def run_quickstart(settings: Settings, models_dir: Path, *, is_once: bool, environment: Mapping[str, str]) -> int:
    """Serve, publish what is new, show a first result, and serve on.

    Args:
        settings: As read.
        models_dir: Its ``starter`` folder holds the models.
        is_once: End after the first result; the exit status is then 1 if anything failed.
        environment: Says where the hosts file lies.

    Raises:
        replicate_server.serving.ServingRefused: If the address cannot be used.
    """
    return run_server(settings, partial(_introduce, models_dir=models_dir, is_once=is_once, environment=environment))


async def _introduce(
    settings: Settings, server: AnnouncingServer, *, models_dir: Path, is_once: bool, environment: Mapping[str, str]
) -> int:
    """What happens once the server answers."""
    token = await asyncio.to_thread(_own_token, settings)
    await asyncio.to_thread(remember_host, hosts_path(environment), Host(settings.base_url, token))
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=settings.base_url, headers=headers, timeout=REQUEST_SECONDS_MAX, trust_env=False
    ) as client:
        failures = await _publish_new(settings, client, models_dir)
        models = [model for model in await asyncio.to_thread(find_models, models_dir) if model.name not in failures]
        await asyncio.to_thread(collect_starters, settings.data_dir, [model.name for model in models])
        if models:
            first = _choose_first(models)
            failure = await show_example(client, first, _write)
            failures |= {} if failure is None else {first.name: failure}
    for name, failure_text in failures.items():
        _say(f"{name} FAILED: {failure_text}")
    _show_next_steps(settings, is_once=is_once)
    if failures:
        _say(f"{len(failures)} of the starter models could not be set up; the others work.")
    if not is_once:
        await server.stopped.wait()
        return 0
    server.should_exit = True
    return 1 if failures else 0


def _own_token(settings: Settings) -> str:
    """The first account's token: configured, or from its file; a new one when the file is gone."""
    if settings.bootstrap_token is not None:
        return settings.bootstrap_token.get_secret_value()
    path = token_path(settings.data_dir)
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        _, token = issue_token(settings.data_dir, username=settings.bootstrap_username, name="quickstart")
        write_private(path, token + "\n")
        return token


async def _publish_new(settings: Settings, client: httpx.AsyncClient, models_dir: Path) -> dict[str, str]:
    """Publish the models that the server does not have; returns those that failed, with the reason."""
    models = await asyncio.to_thread(find_models, models_dir)
    if not models:
        _say(f"There are no models in {models_dir / OWNER}.")
        return {}

    async def is_known(name: str, version_id: str) -> bool:
        return (await client.get(f"/v1/models/{name}/versions/{version_id}")).is_success

    memory = PublishedMemory(settings.data_dir)
    missing = await find_unpublished(models, memory, is_known)
    if not missing:
        return {}
    models_text = "a starter model" if len(missing) == 1 else f"{len(missing)} starter models"
    _say(f"Publishing {models_text}. The first time, packages are downloaded for them, about 200 MB in all.")
    # The starter models belong to an organization of their own, whose token lives only as long as this.
    token_id, token = await asyncio.to_thread(
        partial(issue_token, settings.data_dir, username=OWNER, name="quickstart", kind="organization")
    )
    try:
        return await publish_models(missing, memory, Destination(settings.base_url, token), _say)
    finally:
        await asyncio.to_thread(with_accounts, settings.data_dir, lambda accounts: accounts.revoke_token(token_id))


def collect_starters(data_dir: Path, names: Sequence[str]) -> None:
    """Put the starter models into a collection of their own."""
    with_catalogue(
        data_dir,
        lambda desk: collect(desk, OWNER, names, name="Starter models", description="Models that need no GPU and no download."),
    )


def _choose_first(models: list[StarterModel]) -> StarterModel:
    """The model whose result is shown: the most telling one that is there."""
    by_name = {model.name: model for model in models}
    return next((by_name[name] for name in FIRST_CHOICES if name in by_name), models[0])


def _show_next_steps(settings: Settings, *, is_once: bool) -> None:
    """The address, and three things to try."""
    stopping = "" if is_once else " Ctrl-C stops it."
    _write(f"\nThe platform runs at {settings.base_url}; your token is in {token_path(settings.data_dir)}.{stopping}\n")
    _write("Try next, in another terminal:\n")
    for line in NEXT_COMMANDS:
        _write(f"  .venv/bin/replicate {line}\n")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
