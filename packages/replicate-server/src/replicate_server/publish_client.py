"""The author's side of publishing: pack a folder, send it to a server, follow its progress.

Speaks the public HTTP API only. Used by ``replicate-server publish`` and by ``quickstart``.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx

from replicate_server.instances.exits import format_bytes
from replicate_server.registry.layers import FolderUnpackable, pack_folder

# A build may be silent for as long as an environment takes to install.
READ_TIMEOUT_SECONDS = 900.0
CONNECT_TIMEOUT_SECONDS = 10.0
CHUNK_BYTES = 1024 * 1024
UNAUTHENTICATED = 401


class PublishFailed(Exception):
    """The folder was not published; the message is for its author."""


@dataclass(frozen=True, slots=True)
class Destination:
    """The server to publish to."""

    base_url: str
    """Without ``/v1``."""
    token: str


def publish_folder(folder: Path, model: str, destination: Destination, *, say: Callable[[str], None]) -> str:
    """Publish a folder as the latest version of a model.

    Args:
        folder: Holds a ``cog.yaml``.
        model: ``owner/name``.
        destination: The server.
        say: Called with each piece of progress text.

    Returns:
        The version id.

    Raises:
        PublishFailed: If the folder, the connection or the server refuses.
    """
    if not (folder / "cog.yaml").is_file():
        raise PublishFailed(f"{folder} has no cog.yaml; it needs at least the line `predict: predict.py:Predictor`")
    with tempfile.TemporaryFile() as archive:
        try:
            packed = pack_folder(folder, archive)
        except (FolderUnpackable, OSError) as error:
            raise PublishFailed(f"{folder} cannot be packed: {error}") from error
        say(f"sending {folder}, {format_bytes(packed.size_bytes)}\n")
        archive.seek(0)
        try:
            return _send(archive, packed.size_bytes, model, destination, say)
        except httpx.HTTPError as error:
            advice = "is the server running? REPLICATE_BASE_URL names another one"
            reason = str(error) or type(error).__name__
            raise PublishFailed(f"{destination.base_url} cannot be reached ({reason}): {advice}") from error


def _send(archive: IO[bytes], size_bytes: int, model: str, destination: Destination, say: Callable[[str], None]) -> str:
    headers = {
        "Authorization": f"Bearer {destination.token}",
        "Content-Type": "application/gzip",
        "Content-Length": str(size_bytes),
    }
    timeout = httpx.Timeout(READ_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS)
    url = f"{destination.base_url}/v1/models/{model}/versions"
    # The environment's proxies are meant for the outside; a server on this machine is behind none of them.
    with (
        httpx.Client(timeout=timeout, trust_env=not _is_local(url)) as client,
        client.stream("POST", url, content=_chunks(archive), headers=headers) as answer,
    ):
        if not answer.is_success:
            answer.read()
            raise PublishFailed(_describe_problem(_parse(answer.text), answer.status_code))
        return _follow(answer.iter_lines(), say)


def _follow(lines: Iterator[str], say: Callable[[str], None]) -> str:
    """Pass progress on until the version or the error comes."""
    said = ""
    for line in lines:
        item = _parse(line)
        if item.get("type") == "log":
            said += str(item.get("text", ""))
            say(str(item.get("text", "")))
        elif item.get("type") == "version":
            return str(item["version"]["id"])
        elif item.get("type") == "error":
            raise PublishFailed(_leave_out_log(_describe_problem(item, item.get("status")), said))
    raise PublishFailed("the server ended the answer before it named a version; its log says why")


def _leave_out_log(problem: str, said: str) -> str:
    """The first line of a problem whose other lines are the build's log, which its reader has just seen."""
    first, _, log = problem.partition("\n")
    return first if log.strip() in said else problem


def _describe_problem(problem: dict[str, Any], status: Any) -> str:
    said = str(problem.get("detail") or problem.get("title") or f"the server answered with status {status}")
    return f"{said}; set REPLICATE_API_TOKEN to a token of this server" if status == UNAUTHENTICATED else said


def _parse(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _chunks(archive: IO[bytes]) -> Iterator[bytes]:
    while chunk := archive.read(CHUNK_BYTES):
        yield chunk


def _is_local(url: str) -> bool:
    return httpx.URL(url).host in ("127.0.0.1", "localhost", "::1")
