"""The first result that a new user sees: a model's example, run through the public HTTP API and shown while it is made.

Owns what is printed of it. Which model is shown, and what happens before and after, is ``quickstart``'s.
"""

from __future__ import annotations

import asyncio
import base64
import json
import mimetypes
import shlex
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from replicate_server.starter_models import StarterModel

PREDICTION_SECONDS_MAX = 300
POLL_SECONDS = 0.1
OUTPUT_CHARACTERS_MAX = 600
TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})

Write = Callable[[str], None]


async def show_example(client: httpx.AsyncClient, model: StarterModel, write: Write) -> str | None:
    """Run a model's example and write the command it stands for, then what comes out: text piece by piece, the rest at the end.

    Args:
        client: Knows the server and a token.
        model: A published model.
        write: Takes text; line ends are part of it.

    Returns:
        Why there is no result; None when there is one.
    """
    write(f"\n$ {build_command(model)}\n")
    try:
        async with asyncio.timeout(PREDICTION_SECONDS_MAX):
            given = await asyncio.to_thread(attach_files, model.folder, model.example)
            return await _run(client, model.name, given, write)
    except TimeoutError:
        return f"no result within {PREDICTION_SECONDS_MAX} seconds"
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return f"the server did not answer properly: {error or type(error).__name__}"


async def _run(client: httpx.AsyncClient, name: str, given: Mapping[str, Any], write: Write) -> str | None:
    answer = await client.post(f"/v1/models/{name}/predictions", json={"input": given})
    prediction = answer.json()
    if not answer.is_success:
        return str(prediction.get("detail") or f"the server answered with status {answer.status_code}")
    stream_url = prediction["urls"].get("stream")
    if stream_url is not None:
        async with client.stream("GET", stream_url) as events:
            async for text in read_output_events(events.aiter_lines()):
                write(text)
        write("\n")
    prediction = (await client.get(f"/v1/predictions/{prediction['id']}")).json()
    while prediction["status"] not in TERMINAL:
        await asyncio.sleep(POLL_SECONDS)
        prediction = (await client.get(f"/v1/predictions/{prediction['id']}")).json()
    if prediction["status"] != "succeeded":
        return str(prediction.get("error") or prediction["status"])
    if stream_url is None:
        write(describe_output(prediction.get("output")) + "\n")
    return None


async def read_output_events(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """The data of the ``output`` events among the lines of an event stream."""
    kind, data = "", list[str]()
    async for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif not line:
            if kind == "output":
                yield "\n".join(data)
            kind, data = "", []


def build_command(model: StarterModel) -> str:
    """The command that runs a model's example, to be learned from and repeated."""
    words = [".venv/bin/replicate", "run", model.name]
    for name, value in model.example.items():
        is_file = isinstance(value, str) and value.startswith("@")
        text = f"@{model.folder / value[1:]}" if is_file else value if isinstance(value, str) else json.dumps(value)
        words += ["-i", f"{name}={text}"]
    return " ".join(shlex.quote(word) for word in words)


def attach_files(folder: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Replace ``@name`` by the file's content as a data URI."""
    attached = dict(given)
    for name, value in given.items():
        if isinstance(value, str) and value.startswith("@") and (folder / value[1:]).is_file():
            content_type = mimetypes.guess_type(value)[0] or "application/octet-stream"
            encoded = base64.b64encode((folder / value[1:]).read_bytes()).decode()
            attached[name] = f"data:{content_type};base64,{encoded}"
    return attached


def describe_output(output: Any) -> str:
    """An output as a person wants to see it: text as text, everything else as short JSON."""
    is_text = isinstance(output, list) and bool(output) and all(isinstance(part, str) for part in output)
    text = "".join(output) if is_text else output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    return text if len(text) <= OUTPUT_CHARACTERS_MAX else text[:OUTPUT_CHARACTERS_MAX] + " …"
