"""The clients that the snippets run with: our SDK, and the official one in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest

from tests.conftest import Published
from tests.official_client import official_python

HERE = Path(__file__).parent

Client = Callable[..., list[str]]

INTERPRETERS = {"ours": lambda: sys.executable, "official 1.0.7": official_python}


@pytest.fixture(params=list(INTERPRETERS))
def client(request: pytest.FixtureRequest, published: Published, tmp_path: Path) -> Client:
    """Runs a snippet with one of the clients and returns the lines it printed."""
    interpreter = INTERPRETERS[request.param]()

    def run(snippet: str, **variables: str) -> list[str]:
        names = {name.upper(): published.reference(name) for name in published.versions}
        versions = {f"{name.upper()}_VERSION": version for name, version in published.versions.items()}
        models = {f"{name.upper()}_MODEL": f"local/{name}" for name in published.versions}
        completed = subprocess.run(
            [interpreter, "-W", "ignore", str(HERE / "snippets" / f"{snippet}.py")],
            env={**published.server.environment, **names, **versions, **models, **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert completed.returncode == 0, completed.stderr
        return completed.stdout.splitlines()

    return run


@pytest.fixture
def local_site(tmp_path: Path) -> Iterator[tuple[str, Queue[bytes]]]:
    """A local web site: GET answers with its path, POST keeps the body. Yields its address and the bodies."""
    posted: Queue[bytes] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.path)))
            self.end_headers()
            self.wfile.write(self.path.encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            posted.put(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", posted
    server.shutdown()
    server.server_close()
