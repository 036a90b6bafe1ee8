"""``replicate models``: list, show and schema."""

from __future__ import annotations

from typing import Any, Mapping

import click

from replicate.cli.exits import USAGE, errors_as_lines, stop
from replicate.cli.inputs import resolve
from replicate.cli.printing import print_json, print_table, wants_json, without_data
from replicate.cli.session import Session, pass_session

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Write JSON.")


@click.group(short_help="Browse models.")
def models() -> None:
    """Browse models."""


@models.command("list", short_help="List models.")
@click.option("--all", "lists_all", is_flag=True, help="Follow every page, not only the first.")
@_AS_JSON
@pass_session
def list_models(session: Session, lists_all: bool, as_json: bool) -> None:
    """List models, the most recently published first."""
    with errors_as_lines():
        client = session.connect()
        pages = client.paginate(client.models.list) if lists_all else [client.models.list()]
        found = [model for page in pages for model in page]
    if wants_json(as_json):
        print_json(
            [
                without_data({**model.dict(), "latest_version": model.latest_version and model.latest_version.id})
                for model in found
            ]
        )
        return
    rows = [(model.id, str(model.run_count), " ".join((model.description or "").split())) for model in found]
    print_table(("model", "runs", "description"), rows)


@models.command("show", short_help="Describe one model.")
@click.argument("ref")
@_AS_JSON
@pass_session
def show_model(session: Session, ref: str, as_json: bool) -> None:
    """Describe the model REF (owner/name)."""
    with errors_as_lines():
        model = session.connect().models.get(read_reference(ref))
    if wants_json(as_json):
        print_json(without_data(model.dict()))
        return
    click.echo(model.id + (f"\n{model.description}" if model.description else ""))
    click.echo(f"runs: {model.run_count}\nversion: {model.latest_version.id if model.latest_version else 'none yet'}")
    if model.latest_version:
        click.echo()
        print_inputs(model.latest_version.input_schema, model.latest_version.openapi_schema)


@models.command("schema", short_help="Show a model's inputs and output.")
@click.argument("ref")
@_AS_JSON
@pass_session
def show_schema(session: Session, ref: str, as_json: bool) -> None:
    """Show the inputs and the output of the model or version REF (owner/name or owner/name:version)."""
    from replicate.cli.predictions import find_version

    with errors_as_lines():
        version = find_version(session.connect(), ref)
    if version is None:
        stop(f"{ref} has no version yet", USAGE)
    if wants_json(as_json):
        print_json({"Input": version.input_schema, "Output": version.output_schema})
        return
    print_inputs(version.input_schema, version.openapi_schema)
    click.echo(f"\noutput: {describe_type(version.output_schema)}")


def read_reference(ref: str) -> str:
    """Check that a text is ``owner/name``, with or without a version."""
    from replicate.identifier import ModelVersionIdentifier

    try:
        identifier = ModelVersionIdentifier.parse(ref)
    except ValueError:
        raise click.UsageError(f"{ref!r} is not owner/name or owner/name:version") from None
    return f"{identifier.owner}/{identifier.name}"


def print_inputs(schema: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    """Write the inputs of a schema as a table, in their author's order."""
    properties = schema.get("properties") or {}
    required = schema.get("required") or []
    rows = []
    for name, item in sorted(properties.items(), key=lambda pair: pair[1].get("x-order", 0)):
        default = "required" if name in required else str(item.get("default", ""))
        rows.append((name, describe_type(resolve(item, document)), default, str(item.get("description", ""))))
    print_table(("input", "type", "default", "description"), rows)


def describe_type(schema: Mapping[str, Any]) -> str:
    """Say a schema's type in a word or two."""
    kind = str(schema.get("type", "any"))
    if "enum" in schema:
        return " | ".join(str(choice) for choice in schema["enum"])
    if schema.get("format") == "uri":
        return "file"
    if kind == "array":
        pieces = "stream of " if schema.get("x-cog-array-type") == "iterator" else "list of "
        return pieces + describe_type(schema.get("items") or {})
    return kind
