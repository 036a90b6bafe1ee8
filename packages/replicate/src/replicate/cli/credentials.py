"""Where the command finds the address and the token: options, the environment, ``.env`` in the working folder, the hosts file.

Reads once and returns a value. A token is only ever paired with an address from the same or a more trusted place: ``.env``
cannot send the environment's token elsewhere, and a token of the hosts file goes to its own address only.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

DEFAULT_BASE_URL = "http://127.0.0.1:8000"
_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*?)\s*$")


@dataclass(frozen=True)
class Credentials:
    """Address and token."""

    base_url: str
    token: Optional[str] = field(default=None, repr=False)


def parse_dotenv(text: str) -> Dict[str, str]:
    """Read ``NAME=value`` lines; ``export`` is allowed, quotes are taken off, ``#`` begins a comment outside them."""
    values = {}
    for line in text.splitlines():
        match = None if line.lstrip().startswith("#") else _LINE.match(line)
        if match:
            values[match["name"]] = _unquote(match["value"])
    return values


def _unquote(value: str) -> str:
    if value[:1] in ("'", '"') and value.find(value[0], 1) > 0:
        return value[1 : value.find(value[0], 1)]
    return re.split(r"\s#", value, maxsplit=1)[0].strip()


def parse_hosts(text: str) -> Dict[str, Dict[str, Any]]:
    """Read a hosts file (JSON): host name to ``token``, ``base_url`` and ``current``. Anything else counts as empty."""
    try:
        hosts = json.loads(text)
    except ValueError:
        return {}
    return {name: entry for name, entry in hosts.items() if isinstance(entry, dict)} if isinstance(hosts, dict) else {}


def choose_credentials(
    option: Optional[str], environment: Mapping[str, str], dotenv: Mapping[str, str], hosts: Mapping[str, Mapping[str, Any]]
) -> Credentials:
    """Decide on address and token. Pure.

    Args:
        option: ``--base-url``.
        environment: The process's environment.
        dotenv: What ``.env`` holds; its address counts only when the environment brings no token of its own.
        hosts: What the hosts file holds; its entry marked ``current`` names the default address.
    """
    token = environment.get("REPLICATE_API_TOKEN")
    base_url = option or environment.get("REPLICATE_BASE_URL")
    if not base_url and not token:
        base_url = dotenv.get("REPLICATE_BASE_URL")
    current = next((entry for entry in hosts.values() if entry.get("current")), {})
    base_url = _plain(base_url or current.get("base_url") or DEFAULT_BASE_URL)
    token = token or dotenv.get("REPLICATE_API_TOKEN")
    if not token:
        own = (entry for entry in hosts.values() if _plain(str(entry.get("base_url", ""))) == base_url)
        token = next((str(entry["token"]) for entry in own if entry.get("token")), None)
    return Credentials(base_url=base_url, token=token or None)


def _plain(base_url: str) -> str:
    base = base_url.strip().rstrip("/")
    return base[: -len("/v1")] if base.endswith("/v1") else base


def load_credentials(option: Optional[str], environment: Mapping[str, str], folder: Path) -> Credentials:
    """Read ``.env`` of a folder and the hosts file, then decide."""
    config = Path(environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME", "~")).expanduser() / ".config")
    return choose_credentials(
        option,
        environment,
        parse_dotenv(_text(folder / ".env")),
        parse_hosts(_text(config / "replicate" / "hosts")),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
