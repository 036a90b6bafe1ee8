"""Finds the route of a path: a table compiled into a dictionary of fixed paths and a tree of segments. Pure.

A list of regular expressions, as Starlette keeps, costs more the longer the table is; this costs the same for every route.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from replicate_server.domain.rate_limits import RateClass

if TYPE_CHECKING:
    from replicate_server.api.calls import Call

Handler = Callable[["Call"], Awaitable[ASGIApp]]

# What a parameter may look like, by its name; others take any one segment.
_FORMS: Mapping[str, re.Pattern[str]] = {
    "prediction_id": re.compile(r"[a-z0-9]{1,64}"),
    # A capability made by domain.ids.build_secret_text. Upload ids have 48 characters, so the two never meet (reference §4.3.8).
    "stream_token": re.compile(r"[A-Za-z0-9_-]{43}"),
}

_RECORDS = ("/v1/account", "/v1/collections", "/v1/deployments", "/v1/files", "/v1/hardware", "/v1/models")

_EMBEDDED_URL = re.compile(r"/v1/https?:/{1,2}[^/]+(/.*)")


class KeyUse(Enum):
    """How a route honours an Idempotency-Key."""

    NONE = "none"
    """Not at all: repeating the request does no harm, or it cannot be told apart from another."""
    BODY = "body"
    """The body is read first, and is part of what the key stands for."""
    UPLOAD = "upload"
    """The body is too long to be held: it is digested while the route reads it."""


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table."""

    method: str
    path: str
    """``/v1/predictions/{prediction_id}``"""
    handler: Handler
    rate: RateClass = RateClass.OTHERS
    """Whose bucket it draws from."""
    shows_rate: bool = True
    """Whether answers tell what is left; those about files do not (reference http-api §0)."""
    key_use: KeyUse = KeyUse.NONE
    """What an Idempotency-Key does here."""


@dataclass(frozen=True)
class Target:
    """A route with what the table says about it."""

    route: Route
    is_public: bool
    """Whether it answers without a token."""

    @cached_property
    def shows_methods(self) -> bool:
        """Whether its answers have an ``Allow`` header: on the hosted service those of records have, predictions' have not."""
        path = self.route.path
        return not self.is_public and path.startswith(_RECORDS) and not path.endswith("/predictions")


@dataclass(slots=True)
class _Node:
    """The routes whose paths begin with the same segments."""

    fixed: dict[str, _Node] = field(default_factory=dict)
    parameters: dict[str, _Node] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """A path that is known, whatever the method."""

    targets: Mapping[str, Target]
    parameters: Mapping[str, str]

    def target(self, method: str) -> Target | None:
        """The route for a method; HEAD is answered where GET is."""
        return self.targets.get(method) or (self.targets.get("GET") if method == "HEAD" else None)

    @property
    def allowed(self) -> str:
        """The ``Allow`` header."""
        extra = ["HEAD"] if "GET" in self.targets else []
        return ", ".join([*self.targets, *extra, "OPTIONS"])


class Router:
    """The compiled table."""

    def __init__(self, *, protected: Sequence[Route], public: Sequence[Route]) -> None:
        self._root = _Node()
        for routes, is_public in ((protected, False), (public, True)):
            for route in routes:
                self._add(Target(route, is_public))
        self._fixed = {
            path: Match(node.targets, {})
            for path in {route.path for route in (*protected, *public)}
            if "{" not in path and (node := self._node(path)) is not None
        }

    def match(self, path: str) -> Match | None:
        """Find a path under any of the bases that clients use.

        ``/v1/v1/x`` and ``/x`` mean ``/v1/x`` where nothing else has that path, and ``/v1/http://host/v1/x`` means ``/v1/x``: the
        clients disagree whether their base URL ends in ``/v1`` (reference http-api §6 and §8).
        """
        found = self._fixed.get(path) or self._walk(path)
        if found is not None:
            return found
        embedded = _EMBEDDED_URL.fullmatch(path)
        if embedded is not None:
            path = embedded[1]
        if path.startswith("/v1/v1/"):
            return self._walk(path[3:])
        return self._walk(path if path.startswith("/v1/") else f"/v1{path}")

    def _add(self, target: Target) -> None:
        node = self._root
        for segment in _segments(target.route.path):
            if segment.startswith("{"):
                node = node.parameters.setdefault(segment[1:-1], _Node())
            else:
                node = node.fixed.setdefault(segment, _Node())
        node.targets[target.route.method] = target

    def _node(self, path: str) -> _Node | None:
        node: _Node | None = self._root
        for segment in _segments(path):
            node = node.fixed.get(segment) if node is not None else None
        return node

    def _walk(self, path: str) -> Match | None:
        return _search(self._root, _segments(path), 0, {})


def _segments(path: str) -> list[str]:
    return path[1:].split("/")


def _search(node: _Node, segments: list[str], index: int, parameters: dict[str, str]) -> Match | None:
    """Depth-first: fixed segments before parameters, parameters with a form before those without."""
    if index == len(segments):
        return Match(node.targets, parameters) if node.targets else None
    segment = segments[index]
    if (fixed := node.fixed.get(segment)) is not None:
        found = _search(fixed, segments, index + 1, parameters)
        if found is not None:
            return found
    for name in sorted(node.parameters, key=lambda name: name not in _FORMS) if len(node.parameters) > 1 else node.parameters:
        form = _FORMS.get(name)
        if segment and (form is None or form.fullmatch(segment) is not None):
            found = _search(node.parameters[name], segments, index + 1, {**parameters, name: segment})
            if found is not None:
                return found
    return None
