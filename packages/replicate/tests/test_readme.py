"""The package's README, run: every Python block as a program, every `replicate` line as a command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import replicate
from click.testing import CliRunner
from replicate import Client
from replicate.cli.app import replicate as command

README = Path(__file__).parent.parent / "README.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
COMMANDS = re.findall(r"^replicate .*$", README.read_text(encoding="utf-8"), re.MULTILINE)
Make = Callable[..., Any]


@pytest.fixture
def starter(
    platform: Any, prediction_json: Make, version_json: Make, text_output: Any, event_stream: Make
) -> Callable[[str], None]:
    """Lets the platform have the starter models under an address."""

    def script(base_url: str) -> None:
        version = version_json(text_output)
        stream = {"urls": {"stream": f"{base_url}/v1/streams/t"}}
        platform.answer("GET", "/v1/account", {"type": "user", "username": "ada"})
        platform.answer("GET", "/v1/webhooks/default/secret", {"key": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
        platform.answer("GET", "/v1/models", {"results": [{"owner": "starter", "name": "story"}]})
        platform.answer("GET", "/v1/models/starter/story", {"owner": "starter", "name": "story", "latest_version": version})
        platform.answer("POST", "/v1/files", {"id": "f", "urls": {"get": f"{base_url}/v1/files/f"}})
        platform.answer("POST", "/v1/models/starter/embed/predictions", prediction_json(output=[[0.1, 0.2]]))
        for name, file in (("speak", "a.wav"), ("remove-background", "a.png")):
            made = prediction_json(output=f"{base_url}/delivery/t/{file}")
            platform.answer("POST", f"/v1/models/starter/{name}/predictions", made)
        platform.answer("POST", "/v1/models/starter/story/predictions", prediction_json(output=["Once"], **stream))
        platform.answer("GET", "/delivery/t/a.png", lambda: httpx.Response(200, content=b"PNG"))
        done = event_stream(b"event: output\nid: 1\ndata: Once\n\n", b"event: done\nid: 2\ndata: {}\n\n")
        platform.answer("GET", "/v1/streams/t", done)

    return script


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("program", PROGRAMS, ids=[re.sub(r"\W+", " ", program)[15:45] for program in PROGRAMS])
def test_a_program_of_the_readme_runs(
    program: str, starter: Any, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    starter("http://api.test")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(b"JPEG")
    monkeypatch.setattr(replicate, "default_client", client)
    exec(compile(program, "README.md", "exec"), {})
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_readme_runs(
    line: str, runner: CliRunner, starter: Any, served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starter(served)
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(command, ["--base-url", served, *shlex.split(line)[1:]])
    assert (result.exit_code, result.stderr) == (0, "")


def test_the_readme_has_something_to_run() -> None:
    assert len(PROGRAMS) >= 6
    assert len(COMMANDS) >= 5
