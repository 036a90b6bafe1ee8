"""Clients that load a server while it is being killed, and remember every promise they were given."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.live import LiveServer

TERMINAL = {"succeeded", "failed", "canceled"}
INTERRUPTED = "Prediction interrupted; please retry (code: PA)"
SETTLE_SECONDS_MAX = 180
SLOW_SECONDS = 1.0
MODELS = ("echo", "tokens", "slow")


@dataclass
class Promise:
    """One accepted prediction, and everything that clients were shown of it."""

    model: str
    prompt: str
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    """Terminal answers, in the order in which they were seen."""
    heard: list[str] = field(default_factory=list)
    """What its stream said."""

    def find_breach(self, ended: dict[str, Any]) -> str | None:
        """How the final record contradicts what was promised; None when it does not."""
        if any(outcome != ended for outcome in self.outcomes):
            return f"the outcome changed: {self.outcomes} became {ended}"
        if self.model == "echo" and ended["output"] != f"you said: {self.prompt}":
            return f"a wrong outcome: {ended}"
        if self.model == "tokens":
            return self._find_breach_of_stream(ended)
        return None

    def _find_breach_of_stream(self, ended: dict[str, Any]) -> str | None:
        words = [word + " " for word in self.prompt.split(" ")]
        output = ended["output"] or []
        if output[: len(self.heard)] != self.heard:
            return f"published output was taken back: {self.heard} became {output}"
        if ended["status"] == "failed" and ended["error"].startswith(INTERRUPTED) and words[: len(output)] == output:
            return None
        return None if output == words else f"a wrong outcome: {ended}"


@dataclass
class Load:
    """Four clients: one waits for its predictions, one does not, one follows streams, one cancels."""

    server: LiveServer
    versions: dict[str, str]
    promises: dict[str, Promise] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    surprises: list[str] = field(default_factory=list)
    """Answers that no client should get."""

    def run_for(self, seconds: float) -> None:
        """Start the server, load it, kill it so long after the last client has reached it."""
        self.server.start()
        clients = [self._wait, self._submit, self._follow, self._cancel]
        # On a busy machine the clients may take longer to start than the server is left to live.
        connected = threading.Barrier(len(clients) + 1)
        threads = [threading.Thread(target=self._repeat, args=(client, connected)) for client in clients]
        for thread in threads:
            thread.start()
        connected.wait()
        time.sleep(seconds)  # noqa: TID251 - the random moment is what is tested
        self.server.kill()
        for thread in threads:
            thread.join()

    def _repeat(self, client: Callable[[httpx.Client], None], connected: threading.Barrier) -> None:
        """Let a client go on until its connection breaks."""
        with self.server.client() as api:
            api.get("/healthz")
            connected.wait()
            try:
                while True:
                    client(api)
            except httpx.TransportError:
                return

    def _create(self, api: httpx.Client, model: str, prompt: str, **headers: str) -> dict[str, Any]:
        input = {"seconds": SLOW_SECONDS} if model == "slow" else {"prompt": prompt}
        answer = api.post("/v1/predictions", json={"version": self.versions[model], "input": input}, headers=headers)
        if answer.status_code != 201:
            self.surprises.append(answer.text)
            return {"id": "", "urls": {}}
        prediction: dict[str, Any] = answer.json()
        self.promises[prediction["id"]] = Promise(model, prompt)
        self._remember(prediction)
        return prediction

    def _remember(self, prediction: dict[str, Any]) -> None:
        if prediction["status"] in TERMINAL:
            self.promises[prediction["id"]].outcomes.append(prediction)

    def _wait(self, api: httpx.Client) -> None:
        self._create(api, "echo", f"waited for {next(self.numbers)}", Prefer="wait")

    def _submit(self, api: httpx.Client) -> None:
        self._create(api, "echo", f"submitted {next(self.numbers)}")

    def _follow(self, api: httpx.Client) -> None:
        number = next(self.numbers)
        prediction = self._create(api, "tokens", " ".join(f"{number}.{index}" for index in range(40)))
        with api.stream("GET", prediction["urls"]["stream"], headers={"Accept": "text/event-stream"}) as stream:
            kind = ""
            for line in stream.iter_lines():
                name, _, value = line.partition(": ")
                kind = value if name == "event" else kind
                if name == "data" and kind == "output":
                    self.promises[prediction["id"]].heard.append(value)

    def _cancel(self, api: httpx.Client) -> None:
        prediction = self._create(api, "slow", "")
        self._remember(api.post(f"/v1/predictions/{prediction['id']}/cancel").json())

    def settle(self) -> dict[str, dict[str, Any]]:
        """Wait until every accepted prediction has ended; returns them by id. One that is lost is among the surprises."""
        ended: dict[str, dict[str, Any]] = {}
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        with self.server.client() as api:
            for prediction_id in self.promises:
                while prediction_id not in ended and time.monotonic() < deadline:
                    answer = api.get(f"/v1/predictions/{prediction_id}", headers={"Prefer": "wait"})
                    if answer.status_code != 200:
                        self.surprises.append(f"{prediction_id} was accepted and is lost: {answer.text}")
                        break
                    ended |= {prediction_id: answer.json()} if answer.json()["status"] in TERMINAL else {}
        return ended
