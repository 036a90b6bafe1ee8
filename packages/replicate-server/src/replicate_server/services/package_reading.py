"""Reading an unpacked model folder: its cog.yaml and requirements become a package to be built.

Owns what of cog.yaml the platform acts on, and what it tells the author it does not. Reads files of the folder, runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cog.errors import CogError
from cog.packaging.config import CogConfig, load_config

from replicate_server.domain.errors import BrokenPackage
from replicate_server.domain.records import Package

REQUIREMENTS_BYTES_MAX = 1024 * 1024
CONFIG_BYTES_MAX = 128 * 1024
"""Of cog.yaml. Reading YAML takes a second a megabyte, during which everything else waits."""
# Options that point out of the text that is resolved: the resolver sees the requirements, not the folder.
# `name @ /path`, `name @ ./path`, and file: URLs in any case, which the resolver would read from the server's own disk.
_LOCAL_REQUIREMENT = re.compile(r"@\s*[./~]|file:", re.IGNORECASE)
UNSUPPORTED_OPTIONS = ("-r", "--requirement", "-c", "--constraint", "-e", "--editable", "-f", "--find-links")


@dataclass(frozen=True, slots=True)
class PackagePlan:
    """What a folder asks for."""

    package: Package
    """Without its layers and lock."""
    requirements: str
    """Text of a requirements file; "" when the model needs nothing."""
    cog_config: Mapping[str, Any]
    """The completed cog.yaml, as the image label carries it."""
    warnings: tuple[str, ...]


def read_package(folder: Path, *, default_python: str) -> PackagePlan:
    """Read a model's folder.

    Args:
        folder: Holds the model's files.
        default_python: ``3.11``; taken when cog.yaml names no version.

    Raises:
        BrokenPackage: With the file, the line and what to do.
    """
    path = folder / "cog.yaml"
    if path.is_file() and path.stat().st_size > CONFIG_BYTES_MAX:
        raise BrokenPackage(f"cog.yaml is larger than {CONFIG_BYTES_MAX} bytes.")
    try:
        config = load_config(path)
    except CogError as error:
        raise BrokenPackage(str(error)) from error
    if config.runner is None:
        raise BrokenPackage("cog.yaml: name the code to run, such as `run: predict.py:Predictor`.")
    for reference in (config.runner, config.train):
        if reference is not None and not (folder / reference.partition(":")[0]).is_file():
            raise BrokenPackage(f"cog.yaml: {reference} names a file that is not in the folder.")
    python_version = config.build.python_version or default_python
    package = Package(
        runner=config.runner,
        layers=(),
        # The environment is made for a minor version; a patch version in cog.yaml is taken as its minor one.
        python_version=".".join(python_version.split(".")[:2]),
        requirements_lock="",
        environment=dict(config.environment),
        concurrency_max=config.concurrency_max,
        is_gpu=config.build.gpu,
        train=config.train,
        system_packages=config.build.system_packages,
    )
    return PackagePlan(package, _read_requirements(folder, config), _complete_config(config, python_version), _warnings(config))


def _read_requirements(folder: Path, config: CogConfig) -> str:
    """The requirements as one text."""
    name = config.build.python_requirements
    if name is None:
        return "".join(f"{requirement}\n" for requirement in config.build.python_packages)
    path = folder / name
    if not path.is_file():
        raise BrokenPackage(f"cog.yaml: build.python_requirements: {name} is not in the folder.")
    if path.stat().st_size > REQUIREMENTS_BYTES_MAX:
        raise BrokenPackage(f"{name} is larger than {REQUIREMENTS_BYTES_MAX} bytes.")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BrokenPackage(f"{name} is not UTF-8 text.") from error
    for number, line in enumerate(text.splitlines(), 1):
        words = line.replace("=", " ").split()
        if words and words[0].startswith(UNSUPPORTED_OPTIONS) and not words[0].startswith("--extra"):
            raise BrokenPackage(f"{name}:{number}: {words[0]} is not supported; write the requirements into this file.")
        if words and (words[0].startswith((".", "/")) or _LOCAL_REQUIREMENT.search(line)):
            raise BrokenPackage(f"{name}:{number}: a local path is not supported; import the code from the folder.")
    return text


def _complete_config(config: CogConfig, python_version: str) -> Mapping[str, Any]:
    """cog.yaml with its defaults filled in; the runner stands under ``predict``, where readers of the label look for it."""
    build = {name: value for name, value in asdict(config.build).items() if value not in (None, (), False)}
    completed: dict[str, Any] = {"build": {**build, "python_version": python_version}, "predict": config.runner}
    if config.train is not None:
        completed["train"] = config.train
    if config.environment:
        completed["environment"] = [f"{name}={value}" for name, value in config.environment.items()]
    if config.concurrency_max > 1:
        completed["concurrency"] = {"max": config.concurrency_max}
    return completed


def _warnings(config: CogConfig) -> tuple[str, ...]:
    """What the platform will not do for this folder."""
    warnings = list(config.warnings)
    if config.build.system_packages:
        names = ", ".join(config.build.system_packages)
        warnings.append(f"system packages are not installed here, the machine must have them: {names}")
    if config.build.run:
        commands = "; ".join(command.command for command in config.build.run)
        warnings.append(f"build commands are not run here: {commands}")
    return tuple(warnings)
