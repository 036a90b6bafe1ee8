"""The exchanges of ``contract/examples``: one request and its answer for each operation, recorded from a live server.

Owns what is asked and how answers are made comparable: what differs from run to run (ids, times, addresses, secrets) is replaced
by fixed values of the same form, so that clients of every language can parse the recordings. Run ``python -m
tests.contract.exchanges`` to record them anew; read the diff before you commit it, for it is a change of the wire.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.live import LiveServer

EXAMPLES = Path(__file__).parent.parent.parent / "contract" / "examples"

BASE_URL = "https://api.example.com"
TIME = "2024-01-02T03:04:05.678901Z"
PREDICTION_ID = "0123456789abcdefghjkmnpqrs"
FILE_ID = "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAw"
VERSION_ID = "0123456789abcdef" * 4
CAPABILITY = "0" * 43
INSTANCE_ID = "instance_0123456789abcdefghjkmnpqrs"
NUMBERS = {"cost_dollars": 0.001, "predict_time": 0.25, "total_time": 0.5, "run_count": 7}
SECRET = "whsec_" + "A" * 43 + "="

HEADERS_RECORDED = ("content-type", "preference-applied", "allow")

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
_CAPABILITY = re.compile(r"(?<=/(?:streams)/)[\w-]{43}|(?<=/delivery/)[\w-]{43}")

FORM = (
    '--x\r\nContent-Disposition: form-data; name="content"; filename="notes.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\n'
    '--x\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{"topic": "greeting"}\r\n--x--\r\n'
)
NEW_MODEL = {"owner": "local", "name": "painter", "visibility": "private", "hardware": "cpu", "description": "Paints."}
ECHO = {"version": "{version}", "input": {"prompt": "a cat"}}


@dataclass(frozen=True)
class Ask:
    """One request. ``{version}``, ``{prediction}`` and ``{file}`` stand for what earlier answers named."""

    operation: str
    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    has_token: bool = True


# In an order in which each finds what it needs.
ASKS = (
    Ask("account.get", "GET", "/v1/account"),
    Ask("hardware.list", "GET", "/v1/hardware"),
    Ask("webhooks.default.secret.get", "GET", "/v1/webhooks/default/secret"),
    Ask("predictions.create", "POST", "/v1/predictions", ECHO, {"Prefer": "wait"}),
    Ask(
        "models.predictions.create",
        "POST",
        "/v1/models/local/echo/predictions",
        {"input": {"prompt": "a cat"}},
        {"Prefer": "wait=5"},
    ),
    Ask(
        "predictions.create.stream",
        "POST",
        "/v1/models/local/tokens/predictions",
        {"input": {"prompt": "a cat"}},
        {"Prefer": "wait"},
    ),
    Ask("predictions.create.failed", "POST", "/v1/models/local/broken/predictions", {"input": {}}, {"Prefer": "wait"}),
    Ask("predictions.get", "GET", "/v1/predictions/{prediction}"),
    Ask("predictions.cancel", "POST", "/v1/predictions/{prediction}/cancel"),
    Ask("predictions.list", "GET", "/v1/predictions"),
    Ask("models.get", "GET", "/v1/models/local/echo"),
    Ask("models.list", "GET", "/v1/models?sort_by=model_created_at&sort_direction=asc"),
    Ask("models.create", "POST", "/v1/models", NEW_MODEL),
    Ask("models.versions.list", "GET", "/v1/models/local/echo/versions"),
    Ask("models.versions.get", "GET", "/v1/models/local/echo/versions/{version}"),
    Ask("files.create", "POST", "/v1/files", FORM, {"Content-Type": "multipart/form-data; boundary=x"}),
    Ask("files.get", "GET", "/v1/files/{file}"),
    Ask("files.list", "GET", "/v1/files"),
    Ask("files.download", "GET", "/v1/files/{file}/download"),
    Ask("files.delete", "DELETE", "/v1/files/{file}"),
    Ask("error.unauthenticated", "GET", "/v1/account", has_token=False),
    Ask("error.not-found", "GET", "/v1/predictions/zzzzzz"),
    Ask("error.file-not-found", "GET", "/v1/files/{file}"),
    Ask("error.method-not-allowed", "PUT", "/v1/account"),
    Ask("error.input-invalid", "POST", "/v1/predictions", {"version": "{version}", "input": {"width": 0, "num_outputs": "two"}}),
    Ask("error.body-invalid", "POST", "/v1/predictions", {"input": {}, "modle": "local/echo"}),
    Ask("error.version-unknown", "POST", "/v1/predictions", {"version": "f" * 64, "input": {}}),
    Ask("error.model-invalid", "POST", "/v1/models", {**NEW_MODEL, "hardware": "abacus"}),
    Ask("error.model-taken", "POST", "/v1/models", NEW_MODEL),
)


def record(server: LiveServer) -> dict[str, dict[str, Any]]:
    """Ask everything of a fresh server and return the exchanges by operation."""
    known = {"version": server.publish("echo", "local/echo")}
    for name in ("tokens", "broken"):
        server.publish(name, f"local/{name}")
    recorded = {}
    with httpx.Client(base_url=server.base_url, timeout=90) as client:
        for ask in ASKS:
            recorded[ask.operation] = _exchange(client, ask, server.token, known)
    return recorded


def _exchange(client: httpx.Client, ask: Ask, token: str, known: dict[str, str]) -> dict[str, Any]:
    headers = {**ask.headers, **({"Authorization": f"Bearer {token}"} if ask.has_token else {})}
    body = (
        {"content": ask.body} if isinstance(ask.body, str) else {"json": _fill(ask.body, known)} if ask.body is not None else {}
    )
    answer = client.request(ask.method, _fill(ask.path, known), headers=headers, **body)
    content: Any = answer.json() if "json" in answer.headers.get("content-type", "") else answer.text
    if answer.status_code == 201 and "urls" in content:
        known.setdefault("prediction" if "version" in content else "file", content["id"])
    shown = {"Authorization": "Bearer r8_token"} if ask.has_token else {}
    return {
        "operation": ask.operation,
        "request": {
            "method": ask.method,
            "path": ask.path.format(version=VERSION_ID, prediction=PREDICTION_ID, file=FILE_ID),
            "headers": {**ask.headers, **shown},
            "body": _fill(ask.body, {"version": VERSION_ID}),
        },
        "response": {
            "status": answer.status_code,
            "headers": {name: answer.headers[name] for name in HEADERS_RECORDED if name in answer.headers},
            "body": _normalize(content, str(client.base_url).rstrip("/")),
        },
    }


def _fill(value: Any, known: dict[str, str]) -> Any:
    """Put what earlier answers named where it is asked for."""
    if isinstance(value, dict):
        return {name: _fill(item, known) for name, item in value.items()}
    if isinstance(value, str):
        for name, text in known.items():
            value = value.replace(f"{{{name}}}", text)
    return value


def _normalize(value: Any, base_url: str, *, name: str = "") -> Any:
    """Replace what differs from run to run by a fixed value of the same form."""
    if isinstance(value, dict):
        return {key: _normalize(item, base_url, name=key) for key, item in value.items()}
    if isinstance(value, list):
        return [_normalize(item, base_url) for item in value]
    if name in NUMBERS:
        return NUMBERS[name]
    if not isinstance(value, str):
        return value
    if name in ("key", "instance"):
        return {"key": SECRET, "instance": INSTANCE_ID}[name]
    if name in ("id", "version"):
        return {26: PREDICTION_ID, 48: FILE_ID, 64: VERSION_ID}.get(len(value), value)
    text = _CAPABILITY.sub(CAPABILITY, _TIME.sub(TIME, value.replace(base_url, BASE_URL)))
    text = re.sub(r'File "[^"]*/predict\.py", line \d+', 'File "/src/predict.py", line 1', text)
    text = re.sub(r"(?<=/predictions/)[a-z0-9]{26}|(?<=/p/)[a-z0-9]{26}", PREDICTION_ID, text)
    return re.sub(r"(?<=/files/)[A-Za-z0-9=]{48}", FILE_ID, text)


def read_examples() -> dict[str, dict[str, Any]]:
    """The committed exchanges by operation."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(EXAMPLES.glob("*.json"))}


def write_examples(recorded: dict[str, dict[str, Any]]) -> None:
    """Replace the committed exchanges."""
    EXAMPLES.mkdir(parents=True, exist_ok=True)
    for path in EXAMPLES.glob("*.json"):
        path.unlink()
    for operation, exchange in recorded.items():
        text = json.dumps(exchange, indent=2, ensure_ascii=False) + "\n"
        (EXAMPLES / f"{operation}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        live = LiveServer(Path(folder))
        live.start()
        try:
            write_examples(record(live))
        finally:
            live.stop()
    sys.stdout.write(f"{len(ASKS)} exchanges in {EXAMPLES}\n")
