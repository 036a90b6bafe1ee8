"""The `replicate` command, run as a person or a program would, against the scripted platform on a real socket."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from replicate.cli import predictions as commands
from replicate.cli import printing
from replicate.cli.app import replicate as command

Make = Callable[..., Any]
Invoke = Callable[..., Result]


@pytest.fixture
def invoke(runner: CliRunner, served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs the command in an empty folder with the scripted platform's address."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REPLICATE_BASE_URL", served)
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_secret")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def run(*arguments: str, **options: Any) -> Result:
        return runner.invoke(command, list(arguments), **options)

    return run


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets every stream pass for a terminal."""
    monkeypatch.setattr(printing, "is_terminal", lambda stream: True)
    monkeypatch.setattr(commands, "is_terminal", lambda stream: True)


@pytest.fixture
def story(platform: Any, version_json: Make, text_output: Any) -> None:
    """A model that streams text."""
    version = version_json(text_output)
    platform.answer(
        "GET", "/v1/models/starter/story", {"owner": "starter", "name": "story", "run_count": 3, "latest_version": version}
    )
    platform.answer("GET", "/v1/models/starter/story/versions/5c7d", version)


@pytest.fixture
def painter(platform: Any, version_json: Make) -> None:
    """A model that makes a file."""
    version = version_json({"type": "string", "format": "uri"})
    platform.answer("GET", "/v1/models/starter/paint", {"owner": "starter", "name": "paint", "latest_version": version})


def test_whoami_writes_json_into_a_pipe(invoke: Invoke, platform: Any) -> None:
    platform.answer("GET", "/v1/account", {"type": "user", "username": "ada", "name": "Ada"})
    assert json.loads(invoke("whoami").output) == {"type": "user", "username": "ada", "name": "Ada"}
    assert platform.requests[0].headers["authorization"] == "Bearer r8_secret"


@pytest.mark.usefixtures("terminal")
def test_whoami_writes_a_line_for_people(invoke: Invoke, platform: Any) -> None:
    platform.answer("GET", "/v1/account", {"type": "user", "username": "ada", "name": "Ada"})
    assert invoke("whoami").output == "ada (Ada, user)\n"


@pytest.mark.usefixtures("story")
def test_run_reads_inputs_by_the_models_types(invoke: Invoke, platform: Any, prediction_json: Make) -> None:
    platform.answer("POST", "/v1/models/starter/story/predictions", prediction_json(output=["on", "ce"]))
    result = invoke("run", "starter/story", "prompt=12", "-i", "max_tokens=12")
    assert platform.sent() == {"input": {"prompt": "12", "max_tokens": 12}}
    assert json.loads(result.stdout)["output"] == ["on", "ce"]


@pytest.mark.usefixtures("story", "terminal")
def test_run_streams_text_to_people(
    invoke: Invoke, served: str, platform: Any, prediction_json: Make, event_stream: Make
) -> None:
    urls = {"stream": f"{served}/v1/streams/t"}
    platform.answer("POST", "/v1/predictions", prediction_json("starting", urls=urls))
    platform.answer("GET", "/v1/streams/t", event_stream(b"event: output\nid: 1\ndata: once\n\n", b"event: done\ndata: {}\n\n"))
    assert invoke("run", "starter/story:5c7d", "prompt=x").output == "once\n"


@pytest.mark.usefixtures("story")
def test_stream_writes_text_into_a_pipe(
    invoke: Invoke, served: str, platform: Any, prediction_json: Make, event_stream: Make
) -> None:
    urls = {"stream": f"{served}/v1/streams/t"}
    platform.answer("POST", "/v1/models/starter/story/predictions", prediction_json("starting", urls=urls))
    platform.answer("GET", "/v1/streams/t", event_stream(b"event: output\nid: 1\ndata: once\n\n", b"event: done\ndata: {}\n\n"))
    assert invoke("stream", "starter/story", "prompt=x").output == "once\n"


@pytest.mark.usefixtures("story", "terminal")
def test_run_asks_people_for_required_inputs(invoke: Invoke, platform: Any, prediction_json: Make) -> None:
    platform.answer("POST", "/v1/models/starter/story/predictions", prediction_json(output="done"))
    result = invoke("run", "starter/story", input="a cat\n")
    assert platform.sent() == {"input": {"prompt": "a cat"}}
    assert "prompt (How it begins):" in result.stderr


@pytest.mark.usefixtures("painter", "terminal")
def test_output_files_are_saved_and_never_overwrite(
    invoke: Invoke, served: str, platform: Any, prediction_json: Make, tmp_path: Path
) -> None:
    output = f"{served}/delivery/t/a.png"
    platform.answer("POST", "/v1/models/starter/paint/predictions", prediction_json(output=output))
    platform.answer("GET", "/delivery/t/a.png", lambda: httpx.Response(200, content=b"PNG"))
    for _ in range(2):
        assert invoke("run", "starter/paint", "prompt=x", "--output-dir", "out").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a-1.png", "a.png"]
    assert (tmp_path / "out" / "a.png").read_bytes() == b"PNG"


@pytest.mark.usefixtures("painter", "terminal")
def test_output_files_are_shown_as_addresses(invoke: Invoke, platform: Any, prediction_json: Make) -> None:
    platform.answer("POST", "/v1/models/starter/paint/predictions", prediction_json(output="https://files.example/a.png"))
    assert invoke("run", "starter/paint", "prompt=x").stdout == "https://files.example/a.png\n"


@pytest.mark.usefixtures("story")
def test_an_at_sign_uploads_a_file(invoke: Invoke, platform: Any, prediction_json: Make, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"PNG")
    platform.answer("POST", "/v1/files", {"id": "f1", "urls": {"get": "http://h/v1/files/f1"}})
    platform.answer("POST", "/v1/models/starter/story/predictions", prediction_json())
    invoke("run", "starter/story", "prompt=x", "image=@a.png")
    assert platform.sent() == {"input": {"prompt": "x", "image": "http://h/v1/files/f1"}}


@pytest.mark.usefixtures("story")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prompt"], "'prompt' is not key=value"),
        (["promt=x"], "did you mean 'prompt'?"),
        (["prompt=x", "max_tokens=many"], "max_tokens must be a whole number"),
        (["prompt=x", "prompt=y"], "prompt takes one value"),
        (["prompt=x", "image=@none.png"], "image: there is no file 'none.png'"),
        (["max_tokens=3"], "missing input: prompt"),
    ],
)
def test_a_wrong_input_is_a_usage_error_in_one_line(invoke: Invoke, arguments: list[str], message: str) -> None:
    result = invoke("run", "starter/story", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.usefixtures("story", "terminal")
def test_an_interrupted_question_runs_nothing(invoke: Invoke, platform: Any) -> None:
    result = invoke("run", "starter/story", input="")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (130, "replicate: nothing was run")
    assert platform.paths == ["GET /v1/models/starter/story"]


@pytest.mark.usefixtures("painter", "terminal")
def test_people_see_the_log_of_a_failed_prediction(invoke: Invoke, platform: Any, prediction_json: Make) -> None:
    failed = prediction_json("failed", error="no memory", logs="loading\nMemoryError\n")
    platform.answer("POST", "/v1/models/starter/paint/predictions", failed)
    result = invoke("run", "starter/paint", "prompt=x")
    assert result.stderr.endswith("loading\nMemoryError\nreplicate: prediction p1 failed: no memory\n")


@pytest.mark.usefixtures("painter", "terminal")
def test_people_see_the_beginning_of_long_vectors(invoke: Invoke, platform: Any, prediction_json: Make) -> None:
    platform.answer("POST", "/v1/models/starter/paint/predictions", prediction_json(output=[[0.25] * 384]))
    assert "… 384 numbers; --json shows all" in invoke("run", "starter/paint", "prompt=x").stdout


def test_an_unknown_model_is_answered_with_where_to_look(invoke: Invoke, platform: Any) -> None:
    problem = {"detail": "The requested resource could not be found", "status": 404}
    platform.answer("GET", "/v1/models/starter/nothing", lambda: httpx.Response(404, json=problem))
    assert "`replicate models list` shows the models" in invoke("run", "starter/nothing").stderr


def test_a_refused_input_is_one_readable_line(invoke: Invoke, platform: Any) -> None:
    problem = {"detail": "Input validation failed:\n- input.speed: Must be less than or equal to 450\n", "status": 422}
    platform.answer("GET", "/v1/account", lambda: httpx.Response(422, json=problem))
    expected = "replicate: Input validation failed: input.speed: Must be less than or equal to 450 (422)\n"
    assert invoke("whoami").stderr == expected


@pytest.mark.usefixtures("story")
def test_a_failed_prediction_ends_with_one(invoke: Invoke, platform: Any, prediction_json: Make) -> None:
    platform.answer("POST", "/v1/models/starter/story/predictions", prediction_json("failed", error="no memory"))
    result = invoke("run", "starter/story", "prompt=x")
    assert result.exit_code == 1
    assert result.stderr == "replicate: prediction p1 failed: no memory\n"
    assert json.loads(result.stdout)["status"] == "failed"


def test_a_refusal_ends_with_three_and_one_line(invoke: Invoke, platform: Any) -> None:
    problem = {"title": "Unauthenticated", "detail": "You did not pass a valid authentication token", "status": 401}
    platform.answer("GET", "/v1/account", lambda: httpx.Response(401, json=problem))
    result = invoke("whoami")
    assert result.exit_code == 3
    assert result.stderr.count("\n") == 1
    assert "REPLICATE_API_TOKEN" in result.stderr


def test_an_unreachable_platform_ends_with_four(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replicate.cli.session.RETRIES_MAX", 1)
    result = invoke("--base-url", "http://127.0.0.1:1", "whoami")
    assert result.exit_code == 4
    assert result.stderr.startswith("replicate: could not reach http://127.0.0.1:1: ")


@pytest.mark.usefixtures("story")
def test_predict_takes_its_model_from_the_environment(
    invoke: Invoke, platform: Any, prediction_json: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLICATE_MODEL", "starter/story")
    platform.answer("POST", "/v1/models/starter/story/predictions", prediction_json())
    assert invoke("predict", "-i", "prompt=x").exit_code == 0


@pytest.mark.usefixtures("story")
def test_predict_takes_its_model_from_cog_yaml(invoke: Invoke, platform: Any, prediction_json: Make, tmp_path: Path) -> None:
    (tmp_path / "cog.yaml").write_text('build:\n  gpu: false\nimage: "r8.im/starter/story"\n')
    platform.answer("POST", "/v1/models/starter/story/predictions", prediction_json())
    assert invoke("predict", "-i", "prompt=x").exit_code == 0


def test_predict_without_any_model_says_how_to_name_one(invoke: Invoke) -> None:
    result = invoke("predict", "-i", "prompt=x")
    assert result.exit_code == 2
    assert "set REPLICATE_MODEL" in result.stderr


@pytest.mark.usefixtures("terminal")
def test_models_are_listed_for_people(invoke: Invoke, platform: Any) -> None:
    platform.answer("GET", "/v1/models", {"results": [{"owner": "o", "name": "n", "description": "[bold] claims"}]})
    assert invoke("models", "list").output.split() == ["model", "runs", "description", "o/n", "0", "[bold]", "claims"]


@pytest.mark.usefixtures("story", "terminal")
def test_a_models_schema_is_shown_in_its_authors_order(invoke: Invoke) -> None:
    lines = invoke("models", "schema", "starter/story").output.splitlines()
    assert [line.split()[:3] for line in lines[1:4]] == [
        ["prompt", "string", "required"],
        ["max_tokens", "integer", "64"],
        ["image", "file"],
    ]
    assert lines[-1] == "output: stream of string"


@pytest.mark.usefixtures("story")
def test_a_model_is_shown_as_json(invoke: Invoke) -> None:
    shown = json.loads(invoke("models", "show", "starter/story").output)
    assert shown["run_count"] == 3
    assert shown["latest_version"]["created_at"].endswith("Z")


def test_help_loads_neither_the_http_client_nor_the_tables() -> None:
    code = "import sys; sys.argv = ['replicate', '--help']\nimport replicate.cli\n"
    code += "try:\n    replicate.cli.main()\nexcept SystemExit:\n    print('httpx' in sys.modules, 'rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False False"


def test_the_module_runs_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "replicate", "--version"], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("replicate, version ")


@pytest.mark.usefixtures("story")
@pytest.mark.parametrize(("name", "method"), [("run", "wait"), ("stream", "stream")])
def test_an_interrupt_cancels_the_prediction(
    name: str, method: str, invoke: Invoke, platform: Any, prediction_json: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"replicate.prediction.Prediction.{method}", interrupted)
    platform.answer("POST", "/v1/models/starter/story/predictions", prediction_json("starting"))
    platform.answer("POST", "/v1/predictions/p1/cancel", prediction_json("canceled"))
    result = invoke(name, "starter/story", "prompt=x")
    assert (result.exit_code, result.stderr) == (130, "replicate: prediction p1 canceled\n")
    assert platform.paths[-1] == "POST /v1/predictions/p1/cancel"


@pytest.mark.usefixtures("story")
def test_a_stream_of_a_canceled_prediction_ends_with_one(
    invoke: Invoke, served: str, platform: Any, prediction_json: Make, event_stream: Make
) -> None:
    urls = {"stream": f"{served}/v1/streams/t"}
    platform.answer("POST", "/v1/models/starter/story/predictions", prediction_json("starting", urls=urls))
    platform.answer("GET", "/v1/streams/t", event_stream(b'event: done\nid: 1\ndata: {"reason": "canceled"}\n\n'))
    assert invoke("stream", "starter/story", "prompt=x").exit_code == 1
