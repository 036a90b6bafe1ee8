"""cog.yaml: what is read, and how every fault is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from cog.errors import ConfigDoesNotExist
from cog.packaging.config import BuildConfig, CogConfig, ConfigError, RunCommand, SecretMount, load_config, parse_config

FULL = """
build:
  python_version: 3.10
  gpu: true
  cuda: 12.4
  cudnn: "9"
  python_requirements: requirements.txt
  system_packages: [ffmpeg, espeak-ng]
  run:
    - echo one
    - command: echo two
      mounts:
        - {type: secret, id: token, target: /etc/token}
  pre_install: [echo last]
image: registry.example/me/model:v1
predict: predict.py:Predictor
train: train.py:train
concurrency: {max: 4}
environment:
  - MODE=fast=yes
  - EMPTY=
"""


def test_every_key_is_read() -> None:
    config = parse_config(FULL)
    assert config.build == BuildConfig(
        python_version="3.10",
        gpu=True,
        cuda="12.4",
        cudnn="9",
        python_requirements="requirements.txt",
        system_packages=("ffmpeg", "espeak-ng"),
        run=(RunCommand("echo one"), RunCommand("echo two", (SecretMount("token", "/etc/token"),)), RunCommand("echo last")),
    )
    assert (config.image, config.runner, config.train, config.concurrency_max) == (
        "registry.example/me/model:v1", "predict.py:Predictor", "train.py:train", 4,
    )  # fmt: skip
    assert config.environment == {"MODE": "fast=yes", "EMPTY": ""}


@pytest.mark.parametrize("text", ["", "build:\n", "build: {}\n", "# only a comment\n", "environment:\n"])
def test_everything_has_a_default(text: str) -> None:
    assert parse_config(text) == CogConfig()
    assert CogConfig().build.python_version is None


@pytest.mark.parametrize(("written", "kept"), [("3.10", "3.10"), ("'3.9'", "3.9"), ("3.12.4", "3.12.4")])
def test_a_python_version_keeps_its_text(written: str, kept: str) -> None:
    assert parse_config(f"build:\n  python_version: {written}\n").build.python_version == kept


def test_run_is_the_present_spelling_of_predict() -> None:
    assert parse_config("run: src/run.py:Runner").runner == "src/run.py:Runner"


FAULTS = [
    ("bulid: {}", 1, "bulid", "unknown key; did you mean `build`?"),
    ("build:\n  gpu: false\n  python: 3.12", 3, "build.python", "unknown key"),
    ("build:\n  gpu: 1", 2, "build.gpu", "must be true or false, not a whole number"),
    ("build:\n  gpu: yes please", 2, "build.gpu", "must be true or false, not text"),
    ("build: text", 1, "build", "must be a mapping of keys to values, not text"),
    ("build:\n  python_version: three", 2, "build.python_version", "must look like 3.12 or 3.12.4, not three"),
    ("build:\n  python_version: 3.8", 2, "build.python_version", "3.8 is too old; at least 3.9 is needed"),
    ("build:\n  python_version: [3.9]", 2, "build.python_version", "must be text or a number, not a list"),
    ("build:\n  cuda: '10.2'", 2, "build.cuda", "at least 11.0, not 10.2"),
    ("build:\n  python_requirements: /etc/passwd", 2, "build.python_requirements", "must be a path inside the model's folder"),
    ("build:\n  python_requirements: r.txt\n  python_packages: [a]", 3, "build.python_packages", "cannot stand beside"),
    ("build:\n  system_packages:\n    - ffmpeg\n    - 3", 4, "build.system_packages[1]", "must be text, not a whole number"),
    ("build:\n  run: echo", 2, "build.run", "must be a list, not text"),
    ("build:\n  run:\n    - |\n      a\n      b", 3, "build.run[0]", "must be one line"),
    ("build:\n  run:\n    - command: a\n      mounts: [{id: x}]", 4, "build.run[0].mounts[0]", "a mount needs `type`"),
    ("build:\n  run:\n    - mounts: []", 3, "build.run[0]", "needs a `command`"),
    ("predict: predict.py", 1, "predict", "such as predict.py:Predictor, not predict.py"),
    ("run: ../run.py:R", 1, "run", "must name a file inside the model's folder"),
    ("run: a.py:A\npredict: b.py:B", 2, "predict", "is the older spelling of `run`"),
    ("image: a\nmodel: b", 2, "model", "cannot stand beside `image`"),
    ("concurrency:\n  max: 0", 2, "concurrency.max", "must be at least 1, not 0"),
    ("concurrency:\n  max: many", 2, "concurrency.max", "must be a whole number, not text"),
    ("environment:\n  - A=1\n  - A=2", 3, "environment[1]", "A is set twice"),
    ("environment: ['1A=2']", 1, "environment[0]", "must look like NAME=value"),
    ("environment: [PATH=/bin]", 1, "environment[0]", "PATH is set by the platform"),
    ("environment: [CUDA_HOME=x]", 1, "environment[0]", "CUDA_HOME is set by the platform"),
    ("image: a\nimage: b", 2, "image", "written twice"),
    ("image: [", 1, "", "not valid YAML"),
    ("- a", 1, "", "must be a mapping of keys to values, not a list"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "key", "message"), FAULTS, ids=[case[0] for case in FAULTS])
def test_a_fault_is_told_with_its_line_and_key(text: str, line: int, key: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config(text, "cog.yaml")
    fault = raised.value
    assert (fault.file, fault.line, fault.key) == ("cog.yaml", line, key)
    assert message in fault.message
    assert str(fault).startswith(f"cog.yaml:{line}: {key}")


def test_retired_keys_are_accepted_with_a_remark() -> None:
    config = parse_config("build:\n  fast: true\n  python_version: '3.12'")
    assert config.warnings == ("cog.yaml:2: build.fast: has no effect any more; remove it",)


def test_a_folder_or_a_file_can_be_loaded_and_a_missing_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigDoesNotExist, match=r"there is no cog\.yaml in"):
        load_config(tmp_path)
    (tmp_path / "cog.yaml").write_text("run: run.py:Runner")
    assert load_config(tmp_path) == load_config(tmp_path / "cog.yaml") == CogConfig(runner="run.py:Runner")
