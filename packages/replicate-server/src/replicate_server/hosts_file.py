"""The file in which command-line tools find servers and tokens: ``$XDG_CONFIG_HOME/replicate/hosts``.

Owns its format (JSON, which is YAML) and its permissions. Other people's entries are kept.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Host:
    """A server that a person has a token for."""

    base_url: str
    token: str


def hosts_path(environment: Mapping[str, str]) -> Path:
    """Where the file lies."""
    configured = environment.get("XDG_CONFIG_HOME")
    return (Path(configured) if configured else Path.home() / ".config") / "replicate" / "hosts"


def current_host(path: Path) -> Host | None:
    """The entry marked as current, else the only one; None when there is none."""
    hosts = _load(path)
    marked = [entry for entry in hosts.values() if entry.get("current")] or (list(hosts.values()) if len(hosts) == 1 else [])
    if not marked or not marked[0].get("token"):
        return None
    return Host(str(marked[0]["base_url"]).rstrip("/"), str(marked[0]["token"]))


def remember_host(path: Path, host: Host) -> None:
    """Add or replace an entry and make it the current one; the file is replaced as a whole, readable by its owner only.

    An entry with the same token is the same server at its former address, and goes.
    """
    kept = {name: entry for name, entry in _load(path).items() if entry.get("token") != host.token}
    hosts = {name: {**entry, "current": False} for name, entry in kept.items()}
    hosts[urlsplit(host.base_url).netloc] = {"token": host.token, "base_url": host.base_url, "current": True}
    write_private(path, json.dumps(hosts, indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp makes the file with mode 0600, so the text is never readable by others, not even for a moment.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(text)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _load(path: Path) -> dict[str, dict[str, Any]]:
    try:
        hosts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(hosts, dict):
        return {}
    return {name: entry for name, entry in hosts.items() if isinstance(entry, dict) and entry.get("base_url")}
