"""What callers may name as the thing to run, read into a `Target`. Pure."""

from __future__ import annotations

from typing import Tuple, Union

from replicate.core.flows import Target
from replicate.identifier import ModelVersionIdentifier
from replicate.model import Model
from replicate.version import Version

Reference = Union[str, Model, Version, ModelVersionIdentifier]


def parse_run_target(ref: Reference) -> Target:
    """Read the reference of a ``run``: ``owner/name``, ``owner/name:version``, or a record.

    Raises:
        ValueError: If the text is no reference; a bare version id is none, since it does not say whose it is.
    """
    if isinstance(ref, Version):
        return Target(version=ref.id, known=ref)
    if isinstance(ref, Model):
        return Target(model=(ref.owner, ref.name))
    identifier = ref if isinstance(ref, ModelVersionIdentifier) else ModelVersionIdentifier.parse(ref)
    owner_and_name = (identifier.owner, identifier.name)
    if identifier.version:
        return Target(version=identifier.version, source=owner_and_name)
    return Target(model=owner_and_name)


def parse_create_target(
    version: Union[Version, str, None],
    model: Union[Model, Tuple[str, str], str, None],
    deployment: Union[str, Tuple[str, str], None],
) -> Target:
    """Read the target of a ``predictions.create``: exactly one of the three.

    Raises:
        ValueError: If none or several are given.
    """
    if sum(choice is not None for choice in (version, model, deployment)) != 1:
        raise ValueError("Exactly one of 'version', 'model' or 'deployment' must be specified.")
    if version is not None:
        return Target(version=version.id if isinstance(version, Version) else version)
    if model is not None:
        return Target(model=(model.owner, model.name) if isinstance(model, Model) else parse_names(model))
    return Target(deployment=parse_names(deployment))


def parse_names(name: Union[str, Tuple[str, str], None]) -> Tuple[str, str]:
    """Read ``owner/name``."""
    if isinstance(name, tuple):
        return name[0], name[1]
    identifier = ModelVersionIdentifier.parse(name or "")
    return identifier.owner, identifier.name
