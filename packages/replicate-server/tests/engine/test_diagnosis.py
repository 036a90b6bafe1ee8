"""What ``doctor`` looks at."""

from __future__ import annotations

import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from replicate_server.diagnosis import Standing, diagnose


def test_every_part_of_the_machine_is_looked_at(tmp_path: Path) -> None:
    findings = diagnose(data_dir=tmp_path / "not" / "there", host="127.0.0.1", port=0)
    names = {
        "python versions",
        "uv",
        "uv cache",
        "sandbox",
        "control groups",
        "gpus",
        "disk space",
        "disk writes",
        "memory",
        "port",
    }
    assert {finding.name for finding in findings} == names
    assert not (tmp_path / "not").exists()


def test_a_gap_says_what_it_costs_and_what_to_do(tmp_path: Path) -> None:
    findings = diagnose(data_dir=tmp_path, host="127.0.0.1", port=0, environ={"PATH": os.devnull})
    gaps = [finding for finding in findings if finding.status is not Standing.OK]
    assert {"sandbox", "gpus"} <= {finding.name for finding in gaps}
    assert all(finding.cost and finding.advice for finding in gaps)


def test_a_taken_port_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        findings = diagnose(data_dir=tmp_path, host="127.0.0.1", port=taken.getsockname()[1])
    assert [finding.status for finding in findings if finding.name == "port"] == [Standing.ERROR]


class Healthy(BaseHTTPRequestHandler):
    """Answers as our server does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "ok"}')

    def log_message(self, format: str, *arguments: object) -> None:
        """Stay quiet."""


def test_a_port_that_our_own_server_has_is_fine(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Healthy) as running:
        thread = threading.Thread(target=running.handle_request)
        thread.start()
        findings = diagnose(data_dir=tmp_path, host="127.0.0.1", port=running.server_port)
        thread.join()
    assert [finding.status for finding in findings if finding.name == "port"] == [Standing.OK]
