"""The starter models: which there are, which of them are published already, and publishing the rest.

Owns the memory of what was published (``starter.json`` in the data folder), keyed by the content of each folder, so that a start
with nothing new publishes nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replicate_server.hosts_file import write_private
from replicate_server.publish_client import Destination, PublishFailed, publish_folder
from replicate_server.registry.layers import digest_folder

OWNER = "starter"
MEMORY_NAME = "starter.json"
LINE_CHARACTERS_MAX = 110

# Four models are published at once: what stays is which packages are downloaded, and whatever is unexpected. Build tools indent
# or mark the packages they list.
CHATTER = (
    " ", "\t", "+ ", "- ", "~ ", "sending ", "resolving ", "building the environment", "Building an environment", "Using Python ",
    "Resolved ", "Prepared ", "Installed ", "Bytecode compiled ",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StarterModel:
    """A folder to be published."""

    folder: Path
    digest: str

    @property
    def name(self) -> str:
        """``owner/name``."""
        return f"{OWNER}/{self.folder.name}"

    @property
    def example(self) -> dict[str, Any]:
        """The input of its ``example.json``; a text that begins with ``@`` names a file of the folder."""
        try:
            described = json.loads((self.folder / "example.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return dict(described["input"])


def find_models(models_dir: Path) -> list[StarterModel]:
    """The starter models below a folder, by name."""
    return [StarterModel(path.parent, digest_folder(path.parent)) for path in sorted(models_dir.glob(f"{OWNER}/*/cog.yaml"))]


class PublishedMemory:
    """What was published from which content."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / MEMORY_NAME

    def version_of(self, model: StarterModel) -> str | None:
        """The version that this very content became; None when it was never published."""
        entry = self._load().get(model.name)
        return entry["version"] if entry is not None and entry["digest"] == model.digest else None

    def remember(self, model: StarterModel, version_id: str) -> None:
        """Note what a folder became."""
        entries = {**self._load(), model.name: {"digest": model.digest, "version": version_id}}
        write_private(self._path, json.dumps(entries, indent=2, sort_keys=True) + "\n")

    def _load(self) -> dict[str, dict[str, str]]:
        try:
            loaded = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return loaded if isinstance(loaded, dict) else {}


async def find_unpublished(
    models: Sequence[StarterModel], memory: PublishedMemory, is_known: Callable[[str, str], Awaitable[bool]]
) -> list[StarterModel]:
    """Those whose content the server does not have: never published, or published to a server that forgot.

    Args:
        models: All.
        memory: What was published from this data folder.
        is_known: Asks the server whether a model has a version.
    """
    missing = []
    for model in models:
        version_id = memory.version_of(model)
        if version_id is None or not await is_known(model.name, version_id):
            missing.append(model)
    return missing


async def publish_models(
    models: Sequence[StarterModel], memory: PublishedMemory, destination: Destination, say: Callable[[str], None]
) -> dict[str, str]:
    """Publish all at the same time: most of the time goes into downloads.

    Returns:
        Model name → why it could not be published; empty when all were.
    """

    async def publish(model: StarterModel) -> str | None:
        progress = CondensedProgress(model.folder.name, say)
        try:
            version_id = await asyncio.to_thread(publish_folder, model.folder, model.name, destination, say=progress.write)
        except PublishFailed as error:
            return str(error)
        memory.remember(model, version_id)
        say(f"  {model.folder.name}: published as {model.name}")
        return None

    failures = await asyncio.gather(*(publish(model) for model in models))
    return {model.name: failure for model, failure in zip(models, failures, strict=True) if failure is not None}


class CondensedProgress:
    """Turns pieces of build output into short lines with the model's name, leaving out what is always said.

    Args:
        name: Stands before each line.
        say: Takes a line.
    """

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        self._name = name
        self._say = say
        self._rest = ""

    def write(self, text: str) -> None:
        """Take a piece of text; complete lines are passed on."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip() and not line.startswith(CHATTER):
                self._say(f"  {self._name}: {line.strip()[:LINE_CHARACTERS_MAX]}")
