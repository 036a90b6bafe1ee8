"""Canceling: at any moment, in any kind of code, without a trace in the next prediction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cog.worker.protocol import Cancel, Predict

MODEL = """
    import time, threading, gc
    from cog import BasePredictor, CancelationException
    class Noisy:
        def __del__(self):
            while True: pass
    class Predictor(BasePredictor):
        def predict(self, kind: str = "none") -> str:
            print("started", flush=True)
            if kind == "sleep": time.sleep(600)
            if kind == "lock": threading.Event().wait()
            if kind == "spin":
                while True: pass
            if kind == "clean":
                try: time.sleep(600)
                except CancelationException:
                    print("cleaned up")
                    raise
            if kind == "swallow":
                try: time.sleep(600)
                except CancelationException: return "ignored it"
            if kind == "flood":
                while True: print("x" * 1000)
            if kind == "finalizer":
                noisy = Noisy()
                del noisy
                time.sleep(600)
            return "untouched"
"""


@pytest.mark.parametrize("kind", ["sleep", "lock", "spin", "clean", "swallow", "flood", "finalizer"])
def test_canceling_stops_the_code_and_leaves_the_worker_usable(start_worker: Callable[..., Any], kind: str) -> None:
    worker = start_worker(MODEL)
    worker.start(kind=kind)
    worker.wait_for_log("started")
    done = worker.cancel().done
    assert (done.status, done.output, done.error) == ("canceled", None, None)
    assert worker.predict("next").done.output == "untouched"


def test_code_that_catches_the_cancelation_can_clean_up(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(MODEL)
    worker.start(kind="clean")
    worker.wait_for_log("started")
    assert worker.cancel().text() == "cleaned up\n"


def test_a_second_cancel_does_not_disturb_the_clean_up(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(
        """
        import time
        from cog import CancelationException
        def work() -> str:
            print("started", flush=True)
            try: time.sleep(600)
            except CancelationException:
                print("cleaning", flush=True)
                time.sleep(0.2)
                print("clean")
                raise
        """,
        runner="predict.py:work",
    )
    worker.start()
    worker.wait_for_log("started")
    worker.send(Cancel(id="p"))
    worker.wait_for_log("cleaning")
    assert worker.cancel().text() == "clean\n"


@pytest.mark.slow
@pytest.mark.parametrize("is_async", [False, True])
def test_a_cancel_right_after_the_start_is_never_lost_and_never_leaks(start_worker: Callable[..., Any], is_async: bool) -> None:
    prefix, sleep = [("def", "time.sleep"), ("async def", "await asyncio.sleep")][is_async]
    worker = start_worker(
        f"""
        import asyncio, time
        {prefix} nap(seconds: float) -> str:
            {sleep}(seconds)
            return "rested"
        """,
        runner="predict.py:nap",
    )
    for number in range(100):
        victim, next_one = f"victim-{number}", f"next-{number}"
        worker.send(Predict(id=victim, input={"seconds": 600}), Cancel(id=victim))
        assert worker.finish(victim).done.status == "canceled"
        assert worker.predict(next_one, seconds=0).done.output == "rested"


@pytest.mark.slow
def test_a_cancel_that_comes_as_a_blocking_call_begins_is_not_lost(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(MODEL)
    for number in range(300):
        worker.start(f"p{number}", kind="sleep")
        worker.wait_for_log("started")
        assert worker.cancel(f"p{number}").done.status == "canceled"


@pytest.mark.slow
def test_a_cancel_that_races_with_the_end_belongs_to_its_own_prediction_only(start_worker: Callable[..., Any]) -> None:
    worker = start_worker("def quick() -> str: return 'quick'", runner="predict.py:quick")
    for number in range(300):
        worker.send(Predict(id=f"a{number}"), Cancel(id=f"a{number}"), Predict(id=f"b{number}"))
        assert worker.finish(f"a{number}").done.status in {"succeeded", "canceled"}
        assert worker.finish(f"b{number}").done.output == "quick"


def test_cancels_of_unknown_and_finished_predictions_are_ignored(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(MODEL)
    worker.send(Cancel(id="never"))
    assert worker.predict("p").done.output == "untouched"
    worker.send(Cancel(id="p"))
    assert worker.predict("never").done.output == "untouched"


def test_a_canceled_generator_is_closed_between_two_values(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(
        """
        from typing import Iterator
        def count() -> Iterator[int]:
            number = 0
            try:
                while True:
                    yield number
                    number += 1
            finally:
                print("closed")
        """,
        runner="predict.py:count",
    )
    worker.start()
    assert worker.receive().value == 0
    ending = worker.cancel()
    assert ending.done.status == "canceled"
    assert ending.text() == "closed\n"
    assert ending.outputs == list(range(1, len(ending.outputs) + 1))


def test_canceling_works_on_every_supported_python(start_worker: Callable[..., Any], each_python: str) -> None:
    worker = start_worker(MODEL, python=each_python)
    for kind in ("sleep", "spin"):
        worker.start(kind, kind=kind)
        worker.wait_for_log("started")
        assert worker.cancel(kind).done.status == "canceled"
    assert worker.predict().done.output == "untouched"
