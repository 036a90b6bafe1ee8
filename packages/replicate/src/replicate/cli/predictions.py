"""``replicate run``, ``predict`` and ``stream``: one execution of a model from the command line."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

import click

from replicate.cli.browse import read_reference
from replicate.cli.exits import FAILED, INTERRUPTED, USAGE, errors_as_lines, stop
from replicate.cli.inputs import InputError, build_inputs, find_missing, parse_pairs, resolve
from replicate.cli.printing import (
    find_files,
    is_terminal,
    print_json,
    print_output,
    save_files,
    wants_json,
    without_data,
)
from replicate.cli.session import Session, pass_session

if TYPE_CHECKING:
    from replicate.client import Client
    from replicate.prediction import Prediction
    from replicate.version import Version

Command = Callable[..., None]

_INPUT = click.option("-i", "--input", "inputs", multiple=True, metavar="KEY=VALUE", help="One input; @PATH uploads a file.")
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Write the prediction as JSON (the default without a terminal).")
_OUTPUT_DIR = click.option(
    "-o", "--output-dir", type=click.Path(file_okay=False, path_type=Path), help="Save output files in this folder."
)


@click.command(short_help="Run a model and show its output.")
@click.argument("ref")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@_INPUT
@_OUTPUT_DIR
@_AS_JSON
@pass_session
def run(
    session: Session, ref: str, pairs: Tuple[str, ...], inputs: Tuple[str, ...], output_dir: Optional[Path], as_json: bool
) -> None:
    """Run the model REF (owner/name or owner/name:version) and show its output.

    Values are read by the model's own types. On a terminal, required inputs that are missing are asked for, and text appears as
    it is made.
    """
    execute(session, ref, [*pairs, *inputs], output_dir=output_dir, as_json=wants_json(as_json))


@click.command(short_help="Run a model with named inputs.")
@click.argument("ref", required=False)
@_INPUT
@_OUTPUT_DIR
@_AS_JSON
@pass_session
def predict(session: Session, ref: Optional[str], inputs: Tuple[str, ...], output_dir: Optional[Path], as_json: bool) -> None:
    """Run a model with named inputs.

    Without REF the model is the one that REPLICATE_MODEL names, else the image in the cog.yaml of this folder.
    """
    execute(session, ref or find_default_model(Path.cwd()), inputs, output_dir=output_dir, as_json=wants_json(as_json))


@click.command(short_help="Run a model and write its text as it is made.")
@click.argument("ref")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@_INPUT
@pass_session
def stream(session: Session, ref: str, pairs: Tuple[str, ...], inputs: Tuple[str, ...]) -> None:
    """Run the model REF and write its output as it is made, also into a pipe."""
    with errors_as_lines():
        client = session.connect()
        given, _ = read_inputs(client, ref, [*pairs, *inputs])
        follow_text(create(client, ref, given))


def find_default_model(folder: Path) -> str:
    """The model that the environment or the folder's cog.yaml names."""
    named = os.environ.get("REPLICATE_MODEL")
    config = folder / "cog.yaml"
    if not named and config.is_file():
        image = re.search(
            r"^image:\s*['\"]?(?:[^/'\"\s]+/)?([^/'\"\s]+/[^/'\"\s:]+)", config.read_text(encoding="utf-8"), re.MULTILINE
        )
        named = image and image[1]
    if not named:
        raise click.UsageError("name a model: replicate predict owner/name -i key=value, or set REPLICATE_MODEL")
    return named


def execute(session: Session, ref: str, texts: Any, *, output_dir: Optional[Path], as_json: bool) -> None:
    """Create a prediction, follow it to its end and write what it gave; leaves with 1 when it failed."""
    with errors_as_lines():
        client = session.connect()
        given, version = read_inputs(client, ref, list(texts))
        prediction = create(client, ref, given)
        if not as_json and version is not None and version.has_text_stream and prediction.urls.get("stream"):
            follow_text(prediction)
            return
        follow(prediction, quiet=as_json)
        output = client.wrapping(version is None or version.may_output_files)(prediction.output)
        files = find_files(output)
        saved = save_files(files, output_dir) if output_dir is not None else []
    if as_json:
        print_json(without_data(prediction.dict()))
    if prediction.status != "succeeded":
        if not as_json and prediction.logs:
            click.echo(prediction.logs.rstrip("\n"), err=True)
        stop(f"prediction {prediction.id} {prediction.status}" + (f": {prediction.error}" if prediction.error else ""), FAILED)
    for path in saved:
        click.echo(str(path), err=as_json)
    if not as_json and not saved:
        print_output(output)


def find_version(client: Client, ref: str) -> Optional[Version]:
    """The version that a reference means; None for a model that has none or does not show it."""
    from replicate.identifier import ModelVersionIdentifier

    identifier = ModelVersionIdentifier.parse(f"{read_reference(ref)}{ref[len(read_reference(ref)) :]}")
    model = client.models.get(read_reference(ref))
    return model.versions.get(identifier.version) if identifier.version else model.latest_version


def read_inputs(client: Client, ref: str, texts: List[str]) -> Tuple[Dict[str, Any], Optional[Version]]:
    """Read the inputs by the version's schema, asking for what is missing when a person is there."""
    version = find_version(client, ref)
    schema, document = (version.input_schema, version.openapi_schema) if version else ({}, {})
    try:
        given = build_inputs(parse_pairs(texts), schema, document)
        missing = find_missing(given, schema)
        if missing and not is_terminal(sys.stdin):
            raise InputError(f"missing input: {', '.join(missing)}; `replicate models schema {ref}` shows them all")
        asked = [(name, ask(name, schema, document)) for name in missing]
        return {**given, **build_inputs(asked, schema, document)}, version
    except InputError as error:
        stop(str(error), USAGE)
    except click.Abort:
        click.echo(err=True)
        stop("nothing was run", INTERRUPTED)


def ask(name: str, schema: Any, document: Any) -> str:
    """Ask a person for one input."""
    item = schema["properties"][name]
    description = item.get("description")
    choices = resolve(item, document).get("enum")
    hint = f" [{', '.join(str(choice) for choice in choices)}]" if choices else ""
    return str(click.prompt(f"{name}{hint}" + (f" ({description})" if description else ""), type=str, err=True))


def create(client: Client, ref: str, given: Dict[str, Any]) -> Prediction:
    """Create the prediction, without waiting: an interrupt must be able to cancel it."""
    owner_and_name, _, version = ref.partition(":")
    if version:
        return client.predictions.create(version=version, input=given)
    return client.predictions.create(model=owner_and_name, input=given)


def follow(prediction: Prediction, *, quiet: bool) -> None:
    """Wait for the end of a prediction, saying so on a terminal; an interrupt cancels it."""
    try:
        if quiet or not is_terminal(sys.stderr):
            prediction.wait()
            return
        from rich.console import Console

        with Console(stderr=True).status(f"prediction {prediction.id}"):
            prediction.wait()
    except KeyboardInterrupt:
        prediction.cancel()
        stop(f"prediction {prediction.id} canceled", INTERRUPTED)


def follow_text(prediction: Prediction) -> None:
    """Write a prediction's output as it is made; an interrupt cancels it."""
    try:
        for event in prediction.stream(use_file_output=False):
            if event.event == "output":
                click.echo(event.data, nl=False)
            elif event.event == "done" and '"canceled"' in event.data:
                click.echo()
                stop(f"prediction {prediction.id} canceled", FAILED)
        click.echo()
    except KeyboardInterrupt:
        prediction.cancel()
        stop(f"prediction {prediction.id} canceled", INTERRUPTED)
