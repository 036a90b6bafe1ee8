"""The protocol's reference page is what its module says. Run this file to rewrite the page's tables."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

from cog.worker import protocol

PAGE = Path(__file__).resolve().parents[4] / "docs" / "reference" / "instance-protocol.md"
MARKS = ("<!-- messages: begin -->", "<!-- messages: end -->")

DIRECTIONS = {
    "Server to worker": (protocol.Setup, protocol.Describe, protocol.Predict, protocol.Cancel, protocol.Ping, protocol.Shutdown),
    "Worker to server": (
        protocol.Ready, protocol.SetupFailed, protocol.Described, protocol.Log, protocol.Output, protocol.Metric, protocol.Done,
        protocol.Pong,
    ),
    "Inside `output` and `done`": (protocol.OutputFile,),
}  # fmt: skip


def plain(text: str) -> str:
    """A docstring as Markdown in a table cell."""
    return re.sub(r"``(.+?)``", r"`\1`", " ".join(text.split())).replace("|", "\\|")


def field_texts(message: type[Any]) -> dict[str, str]:
    """The string written below each field of a message class."""
    body = ast.parse(inspect.getsource(message)).body[0]
    assert isinstance(body, ast.ClassDef)
    texts: dict[str, str] = {}
    name = ""
    for statement in body.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and name:
            texts[name] = plain(str(statement.value.value))
    return texts


def default_text(item: dataclasses.Field[Any]) -> str:
    """A field's default as JSON, or that it is required."""
    if item.default is not dataclasses.MISSING:
        return f"`{'null' if item.default is None else repr(item.default).replace(chr(39), chr(34)).lower()}`"
    if item.default_factory is not dataclasses.MISSING:
        return f"`{item.default_factory()!r}`"
    return "required"


def render() -> str:
    """Every message, its meaning and its fields."""
    lines: list[str] = []
    for direction, messages in DIRECTIONS.items():
        lines += [f"## {direction}", ""]
        for message in messages:
            lines += [f"### `{getattr(message, 'type', 'files[]')}`", "", plain(inspect.getdoc(message) or ""), ""]
            texts = field_texts(message)
            rows = [
                f"| `{item.name}` | `{item.type}` | {default_text(item)} | {texts.get(item.name, '')} |"
                for item in dataclasses.fields(message)
            ]
            lines += ["| field | type | default | meaning |", "|---|---|---|---|", *rows, ""] if rows else []
    return "\n".join(lines)


def test_the_reference_page_is_current() -> None:
    begin, end = (PAGE.read_text().index(mark) for mark in MARKS)
    assert PAGE.read_text()[begin + len(MARKS[0]) : end].strip() == render().strip()


def test_every_message_has_a_direction() -> None:
    listed = {message for messages in DIRECTIONS.values() for message in messages if message is not protocol.OutputFile}
    assert listed == set(protocol.MESSAGE_TYPES.values())


if __name__ == "__main__":
    text = PAGE.read_text()
    start, stop = (text.index(mark) for mark in MARKS)
    PAGE.write_text(text[: start + len(MARKS[0])] + "\n\n" + render().strip() + "\n\n" + text[stop:])
