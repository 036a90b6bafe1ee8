"""What ``import cog`` offers, and that it costs the author's environment nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cog
import pytest
import tomllib

PACKAGE = Path(__file__).resolve().parents[2]


def test_every_public_name_exists_and_the_list_is_sorted() -> None:
    assert cog.__all__ == sorted(cog.__all__)
    assert [
        name for name in cog.__all__ if name not in {"emit_metric", "ExperimentalFeatureWarning"} and not hasattr(cog, name)
    ] == []


def test_the_version_is_the_packages_own() -> None:
    assert cog.__version__ == tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]["version"]


@pytest.mark.parametrize("name", ["emit_metric", "ExperimentalFeatureWarning"])
def test_deprecated_names_say_so_once_on_standard_error(name: str) -> None:
    code = f"import cog; first = cog.{name}; assert cog.{name} is first"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stderr.count(f"cog.{name} is deprecated") == 1


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Image'"):
        _ = cog.Image


def test_the_worker_imports_the_standard_library_only(each_python: str) -> None:
    code = (
        "import sys, cog.schema, cog.worker.process, cog.worker.client;"
        "import cog.worker.sync_predictions, cog.worker.async_predictions;"
        "print(sorted({name.split('.')[0] for name, module in sys.modules.items()"
        " if 'site-packages' in (getattr(module, '__file__', None) or '')}))"
    )
    environment = {"PYTHONPATH": str(PACKAGE / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    finished = subprocess.run([each_python, "-S", "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert finished.stdout.strip() == "[]"


def test_a_sync_worker_does_not_import_what_it_does_not_need() -> None:
    code = "import sys; import cog.worker.__main__, cog.worker.sync_predictions, cog.worker.setting_up; print(*sys.modules)"
    finished = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(PACKAGE / "src")}
    )
    assert {"asyncio", "argparse", "urllib.request", "cog.schema", "ctypes", "subprocess"}.isdisjoint(finished.stdout.split())
