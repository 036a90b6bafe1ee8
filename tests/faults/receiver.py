"""A webhook receiver that keeps what it got, and takes a moment to answer so that a kill can fall into it."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER_DELAY_SECONDS = 0.02
WAIT_SECONDS_MAX = 120


class Receiver:
    """Listens from its making until `close`."""

    def __init__(self) -> None:
        self.received: dict[str, set[tuple[str, bytes]]] = defaultdict(set)
        """Prediction id → the different message ids and bodies that came for it."""
        self.count = 0
        self._arrived = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._build_handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def take(self, message_id: str, body: bytes) -> None:
        """Keep a message."""
        with self._arrived:
            self.count += 1
            self.received[json.loads(body)["id"]].add((message_id, body))
            self._arrived.notify_all()

    def until_all_came(self, prediction_ids: Collection[str]) -> bool:
        """Wait until something came for every one of these; False when some did not come for long."""
        with self._arrived:
            return self._arrived.wait_for(lambda: set(prediction_ids) <= set(self.received), WAIT_SECONDS_MAX)

    def _build_handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.take(self.headers["webhook-id"], body)
                threading.Event().wait(ANSWER_DELAY_SECONDS)
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        return Handler
