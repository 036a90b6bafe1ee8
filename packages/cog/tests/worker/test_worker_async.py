"""Async runners: concurrency, attribution of logs, streaming, canceling one of several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cog.worker.protocol import Cancel, Done, Log, Output, Ready, SetupFailed

MEETING = """
    import asyncio
    from cog import BaseRunner
    class Predictor(BaseRunner):
        async def setup(self):
            print("loading")
            self.arrived = asyncio.Event()
        async def run(self, role: str = "alone") -> str:
            print("I am", role)
            if role == "second": self.arrived.set()
            if role == "first": await self.arrived.wait()
            if role == "hang": await asyncio.sleep(600)
            if role == "clean":
                try: await asyncio.sleep(600)
                finally: print("cleaned up")
            print("done", role)
            return role
"""


def test_predictions_run_at_once_and_each_keeps_its_own_log(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(MEETING, concurrency_max=2)
    worker.start("a", role="first")
    worker.start("b", role="second")
    messages = worker.receive_until(lambda message: isinstance(message, Done) and message.id == "a")
    logs = {name: [m.text for m in messages if isinstance(m, Log) and m.id == name] for name in "ab"}
    assert logs == {"a": ["I am first\n", "done first\n"], "b": ["I am second\n", "done second\n"]}
    assert [m.output for m in messages if isinstance(m, Done)] == ["second", "first"]


def test_ready_tells_the_slots_of_the_decorator_unless_the_server_sets_more(start_worker: Callable[..., Any]) -> None:
    source = "from cog import concurrent\n@concurrent(max=3)\nasync def run() -> str: ..."
    for concurrency_max, slots in ((1, 3), (8, 8)):
        worker = start_worker(source, is_ready=False)
        ready = worker.set_up("predict.py:run", concurrency_max=concurrency_max)[-1]
        assert isinstance(ready, Ready)
        assert (ready.slots, ready.is_async) == (slots, True)


def test_a_sync_runner_refuses_concurrency(start_worker: Callable[..., Any]) -> None:
    failed = start_worker("def run() -> str: ...", is_ready=False).set_up("predict.py:run", concurrency_max=2)[-1]
    assert isinstance(failed, SetupFailed)
    assert "run() is not async, so it cannot answer 2 predictions at once" in failed.error


def test_canceling_one_prediction_leaves_the_others_running(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(MEETING, concurrency_max=3)
    worker.start("a", role="first")
    worker.start("c", role="clean")
    worker.wait_for_log("I am clean")
    ending = worker.cancel("c")
    assert (ending.done.status, ending.text()) == ("canceled", "cleaned up\n")
    worker.start("b", role="second")
    assert worker.finish("a").done.output == "first"


def test_a_cancel_while_another_prediction_blocks_the_loop_is_kept(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(MEETING, concurrency_max=2)
    for number in range(50):
        worker.start(f"p{number}", role="hang")
        worker.send(Cancel(id=f"p{number}"))
        assert worker.finish(f"p{number}").done.status == "canceled"


def test_an_async_generator_streams_as_it_yields(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(
        """
        import asyncio
        from cog import AsyncConcatenateIterator
        gate = asyncio.Event()
        async def tell(role: str) -> AsyncConcatenateIterator[str]:
            if role == "open":
                gate.set()
                return
            yield "one"
            await gate.wait()
            yield "two"
        """,
        runner="predict.py:tell",
        concurrency_max=2,
    )
    worker.start("a", role="speak")
    assert worker.receive() == Output(id="a", index=0, value="one")
    worker.start("b", role="open")
    ending = worker.finish("a")
    assert ending.outputs == ["two"]
    assert (ending.done.status, ending.done.is_iterator) == ("succeeded", True)


def test_exits_and_errors_in_tasks_fail_only_their_prediction(start_worker: Callable[..., Any]) -> None:
    worker = start_worker("import sys\nasync def leave(code: int) -> str:\n    sys.exit(code)", runner="predict.py:leave")
    assert [worker.predict(str(code), code=code).done.error for code in (3, 4)] == ["SystemExit: 3", "SystemExit: 4"]


def test_native_output_of_a_prediction_that_runs_alone_is_its_own(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(
        "import os\nasync def run() -> str:\n    os.write(1, b'native\\n')\n    print('python')\n    return ''",
        runner="predict.py:run",
    )
    assert sorted(message.text for message in worker.predict().messages[:-1]) == ["native\n", "python\n"]


def test_async_runners_work_on_every_supported_python(start_worker: Callable[..., Any], each_python: str) -> None:
    worker = start_worker(MEETING, python=each_python, concurrency_max=2)
    worker.start("a", role="first")
    worker.start("b", role="second")
    assert worker.finish("a").done.output == "first"
    worker.start("c", role="hang")
    worker.wait_for_log("I am hang")
    assert worker.cancel("c").done.status == "canceled"
    assert worker.shut_down() == 0
