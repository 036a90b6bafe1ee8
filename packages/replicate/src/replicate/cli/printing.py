"""What the command writes: JSON for programs, text and tables for people, files into a folder."""

from __future__ import annotations

import json
import mimetypes
import re
import sys
from pathlib import Path
from typing import Any, Dict, List, Sequence
from urllib.parse import unquote, urlsplit

import click

NUMBERS_SHOWN = 6
NUMBERS_SHOWN_MAX = 16

TYPE_CHECKING = False
if TYPE_CHECKING:
    from replicate.helpers import FileOutput


def is_terminal(stream: Any) -> bool:
    """Whether a person sits at a stream."""
    return bool(stream.isatty())


def wants_json(option: bool) -> bool:
    """Whether to write JSON: when asked to, and when standard output is not a terminal."""
    return option or not is_terminal(sys.stdout)


def print_json(value: Any) -> None:
    """Write a value as indented JSON; times as the API writes them."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_as_json))


def _as_json(value: Any) -> str:
    from datetime import datetime

    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table that fits the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*titles, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    Console().print(table, markup=False)


def print_output(output: Any) -> None:
    """Write an output for people: text as it is, pieces of text joined, file addresses line by line, anything else as JSON."""
    from replicate.helpers import FileOutput

    items: List[Any] = output if isinstance(output, list) else [output]
    if items and all(isinstance(item, FileOutput) for item in items):
        for item in items:
            click.echo(str(item))
    elif output is not None and all(isinstance(item, str) for item in items):
        click.echo("".join(items))
    elif output is not None:
        print_json(shorten(output))


def shorten(output: Any) -> Any:
    """Replace long lists of numbers, which nobody reads on a terminal, by their beginning and their length."""
    if isinstance(output, dict):
        return {name: shorten(value) for name, value in output.items()}
    if not isinstance(output, list):
        return output
    if len(output) > NUMBERS_SHOWN_MAX and all(isinstance(item, (int, float)) for item in output):
        shown = ", ".join(f"{item:.4g}" for item in output[:NUMBERS_SHOWN])
        return f"{shown}, … {len(output)} numbers; --json shows all"
    return [shorten(item) for item in output]


def find_files(output: Any) -> List[FileOutput]:
    """The files in an output, in order."""
    from replicate.helpers import FileOutput

    if isinstance(output, FileOutput):
        return [output]
    inside = list(output.values()) if isinstance(output, dict) else output if isinstance(output, list) else []
    return [file for item in inside for file in find_files(item)]


def save_files(files: Sequence[FileOutput], folder: Path) -> List[Path]:
    """Download files into a folder, which is made when missing; nothing that is already there is overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    saved = []
    for file in files:
        path = choose_path(folder, build_file_name(str(file)))
        with path.open("xb") as target:
            for chunk in file:
                target.write(chunk)
        saved.append(path)
    return saved


def build_file_name(url: str) -> str:
    """Name a file after the last part of its address, kept to harmless characters; never a path or a hidden file."""
    if url.startswith("data:"):
        content_type = url[len("data:") :].partition(",")[0].partition(";")[0]
        return "output" + (mimetypes.guess_extension(content_type) or "")
    last = unquote(urlsplit(url).path).rpartition("/")[2]
    return re.sub(r"[^\w.\-]+", "_", last).lstrip(".")[:120] or "output"


def choose_path(folder: Path, name: str) -> Path:
    """Return a path in the folder that is not taken: ``name``, then ``name-1`` and so on before the extension."""
    path, count = folder / name, 0
    while path.exists():
        count += 1
        stem, dot, extension = name.partition(".")
        path = folder / f"{stem}-{count}{dot}{extension}"
    return path


def without_data(record: Dict[str, Any]) -> Dict[str, Any]:
    """Leave out what is None, so that JSON for programs is what the API said."""
    return {name: value for name, value in record.items() if value is not None}
