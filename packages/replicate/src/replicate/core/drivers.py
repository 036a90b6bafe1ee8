"""The two ways to run a flow: blocking and on an event loop. The only twins in the SDK that hold more than one line.

A driver knows no HTTP: it performs steps on a wire and hands results and errors back, so that the flow decides what they mean.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, AsyncGenerator, Callable, Generator, TypeVar

from replicate.core.steps import Action, ActionFeed, Actions, Emit

if TYPE_CHECKING:
    from replicate.core.wire import AsyncWire, Wire

T = TypeVar("T")


def drive(flow: Actions[T], wire: Wire) -> T:
    """Run a flow to its end on the calling thread and return its value."""
    resume: Callable[[], Action] = partial(next, flow)
    try:
        while True:
            try:
                step = resume()
            except StopIteration as finished:
                value: T = finished.value
                return value
            try:
                resume = partial(flow.send, step.on(wire))
            except Exception as error:  # noqa: BLE001  # handed back: the flow decides
                resume = partial(flow.throw, error)
    finally:
        flow.close()
        wire.close()


async def drive_async(flow: Actions[T], wire: AsyncWire) -> T:
    """Run a flow to its end on the running event loop and return its value."""
    resume: Callable[[], Action] = partial(next, flow)
    try:
        while True:
            try:
                step = resume()
            except StopIteration as finished:
                value: T = finished.value
                return value
            try:
                resume = partial(flow.send, await step.on(wire))
            except Exception as error:  # noqa: BLE001  # handed back: the flow decides
                resume = partial(flow.throw, error)
    finally:
        flow.close()
        await wire.close()


def drive_each(feed: ActionFeed[T], wire: Wire) -> Generator[T, None, None]:
    """Run a feed on the calling thread, yielding its items as they come; closes the connection when iteration stops."""
    resume = partial(next, feed)
    try:
        while True:
            try:
                step = resume()
            except StopIteration:
                return
            if isinstance(step, Emit):
                yield step.item
                resume = partial(next, feed)
                continue
            try:
                resume = partial(feed.send, step.on(wire))
            except Exception as error:  # noqa: BLE001  # handed back: the flow decides
                resume = partial(feed.throw, error)
    finally:
        feed.close()
        wire.close()


async def drive_each_async(feed: ActionFeed[T], wire: AsyncWire) -> AsyncGenerator[T, None]:
    """Run a feed on the running event loop, yielding its items as they come; closes the connection when iteration stops."""
    resume = partial(next, feed)
    try:
        while True:
            try:
                step = resume()
            except StopIteration:
                return
            if isinstance(step, Emit):
                yield step.item
                resume = partial(next, feed)
                continue
            try:
                resume = partial(feed.send, await step.on(wire))
            except Exception as error:  # noqa: BLE001  # handed back: the flow decides
                resume = partial(feed.throw, error)
    finally:
        feed.close()
        await wire.close()
