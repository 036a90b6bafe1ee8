"""A sync runner in a real worker process: inputs, outputs, failures, metrics, set-up."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cog.worker.protocol import Describe, Described, Log, Ping, Pong, Ready, SetupFailed

ECHO = """
    from typing import Any
    from cog import BasePredictor, Input
    class Predictor(BasePredictor):
        def predict(self, value: Any = Input(default=None)) -> Any:
            return value
"""


@pytest.mark.parametrize("value", [None, "é🎉", 3, 2.5, True, [1, [2]], {"a": {"b/c": None}}])
def test_a_returned_json_value_comes_back_unchanged(start_worker: Callable[..., Any], value: Any) -> None:
    ending = start_worker(ECHO).predict(value=value)
    assert (ending.done.status, ending.done.output, ending.done.is_iterator) == ("succeeded", value, False)


def test_set_up_runs_once_and_its_prints_come_before_ready(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(
        """
        from cog import BasePredictor
        class Predictor(BasePredictor):
            def setup(self):
                print("loading")
                self.count = 0
            def predict(self) -> int:
                self.count += 1
                return self.count
        """,
        is_ready=False,
    )
    log, ready = worker.set_up()
    assert (log, type(ready), ready.slots) == (Log(text="loading\n"), Ready, 1)
    assert [worker.predict(name).done.output for name in "ab"] == [1, 2]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import nothing_by_that_name", "ModuleNotFoundError: No module named 'nothing_by_that_name'"),
        ("class Predictor:\n  def setup(self): raise RuntimeError('no file')\n  def predict(self): ...", "RuntimeError: no file"),
        ("def nonsense(:", "SyntaxError: invalid syntax (predict.py, line 1)"),
        ("import sys; sys.exit(4)", "SystemExit: 4"),
    ],
)  # fmt: skip
def test_a_set_up_that_fails_is_reported_with_its_error_and_ends_the_worker(
    start_worker: Callable[..., Any], source: str, error: str
) -> None:
    worker = start_worker(source, is_ready=False)
    last = worker.set_up()[-1]
    assert isinstance(last, SetupFailed)
    assert last.error.startswith(error)
    assert error.split(":")[0].rsplit(".")[-1] in last.traceback
    assert worker.process.wait(30) == 1


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("Predictor = None", "predict.py: there is nothing named Predictor to run; name a class or a function"),
        ("class Predictor: ...", "predict.py: class Predictor defines neither run() nor predict()"),
    ],
)
def test_advice_to_the_author_comes_without_a_traceback_of_ours(
    start_worker: Callable[..., Any], source: str, advice: str
) -> None:
    last = start_worker(source, is_ready=False).set_up()[-1]
    assert last.error.startswith(advice)
    assert last.traceback == ""


def test_a_file_that_cannot_be_parsed_shows_its_line_and_no_frames_of_ours(start_worker: Callable[..., Any]) -> None:
    last = start_worker("def nonsense(:", is_ready=False).set_up()[-1]
    assert last.traceback.split("\n")[0].endswith('predict.py", line 1')


def test_a_failing_set_up_keeps_its_log(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(
        """
        class Predictor:
            def setup(self):
                print("half way")
                raise ValueError("bad weights")
            def predict(self) -> str: ...
        """,
        is_ready=False,
    )
    log, failed = worker.set_up()
    assert log.text == "half way\n"
    assert failed.traceback.startswith('Traceback (most recent call last):\n  File "')
    assert "predict.py" in failed.traceback.split("\n")[1]


FAILING = """
    import sys
    class Unprintable(Exception):
        def __str__(self): raise RuntimeError
    def fail(kind: str) -> str:
        if kind == "exit": sys.exit(3)
        if kind == "interrupt": raise KeyboardInterrupt
        if kind == "empty": raise AssertionError
        if kind == "unprintable": raise Unprintable
        if kind == "bytes": return b"x"
        if kind == "nan": return {"x": [float("nan")]}
        if kind == "object": return [object()]
        if kind == "missing": import cog; return cog.Path("/nowhere/out.png")
        if kind == "folder": import cog; return cog.Path("/")
        if kind == "secret": import cog; return {"s": cog.Secret("hunter2")}
        if kind == "loop": x = []; x.append(x); return x
        raise ValueError("bad thing happened")
"""


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("value", "bad thing happened"),
        ("exit", "SystemExit: 3"),
        ("interrupt", "KeyboardInterrupt"),
        ("empty", "AssertionError"),
        ("unprintable", "Unprintable"),
        ("bytes", "the output is of type bytes, which JSON lacks"),
        ("nan", "the output at /x/0 is a float that JSON lacks: nan"),
        ("object", "the output at /0 is of type object, which cannot be written as JSON"),
        ("missing", "the output file /nowhere/out.png cannot be read: No such file or directory"),
        ("folder", "the output / is not a file"),
        ("secret", "the output at /s is a cog.Secret; secrets are never returned"),
        ("loop", "is nested more than 200 levels deep"),
    ],
)
def test_a_prediction_that_fails_says_why_and_the_worker_goes_on(start_worker: Callable[..., Any], kind: str, error: str) -> None:
    worker = start_worker(FAILING, runner="predict.py:fail")
    failed = worker.predict(kind=kind)
    assert failed.done.status == "failed"
    assert error in failed.done.error
    assert "hunter2" not in repr(failed.messages)
    assert worker.predict(kind="value").done.error == "bad thing happened"


def test_a_traceback_begins_at_the_models_code_and_is_in_the_log_too(start_worker: Callable[..., Any]) -> None:
    ending = start_worker(FAILING, runner="predict.py:fail").predict(kind="value")
    assert ending.text("stderr") == ending.done.traceback
    assert ending.done.traceback.split("\n")[1].endswith("in fail")


def test_a_missing_required_input_fails_by_name(start_worker: Callable[..., Any]) -> None:
    assert start_worker(FAILING, runner="predict.py:fail").predict().done.error == "input `kind` is required"


def test_metrics_and_context_reach_the_server(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(
        """
        from cog import BaseRunner, current_scope, emit_metric
        class Predictor(BaseRunner):
            def run(self) -> str:
                self.record_metric("timing.load", 0.5)
                current_scope().metrics.record("tokens", 2, mode="incr")
                current_scope().metrics["tokens"] = None
                emit_metric("old", 1)
                return self.scope.context["user"]
        """
    )
    worker.start(context={"user": "ada"})
    ending = worker.finish()
    assert ending.done.output == "ada"
    assert ending.metrics == [
        ("timing.load", 0.5, "replace"),
        ("tokens", 2, "increment"),
        ("tokens", None, "replace"),
        ("old", 1, "replace"),
    ]


def test_weights_are_handed_to_set_up_as_the_type_it_asks_for(start_worker: Callable[..., Any]) -> None:
    source = """
        from cog import BasePredictor, Path
        class Predictor(BasePredictor):
            def setup(self, weights: Path): self.weights = weights
            def predict(self) -> str: return type(self.weights).__name__ + " " + str(self.weights)
    """
    assert start_worker(source, weights="/some/file").predict().done.output == "Path /some/file"


def test_the_models_folder_is_where_it_runs_and_imports_from(
    start_worker: Callable[..., Any], write_model: Callable[..., Path]
) -> None:
    write_model(neighbour="NAME = 'next door'")
    worker = start_worker(
        "import os, neighbour\ndef here() -> str: return neighbour.NAME + os.getcwd()", runner="predict.py:here"
    )
    assert worker.predict().done.output == f"next door{worker.folder}"


def test_a_ping_is_answered_while_code_runs_and_shutdown_waits_for_it(start_worker: Callable[..., Any], tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    worker = start_worker(
        """
        from pathlib import Path
        def wait(gate: str) -> str:
            print("waiting")
            return Path(gate).read_text()
        """,
        runner="predict.py:wait",
    )
    worker.start(gate=str(gate))
    worker.wait_for_log("waiting")
    worker.send(Ping(nonce=7))
    assert worker.receive() == Pong(nonce=7)
    worker.send_raw(b'{"type":"shutdown"}\n')
    gate.open("w").close()
    assert worker.finish().done.status == "succeeded"
    assert worker.process.wait(30) == 0


def test_a_worker_exits_at_once_when_its_server_is_gone(start_worker: Callable[..., Any]) -> None:
    worker = start_worker("import time\ndef hang() -> str:\n    print('on')\n    time.sleep(600)", runner="predict.py:hang")
    worker.start()
    worker.wait_for_log("on")
    assert worker.hang_up() == 70


@pytest.mark.parametrize(("code", "status"), [("os._exit(9)", 9), ("os.kill(os.getpid(), 9)", -9), ("os.abort()", -6)])
def test_a_crash_ends_the_process_with_its_own_status(start_worker: Callable[..., Any], code: str, status: int) -> None:
    worker = start_worker(f"import os\ndef crash() -> str: {code}", runner="predict.py:crash")
    worker.start()
    with pytest.raises((EOFError, ConnectionResetError)):
        worker.finish()
    assert worker.process.wait(30) == status


def test_a_worker_describes_a_model_without_setting_it_up(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(
        """
        from cog import BaseRunner, concurrent
        class Predictor(BaseRunner):
            def setup(self): raise RuntimeError
            @concurrent(max=3)
            async def run(self, n: int) -> int: return n
        """,
        is_ready=False,
    )
    worker.send(Describe(runner="predict.py:Predictor", source_dir=str(worker.folder)))
    described = worker.receive()
    assert isinstance(described, Described)
    assert (described.concurrency_max, described.is_async) == (3, True)
    assert json.dumps(described.openapi_schema["components"]["schemas"]["Input"]["properties"]["n"]) == (
        '{"title": "N", "type": "integer", "x-order": 0}'
    )
    assert worker.process.wait(30) == 0


def test_every_supported_python_runs_the_same_model(start_worker: Callable[..., Any], each_python: str) -> None:
    worker = start_worker(
        """
        from __future__ import annotations
        import sys
        from typing import Iterator, Optional
        from cog import BaseModel, BasePredictor, Input, Path
        class Part(BaseModel):
            text: str
            image: Optional[Path]
        class Predictor(BasePredictor):
            def predict(self, names: list[str], times: int | None = Input(default=2, le=5)) -> Iterator[Part]:
                for name in names * times:
                    print("for", name)
                    yield Part(text=name, image=None)
        """,
        python=each_python,
    )
    ending = worker.predict(names=["a", "b"])
    assert [value["text"] for value in ending.outputs] == ["a", "b", "a", "b"]
    assert ending.text() == "for a\nfor b\nfor a\nfor b\n"
    assert (ending.done.status, ending.done.is_iterator, ending.done.output) == ("succeeded", True, None)
    assert worker.shut_down() == 0
