"""Reading a URL that a user gave: what its text alone tells, and the name of the file it points to.

Owns the textual rules (schemes, credentials, strange characters). Pure; addresses are judged by ``addresses``.
"""

from __future__ import annotations

import re
from email.message import Message
from pathlib import PurePosixPath
from urllib.parse import unquote

import httpx

from replicate_server.fetching.addresses import address_refusal, parse_literal
from replicate_server.ports.fetching import FetchRefused

SCHEMES = ("http", "https")
URL_CHARACTERS_MAX = 8192
FILE_NAME_CHARACTERS_MAX = 120

_LOOPBACK_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
# Names that only resolve inside one site or one cloud: refused by name, whatever they resolve to.
_INTERNAL_SUFFIXES = (".localhost", ".local", ".internal", ".intranet", ".home.arpa", ".localdomain")


def parse_target(url: str, *, allows_private: bool) -> httpx.URL:
    """Check a URL by its text and return the parsed form that is used to connect: one parser, so no two readings of one text.

    Raises:
        FetchRefused: With the rule that it breaks. The URL itself is not repeated: its query may hold secrets.
    """
    if len(url) > URL_CHARACTERS_MAX:
        raise FetchRefused(f"the URL is longer than {URL_CHARACTERS_MAX} characters")
    if any(character <= " " or character in "\\\x7f" for character in url):
        raise FetchRefused("the URL contains a space, a control character or a backslash")
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise FetchRefused("the URL cannot be read") from error
    if target.scheme not in SCHEMES:
        raise FetchRefused(f"only http and https URLs are fetched, not {target.scheme[:20] or 'one without a scheme'!r}")
    if target.userinfo:
        raise FetchRefused("a URL with a user name or password in it is not contacted")
    # raw_host is what will be connected to; `host` is a decoded form for people.
    host = target.raw_host.decode("ascii")
    if not host or target.port == 0:
        raise FetchRefused("the URL names no host")
    refusal = host_refusal(host, allows_private=allows_private)
    if refusal is not None:
        raise FetchRefused(f"the host may not be contacted: {refusal}")
    return target


def host_refusal(host: str, *, allows_private: bool) -> str | None:
    """Say why a host may not be contacted, by its text alone; None when only resolving it can tell."""
    literal = parse_literal(host)
    if literal is not None:
        return address_refusal(literal, allows_private=allows_private)
    name = host.rstrip(".").lower()
    if "%" in name or ":" in name:
        return "not a host name"
    if not allows_private and (name in _LOOPBACK_NAMES or name.endswith(_INTERNAL_SUFFIXES)):
        return "internal name"
    return None


def build_file_name(target: httpx.URL, content_disposition: str | None) -> str:
    """A file name that is safe to create in a folder: from Content-Disposition, else the URL's last segment, else ``file``."""
    name = _disposition_name(content_disposition) or unquote(target.path.rstrip("/").rsplit("/", 1)[-1])
    name = PurePosixPath(name.replace("\\", "/")).name
    name = re.sub(r"[^\w.+@=, -]", "_", name).strip(" .")
    if len(name) > FILE_NAME_CHARACTERS_MAX:
        suffix = PurePosixPath(name).suffix[:16]
        name = name[: FILE_NAME_CHARACTERS_MAX - len(suffix)] + suffix
    return name or "file"


def _disposition_name(header: str | None) -> str | None:
    """Read ``filename`` or ``filename*`` of a Content-Disposition header."""
    if not header:
        return None
    message = Message()
    message["Content-Disposition"] = header[:1000]
    return message.get_filename()
