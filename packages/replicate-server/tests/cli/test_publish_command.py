"""``publish``: packing, sending, progress, and what it says when it fails."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from replicate_server.cli import main
from replicate_server.hosts_file import Host, hosts_path, remember_host
from replicate_server.registry.unpacking import UnpackLimits, unpack_layer

VERSION = "5" * 64


class PublishServer(ThreadingHTTPServer):
    """Answers every POST with the prepared status and lines."""

    status = 200
    lines: list[dict[str, Any]]
    received: list[tuple[str, str | None, bytes]]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, PublishServer)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.received.append((self.path, self.headers["Authorization"], body))
        self.send_response(server.status)
        self.end_headers()
        for line in server.lines:
            self.wfile.write(json.dumps(line).encode() + b"\n")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[PublishServer]:
    opened = PublishServer(("127.0.0.1", 0), Handler)
    opened.lines = [
        {"type": "log", "text": "building\n"},
        {"type": "version", "version": {"id": VERSION}},
    ]
    opened.received = []
    thread = threading.Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield opened
    opened.shutdown()
    thread.join()
    opened.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "cog.yaml").write_text("run: predict.py:Predictor\n")
    return made


@pytest.fixture
def connected(server: PublishServer, monkeypatch: pytest.MonkeyPatch) -> PublishServer:
    monkeypatch.setenv("REPLICATE_BASE_URL", server.base_url + "/v1/")
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_a")
    return server


def test_the_version_id_is_all_that_standard_output_gets(
    runner: CliRunner, connected: PublishServer, folder: Path, tmp_path: Path
) -> None:
    result = runner.invoke(main, ["publish", str(folder), "alice/model"])
    assert (result.exit_code, result.stdout) == (0, VERSION + "\n")
    assert "building\n" in result.stderr
    [(path, authorization, body)] = connected.received
    assert (path, authorization) == ("/v1/models/alice/model/versions", "Bearer r8_a")
    (tmp_path / "out").mkdir()
    unpack_layer(io.BytesIO(body), tmp_path / "out", UnpackLimits(10_000))
    assert (tmp_path / "out" / "cog.yaml").exists()


def test_the_hosts_file_supplies_server_and_token(runner: CliRunner, server: PublishServer, folder: Path, tmp_path: Path) -> None:
    remember_host(hosts_path({"XDG_CONFIG_HOME": str(tmp_path / "config")}), Host(server.base_url, "r8_h"))
    assert runner.invoke(main, ["publish", str(folder), "alice/model"]).exit_code == 0
    assert server.received[0][1] == "Bearer r8_h"


def test_a_remembered_token_is_not_sent_to_another_server(
    runner: CliRunner, server: PublishServer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember_host(hosts_path({"XDG_CONFIG_HOME": str(tmp_path / "config")}), Host("http://127.0.0.1:1", "r8_h"))
    monkeypatch.setenv("REPLICATE_BASE_URL", server.base_url)
    result = runner.invoke(main, ["publish", str(folder), "alice/model"])
    assert (result.exit_code, server.received) == (1, [])
    assert "REPLICATE_API_TOKEN" in result.stderr


def test_an_error_line_fails_with_its_detail(runner: CliRunner, connected: PublishServer, folder: Path) -> None:
    connected.lines[1:] = [{"type": "error", "status": 422, "title": "Package cannot be run", "detail": "cog.yaml:2: wrong"}]
    result = runner.invoke(main, ["publish", str(folder), "alice/model"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("replicate-server: cog.yaml:2: wrong\n")


def test_an_error_does_not_repeat_the_log_that_was_just_shown(runner: CliRunner, connected: PublishServer, folder: Path) -> None:
    detail = "the model cannot be imported\nbuilding\n"
    connected.lines[1:] = [{"type": "error", "status": 422, "title": "Package cannot be run", "detail": detail}]
    result = runner.invoke(main, ["publish", str(folder), "alice/model"])
    assert result.stderr.endswith("building\nreplicate-server: the model cannot be imported\n")


def test_a_wrong_token_is_answered_with_what_to_set(runner: CliRunner, connected: PublishServer, folder: Path) -> None:
    connected.status = 401
    connected.lines[:] = [{"detail": "You did not pass a valid authentication token"}]
    result = runner.invoke(main, ["publish", str(folder), "alice/model"])
    assert "set REPLICATE_API_TOKEN" in result.stderr


def test_a_refusal_fails_with_its_detail(runner: CliRunner, connected: PublishServer, folder: Path) -> None:
    connected.status = 403
    connected.lines[:] = [{"detail": "You can only publish models owned by bob."}]
    result = runner.invoke(main, ["publish", str(folder), "alice/model"])
    assert result.exit_code == 1
    assert "owned by bob" in result.stderr


def test_an_answer_that_breaks_off_is_a_failure(runner: CliRunner, connected: PublishServer, folder: Path) -> None:
    del connected.lines[1:]
    result = runner.invoke(main, ["publish", str(folder), "alice/model"])
    assert result.exit_code == 1
    assert "before it named a version" in result.stderr


def test_a_server_that_is_not_there_is_one_clear_line(runner: CliRunner, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATE_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_a")
    result = runner.invoke(main, ["publish", str(folder), "alice/model"])
    assert result.exit_code == 1
    assert "http://127.0.0.1:1 cannot be reached" in result.stderr


@pytest.mark.parametrize("model", ["alice", "alice/", "Alice/Model", "a/b/c", "../x"])
def test_a_wrong_model_name_is_wrong_usage(runner: CliRunner, folder: Path, model: str) -> None:
    assert runner.invoke(main, ["publish", str(folder), model]).exit_code == 2


def test_a_folder_without_cog_yaml_is_refused(runner: CliRunner, connected: PublishServer, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = runner.invoke(main, ["publish", str(tmp_path / "empty"), "alice/model"])
    assert (result.exit_code, connected.received) == (1, [])
    assert "no cog.yaml" in result.stderr
