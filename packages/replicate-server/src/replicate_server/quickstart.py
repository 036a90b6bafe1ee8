"""``make run``: a server, its starter models, and a first result.

Owns the first minutes of a new user. Runs beside the server in one process, but reaches the models through the public HTTP API as
everybody does.
"""

from __future__ import annotations

import asyncio
import base64
import json
import mimetypes
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from replicate_server.administration import collect, issue_token, token_path, with_accounts, with_catalogue
from replicate_server.hosts_file import Host, hosts_path, remember_host, write_private
from replicate_server.publish_client import Destination
from replicate_server.serving import AnnouncingServer, run_server
from replicate_server.starter_models import OWNER, PublishedMemory, StarterModel, find_models, find_unpublished, publish_models

if TYPE_CHECKING:
    from replicate_server.settings import Settings

FIRST_CHOICES = ("starter/story", "starter/embed", "starter/speak")
WAIT_SECONDS = 60
PREDICTION_SECONDS_MAX = 300
OUTPUT_CHARACTERS_MAX = 600
TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})


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
        base_url=settings.base_url, headers=headers, timeout=WAIT_SECONDS + 30, trust_env=False
    ) as client:
        failures = await _publish_new(settings, client, models_dir)
        models = [model for model in await asyncio.to_thread(find_models, models_dir) if model.name not in failures]
        await asyncio.to_thread(collect_starters, settings.data_dir, [model.name for model in models])
        if models:
            failure = await _show_first_result(client, _choose_first(models))
            failures |= failure
    for name, failure_text in failures.items():
        _say(f"{name} FAILED: {failure_text}")
    _show_next_steps(settings)
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
    _say(f"Publishing {len(missing)} starter models. The first time, their environments are downloaded: some minutes.")
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


async def _show_first_result(client: httpx.AsyncClient, model: StarterModel) -> dict[str, str]:
    """Run a model's example and print what comes out; returns the failure, if any."""
    given = model.example
    _print(f"\nRunning {model.name} with {json.dumps(given, ensure_ascii=False)}")
    prediction = await _predict(client, model.name, await asyncio.to_thread(_attach_files, model.folder, given))
    if prediction.get("status") != "succeeded":
        return {model.name: str(prediction.get("error") or prediction.get("detail") or prediction.get("status"))}
    _print(_describe_output(prediction.get("output")))
    return {}


async def _predict(client: httpx.AsyncClient, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Create a prediction and wait for its end."""
    try:
        async with asyncio.timeout(PREDICTION_SECONDS_MAX):
            answer = await client.post(
                f"/v1/models/{name}/predictions", json={"input": given}, headers={"Prefer": f"wait={WAIT_SECONDS}"}
            )
            prediction = dict(answer.json())
            while answer.is_success and prediction["status"] not in TERMINAL:
                await asyncio.sleep(0.2)
                prediction = dict((await client.get(f"/v1/predictions/{prediction['id']}")).json())
            return prediction
    except TimeoutError:
        return {"status": "failed", "error": f"no result within {PREDICTION_SECONDS_MAX} seconds"}
    except (httpx.HTTPError, ValueError) as error:
        return {"status": "failed", "error": f"the server did not answer properly: {error or type(error).__name__}"}


def _attach_files(folder: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Replace ``@name`` by the file's content as a data URI."""
    attached = dict(given)
    for name, value in given.items():
        if isinstance(value, str) and value.startswith("@") and (folder / value[1:]).is_file():
            content_type = mimetypes.guess_type(value)[0] or "application/octet-stream"
            encoded = base64.b64encode((folder / value[1:]).read_bytes()).decode()
            attached[name] = f"data:{content_type};base64,{encoded}"
    return attached


def _describe_output(output: Any) -> str:
    """An output as a person wants to see it: text as text, everything else as short JSON."""
    is_text = isinstance(output, list) and bool(output) and all(isinstance(part, str) for part in output)
    text = "".join(output) if is_text else output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    return text if len(text) <= OUTPUT_CHARACTERS_MAX else text[:OUTPUT_CHARACTERS_MAX] + " …"


def _show_next_steps(settings: Settings) -> None:
    """The address, and three things to try."""
    _print(f"\nThe platform runs at {settings.base_url}; your token is in {token_path(settings.data_dir)}.")
    _print("Try next, in another terminal:")
    _print("  .venv/bin/replicate models list")
    _print('  .venv/bin/replicate run starter/story -i prompt="Once upon a time"')
    _print('  .venv/bin/replicate run starter/speak -i text="Hello" --output-dir .')


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
