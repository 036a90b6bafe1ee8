"""Requirements without a wheel are built isolated: the build code sees neither the server's files nor the shared cache."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from replicate_server.engine.config import LocalEngineConfig, SandboxChoice
from replicate_server.engine.local import LocalEngine
from replicate_server.engine.source_builds import local_indexes, select_index_variables

Bench = Any  # conftest.Bench: test folders are no packages, so it cannot be imported.
pytestmark = [pytest.mark.anyio, pytest.mark.needs_bubblewrap]

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# A build backend of the standard library alone. What it finds out about its surroundings becomes the package's content.
BACKEND = """
import os, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    found = {"user": os.getuid(), "secret": "", "variables": sorted(os.environ)}
    try:
        found["secret"] = open("SECRET").read()
    except OSError as error:
        found["error"] = type(error).__name__
    info = "tiny-1.0.dist-info/"
    with zipfile.ZipFile(os.path.join(folder, "tiny-1.0-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("tiny.py", f"FOUND = {found!r}")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return "tiny-1.0-py3-none-any.whl"
"""


def write_sdist(folder: Path, secret: Path) -> None:
    """A source distribution whose build tries to read a file of the host."""
    files = {"pyproject.toml": PYPROJECT, "backend.py": BACKEND.replace("SECRET", str(secret))}
    files["PKG-INFO"] = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"
    with tarfile.open(folder / "tiny-1.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"tiny-1.0/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))


@pytest.fixture
def environ(shared_dir: Path, tmp_path: Path) -> Mapping[str, str]:
    """The server's environment, with a folder as its only package index."""
    index = shared_dir / "index"
    index.mkdir(exist_ok=True)
    (shared_dir / "secret").write_text("r8_secret")
    write_sdist(index, shared_dir / "secret")
    own = {"UV_FIND_LINKS": str(index), "UV_NO_INDEX": "1", "UV_CACHE_DIR": str(tmp_path / "cache"), "AWS_KEY": "secret"}
    return {**os.environ, **own}


@pytest.fixture
async def engine(shared_dir: Path, environ: Mapping[str, str], bubblewrap_works: bool) -> AsyncIterator[LocalEngine]:
    if not bubblewrap_works:
        pytest.skip("bubblewrap does not work on this machine")
    packages: Any = None
    made = LocalEngine(LocalEngineConfig(shared_dir / "data", SandboxChoice.BUBBLEWRAP), packages, environ)
    yield made
    await made.close()


async def test_a_source_distribution_is_locked_built_and_importable(
    engine: LocalEngine, shared_dir: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    lock = await engine.lock_requirements("tiny\n", python_version="3.11", log=told.append)
    assert lock.startswith("tiny==1.0")
    environment = await engine._machine.environments.ensure(python_version="3.11", lock=lock, log=told.append)
    [module] = environment.path.glob("lib/python*/site-packages/tiny.py")
    found: dict[str, Any] = {}
    exec(module.read_text(), found)
    assert "building from source" in "".join(told)
    assert (found["FOUND"]["secret"], found["FOUND"]["error"]) == ("", "FileNotFoundError")
    assert found["FOUND"]["user"] != 0
    assert "AWS_KEY" not in found["FOUND"]["variables"]
    assert module.stat().st_uid == os.geteuid()
    assert not list((shared_dir / "data" / "environments").glob(".building-*"))
    assert not [name for _, names, _ in os.walk(tmp_path) for name in names if name.startswith("tiny")]


def test_only_what_leads_to_packages_is_passed_on() -> None:
    selected = select_index_variables({"UV_INDEX_URL": "https://index", "UV_PUBLISH_TOKEN": "t", "UV_CACHE_DIR": "/shared"})
    assert selected == {
        "UV_INDEX_URL": "https://index",
        "UV_CACHE_DIR": "/tmp/uv-cache",
        "UV_LINK_MODE": "copy",
        "UV_PYTHON_DOWNLOADS": "never",
    }


def test_indexes_on_this_machine_are_found_in_every_form(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two words"
    one.mkdir()
    two.mkdir()
    environ = {"UV_INDEX": f"named={one.as_uri()} https://index", "UV_FIND_LINKS": f"{two.as_uri()},{one},/nonexistent"}
    assert local_indexes(environ) == (str(one), str(two))
