"""Everyday programs, unchanged, with our SDK and with the official one, against the live server."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from queue import Queue

from tests.compat.conftest import Client
from tests.conftest import Published


def described(content: bytes) -> str:
    """What the caption model says of a file."""
    return f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}"


def test_run_prints_the_output(client: Client) -> None:
    assert client("run") == ["you said: a photo of an astronaut riding a horse"]


def test_a_polling_loop_ends_with_output_urls(client: Client, published: Published) -> None:
    identifier, urls, same, listed = client("poll")
    assert len(identifier.removeprefix("Prediction ID: ")) == 26
    assert urls.startswith(f"Output URLs: 4 {published.server.base_url}/")
    assert (same, listed) == ("Same: True", "Listed: True")


def test_streaming_prints_every_token(client: Client) -> None:
    assert client("stream") == ["Explain quantum entanglement in simple terms. "]


def test_a_webhook_arrives_for_a_created_prediction(client: Client, local_site: tuple[str, Queue[bytes]]) -> None:
    address, posted = local_site
    (prediction_id,) = client("webhook", WEBHOOK_URL=f"{address}/webhooks/replicate")
    payload = json.loads(posted.get(timeout=30))
    assert (payload["id"], payload["status"]) == (prediction_id, "succeeded")
    assert payload["metrics"]["predict_time"] >= 0


def test_a_local_file_and_a_url_reach_the_model(client: Client, local_site: tuple[str, Queue[bytes]], tmp_path: Path) -> None:
    (tmp_path / "image.jpg").write_bytes(b"not really a picture")
    lines = client("file_input", FILE=str(tmp_path / "image.jpg"), FILE_URL=f"{local_site[0]}/picture.png")
    assert lines == [described(b"not really a picture"), described(b"/picture.png")]


def test_an_output_is_saved_with_a_plain_http_client(client: Client) -> None:
    assert client("save_output") == ["200 PNG"]


def test_a_batch_runs_concurrently_and_keeps_its_order(client: Client) -> None:
    prompts = ["a red apple on a wooden table", "a blue ocean under stormy skies", "a green forest in autumn"]
    assert client("batch") == [f"{prompt}: you said: {prompt}" for prompt in prompts]


def test_a_chat_sends_its_history_each_time(client: Client) -> None:
    lines = client("chat")
    assert lines[0] == "USER: What is machine learning? "
    assert lines[-1] == "USER: Can you give me a simple example? "


def test_model_errors_and_api_errors_are_told_apart(client: Client) -> None:
    assert client("errors") == ["Model error: out of paint", "API error: 422"]


def test_an_explicit_client_reads_account_models_and_versions(client: Client) -> None:
    assert client("explicit_client") == ["local", "local echo True", "True", "True"]


def test_a_canceled_prediction_says_so(client: Client) -> None:
    assert client("cancel") == ["canceled"]


def test_files_are_created_found_and_deleted(client: Client, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    assert client("files", FILE=str(tmp_path / "notes.txt")) == ["notes.txt 5 {'made-by': 'me'}", "True", "True", "True"]


def test_our_webhook_secret_is_a_value_and_a_call(published: Published) -> None:
    snippet = Path(__file__).parent / "snippets" / "webhook_secret.py"
    completed = subprocess.run(
        [sys.executable, str(snippet)], env=published.server.environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert completed.stdout.split() == ["True", "True"]
