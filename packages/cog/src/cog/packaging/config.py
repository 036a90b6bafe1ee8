"""cog.yaml: the one place that knows its keys and their rules. Reads the file; builds and installs nothing."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Tuple, TypeVar, Union

from cog.errors import ConfigDoesNotExist
from cog.packaging.yaml_nodes import ConfigError, YamlNode, parse_document

__all__ = ["BuildConfig", "CogConfig", "ConfigError", "RunCommand", "SecretMount", "load_config", "parse_config"]

Value = TypeVar("Value")

CONFIG_NAME = "cog.yaml"

PYTHON_VERSION_MIN = (3, 9)
"""The oldest Python the worker runs on."""

CUDA_MAJOR_MIN = 11

ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ENVIRONMENT_NAMES_REFUSED = frozenset(
    {
        "PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "PYTHONUNBUFFERED", "LIBRARY_PATH", "HF_ENDPOINT",
        "HF_HUB_ENABLE_HF_TRANSFER",
    }
)  # fmt: skip
ENVIRONMENT_PREFIXES_REFUSED = ("R8_", "REPLICATE_", "CUDA_", "NVIDIA_", "NV_", "PGET_", "KUBERNETES_")

RETIRED_KEYS = frozenset({"tests", "build.fast", "build.cog_runtime", "build.python_overrides", "concurrency.default_target"})
"""Keys of older Cog releases that changed how images were built; accepted without effect, so that old models stay publishable."""

ROOT_KEYS = ("build", "image", "model", "run", "predict", "train", "concurrency", "environment", "tests")
BUILD_KEYS = (
    "python_version", "gpu", "cuda", "cudnn", "python_requirements", "python_packages", "system_packages", "run", "pre_install",
    "sdk_version", "fast", "cog_runtime", "python_overrides",
)  # fmt: skip
CONCURRENCY_KEYS = ("max", "default_target")


@dataclass(frozen=True)
class SecretMount:
    """A secret a build command may read: the file ``target`` holds the secret named ``id``."""

    id: str
    target: str


@dataclass(frozen=True)
class RunCommand:
    """One shell command of the build."""

    command: str
    mounts: Tuple[SecretMount, ...] = ()


@dataclass(frozen=True)
class BuildConfig:
    """What the model's environment is made of."""

    python_version: Optional[str] = None
    """``M.m`` or ``M.m.p``; None means the host's own."""
    gpu: bool = False
    cuda: Optional[str] = None
    cudnn: Optional[str] = None
    python_requirements: Optional[str] = None
    """A requirements file, relative to the model's folder."""
    python_packages: Tuple[str, ...] = ()
    system_packages: Tuple[str, ...] = ()
    run: Tuple[RunCommand, ...] = ()
    """Shell commands in order; those of the older ``pre_install`` come last."""
    sdk_version: Optional[str] = None


@dataclass(frozen=True)
class CogConfig:
    """A whole cog.yaml, checked."""

    build: BuildConfig = field(default_factory=BuildConfig)
    image: Optional[str] = None
    model: Optional[str] = None
    runner: Optional[str] = None
    """``file.py:Class`` or ``file.py:function``, from ``run`` or the older ``predict``."""
    train: Optional[str] = None
    concurrency_max: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    warnings: Tuple[str, ...] = ()
    """Remarks for the author, each a sentence with its place."""


def load_config(path: Union[str, os.PathLike[str]]) -> CogConfig:
    """Read a cog.yaml, or the one in a folder.

    Raises:
        ConfigDoesNotExist: If there is no such file.
        ConfigError: Naming file, line and key of the first fault.
    """
    file = os.path.join(path, CONFIG_NAME) if os.path.isdir(path) else os.fspath(path)
    try:
        with open(file, encoding="utf-8") as source:
            text = source.read()
    except FileNotFoundError as error:
        raise ConfigDoesNotExist(f"there is no {os.path.basename(file)} in {os.path.dirname(os.path.abspath(file))}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(file=os.path.basename(file), line=None, key="", message="is not UTF-8 text") from error
    return parse_config(text, os.path.basename(file))


def parse_config(text: str, name: str = CONFIG_NAME) -> CogConfig:
    """Read the text of a cog.yaml.

    Args:
        text: The whole file; empty is valid and means the defaults.
        name: For messages.

    Raises:
        ConfigError: Naming file, line and key of the first fault.
    """
    keys = parse_document(text, name).as_mapping(ROOT_KEYS)
    build_keys = _section(keys, "build", BUILD_KEYS)
    concurrency = _section(keys, "concurrency", CONCURRENCY_KEYS)
    if "image" in keys and "model" in keys:
        raise keys["model"].fail("cannot stand beside `image`; keep one")
    if "run" in keys and "predict" in keys:
        raise keys["predict"].fail("is the older spelling of `run`; keep one")
    return CogConfig(
        build=_read_build(build_keys),
        image=_optional(keys, "image", YamlNode.as_text),
        model=_optional(keys, "model", YamlNode.as_text),
        runner=_optional(keys, "run", _reference) or _optional(keys, "predict", _reference),
        train=_optional(keys, "train", _reference),
        concurrency_max=_optional(concurrency, "max", lambda node: node.as_whole_number(minimum=1)) or 1,
        environment=_read_environment(keys["environment"]) if "environment" in keys else {},
        warnings=tuple(_retired_warnings((keys, build_keys, concurrency))),
    )


def _section(keys: Mapping[str, YamlNode], name: str, known: Iterable[str]) -> Mapping[str, YamlNode]:
    return keys[name].as_mapping(known) if name in keys else {}


def _optional(keys: Mapping[str, YamlNode], name: str, read: Callable[[YamlNode], Value]) -> Optional[Value]:
    """A key's value; None when it is missing or null."""
    return read(keys[name]) if name in keys and not keys[name].is_null else None


def _retired_warnings(sections: Iterable[Mapping[str, YamlNode]]) -> Iterable[str]:
    for section in sections:
        for node in section.values():
            if node.key in RETIRED_KEYS:
                yield str(node.fail("has no effect any more; remove it"))


def _read_build(keys: Mapping[str, YamlNode]) -> BuildConfig:
    if "python_requirements" in keys and "python_packages" in keys and not keys["python_packages"].is_null:
        raise keys["python_packages"].fail("cannot stand beside `python_requirements`; move the packages into that file")
    texts = {name: keys[name].as_list(YamlNode.as_text) for name in ("python_packages", "system_packages") if name in keys}
    commands: List[RunCommand] = []
    for name in ("run", "pre_install"):
        if name in keys:
            commands += keys[name].as_list(_run_command)
    return BuildConfig(
        python_version=_optional(keys, "python_version", _python_version),
        gpu=bool(_optional(keys, "gpu", YamlNode.as_flag)),
        cuda=_optional(keys, "cuda", _cuda_version),
        cudnn=_optional(keys, "cudnn", YamlNode.as_written),
        python_requirements=_optional(keys, "python_requirements", _relative_path),
        python_packages=texts.get("python_packages", ()),
        system_packages=texts.get("system_packages", ()),
        run=tuple(commands),
        sdk_version=_optional(keys, "sdk_version", YamlNode.as_written),
    )


def _python_version(node: YamlNode) -> str:
    text = node.as_written()
    match = re.fullmatch(r"(\d+)\.(\d+)(\.\d+)?", text)
    if match is None:
        raise node.fail(f"must look like 3.12 or 3.12.4, not {text}")
    if (int(match[1]), int(match[2])) < PYTHON_VERSION_MIN:
        raise node.fail(f"{text} is too old; at least {PYTHON_VERSION_MIN[0]}.{PYTHON_VERSION_MIN[1]} is needed")
    return text


def _cuda_version(node: YamlNode) -> str:
    text = node.as_written()
    match = re.fullmatch(r"(\d+)\.\d+(\.\d+)*", text)
    if match is None or int(match[1]) < CUDA_MAJOR_MIN:
        raise node.fail(f"must be a version such as 12.4, at least {CUDA_MAJOR_MIN}.0, not {text}")
    return text


def _relative_path(node: YamlNode) -> str:
    text = node.as_text()
    if os.path.isabs(text) or ".." in text.split("/"):
        raise node.fail(f"must be a path inside the model's folder, not {text}")
    return text


def _reference(node: YamlNode) -> str:
    text = node.as_text()
    file, separator, name = text.partition(".py:")
    if not separator or not file or not name.isidentifier():
        raise node.fail(f"must name a file and a class or function in it, such as predict.py:Predictor, not {text}")
    if os.path.isabs(file) or ".." in file.split("/"):
        raise node.fail(f"must name a file inside the model's folder, not {text}")
    return text


def _run_command(node: YamlNode) -> RunCommand:
    """A command as plain text, or as a mapping with secret mounts."""
    keys = node.as_mapping(("command", "mounts")) if node.is_mapping else {"command": node}
    if "command" not in keys:
        raise node.fail("needs a `command`")
    command = keys["command"].as_text()
    if "\n" in command.strip():
        raise keys["command"].fail("must be one line; write several commands, or join them with &&")
    mounts = keys["mounts"].as_list(_secret_mount) if "mounts" in keys else ()
    return RunCommand(command.strip(), mounts)


def _secret_mount(node: YamlNode) -> SecretMount:
    keys = node.as_mapping(("type", "id", "target"))
    for name in ("type", "id", "target"):
        if name not in keys:
            raise node.fail(f"a mount needs `{name}`")
    if keys["type"].as_text() != "secret":
        raise keys["type"].fail("must be `secret`; no other kind of mount exists")
    return SecretMount(keys["id"].as_text(), keys["target"].as_text())


def _read_environment(node: YamlNode) -> Dict[str, str]:
    environment: Dict[str, str] = {}
    for item in node.as_list(lambda item: item):
        name, separator, value = item.as_text().partition("=")
        if not separator or not ENVIRONMENT_NAME.fullmatch(name):
            raise item.fail("must look like NAME=value")
        if name in ENVIRONMENT_NAMES_REFUSED or name.startswith(ENVIRONMENT_PREFIXES_REFUSED):
            raise item.fail(f"{name} is set by the platform and cannot be set here")
        if name in environment:
            raise item.fail(f"{name} is set twice; keep one")
        environment[name] = value
    return environment
