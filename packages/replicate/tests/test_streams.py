"""Event streams: what callers see, resuming after a break, and errors; over the scripted transport and a real socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from replicate import Client
from replicate.core.retry import RetryPolicy
from replicate.exceptions import (
    ModelError,
    StreamingNotSupportedError,
    StreamInterruptedError,
    UnexpectedAnswerError,
)
from replicate.helpers import FileOutput
from replicate.stream import ServerSentEvent

pytestmark = pytest.mark.anyio
Make = Callable[..., Any]
HELLO = b"event: output\nid: 1:0\ndata: Hel\n\n"
LO = b"event: output\nid: 1:1\ndata: lo\ndata: \xe2\x80\xa8you\n\n"
DONE = b"event: done\nid: 1:2\ndata: {}\n\n"


@pytest.fixture
def streaming(platform: Any, prediction_json: Make) -> Callable[..., None]:
    """Lets the platform stream these answers for any new prediction."""

    def script(*answers: Any, base_url: str = "http://api.test") -> None:
        urls = {"stream": f"{base_url}/v1/streams/t0ken"}
        platform.answer("POST", "/v1/models/starter/story/predictions", prediction_json("starting", urls=urls))
        platform.answer("GET", "/v1/streams/t0ken", *answers)

    return script


def test_events_print_as_their_text(client: Client, platform: Any, streaming: Make, event_stream: Make) -> None:
    streaming(event_stream(b": hi\n\n", HELLO, LO, DONE))
    events = list(client.stream("starter/story", input={"prompt": "x"}))
    assert "".join(str(event) for event in events) == "Hello\n\u2028you"
    assert [event.event for event in events] == ["output", "output", ServerSentEvent.EventType.DONE]
    assert platform.sent(0) == {"input": {"prompt": "x"}, "stream": True}


async def test_events_come_asynchronously(client: Client, streaming: Make, event_stream: Make) -> None:
    streaming(event_stream(HELLO, LO, DONE))
    events = client.async_stream("starter/story", input={"prompt": "x"})
    assert "".join([str(event) async for event in events]) == "Hello\n\u2028you"
    await client.async_close()


def test_a_broken_stream_is_resumed_after_the_last_event(
    client: Client, platform: Any, streaming: Make, event_stream: Make
) -> None:
    streaming(event_stream(HELLO, LO[:12]), httpx.ReadError("cut"), event_stream(LO, DONE))
    assert "".join(str(event) for event in client.stream("starter/story", {})) == "Hello\n\u2028you"
    assert [request.headers.get("last-event-id") for request in platform.requests[1:]] == [None, "1:0", "1:0"]


def test_a_stream_without_ids_that_breaks_is_an_error_not_a_short_text(
    client: Client, streaming: Make, event_stream: Make
) -> None:
    streaming(event_stream(b"event: output\ndata: Hel\n\n"))
    with pytest.raises(StreamInterruptedError):
        list(client.stream("starter/story", {}))


def test_a_stream_that_gives_nothing_new_is_given_up(client: Client, platform: Any, streaming: Make, event_stream: Make) -> None:
    streaming(event_stream(b": beat\n"))
    with pytest.raises(StreamInterruptedError):
        list(client.stream("starter/story", {}))
    assert len(platform.requests) == 1 + 3


def test_an_error_event_raises_after_what_came_before(client: Client, streaming: Make, event_stream: Make) -> None:
    streaming(event_stream(HELLO, b'event: error\nid: 1:1\ndata: {"detail": "no memory"}\n\n'))
    events = client.stream("starter/story", {})
    assert str(next(events)) == "Hel"
    with pytest.raises(ModelError, match="no memory") as caught:
        next(events)
    assert caught.value.prediction.status == "failed"


def test_output_files_arrive_as_file_outputs(client: Client, streaming: Make, event_stream: Make) -> None:
    streaming(event_stream(b"event: output\nid: 1\ndata: https://files.example/a.png\n\n", DONE))
    event = next(iter(client.stream("starter/story", {})))
    assert isinstance(event.data, FileOutput)
    assert str(event) == "https://files.example/a.png"


def test_events_of_unknown_kinds_are_passed_on(client: Client, streaming: Make, event_stream: Make) -> None:
    streaming(event_stream(b"event: heat\nid: 1\ndata: 40\n\n", DONE))
    event = next(iter(client.stream("starter/story", {})))
    assert (event.event, event.data, str(event)) == ("heat", "40", "")


def test_a_model_without_a_stream_says_so(client: Client, platform: Any, prediction_json: Make) -> None:
    platform.answer("POST", "/v1/models/starter/story/predictions", prediction_json("starting"))
    with pytest.raises(StreamingNotSupportedError, match="does not support streaming"):
        list(client.stream("starter/story", {}))


def test_an_answer_that_is_no_stream_is_refused(client: Client, streaming: Make) -> None:
    streaming({"detail": "hello"})
    with pytest.raises(UnexpectedAnswerError, match="expected text/event-stream"):
        list(client.stream("starter/story", {}))


def test_another_hosts_stream_gets_no_token(client: Client, platform: Any, streaming: Make, event_stream: Make) -> None:
    streaming(event_stream(DONE), base_url="http://stream.elsewhere.test")
    list(client.stream("starter/story", {}))
    assert "authorization" not in platform.requests[1].headers


def test_nothing_is_sent_before_the_first_event_is_asked_for(client: Client, platform: Any) -> None:
    client.stream("starter/story", {})
    assert platform.requests == []


@pytest.fixture
def socket_client(served: str) -> Any:
    """A client that talks to the scripted platform over a real connection."""
    policy = RetryPolicy(attempts_max=3, backoff_seconds=0.0)
    return Client("r8_secret", base_url=served, retry_policy=policy)


def test_a_stream_crosses_a_real_socket(socket_client: Client, served: str, streaming: Make, event_stream: Make) -> None:
    streaming(event_stream(HELLO[:9], HELLO[9:] + LO[:20], LO[20:], DONE), base_url=served)
    with socket_client:
        assert "".join(str(event) for event in socket_client.stream("starter/story", {})) == "Hello\n\u2028you"


def test_leaving_a_stream_early_closes_its_connection(
    socket_client: Client, served: str, streaming: Make, event_stream: Make
) -> None:
    streaming(event_stream(HELLO, LO, DONE), base_url=served)
    with socket_client:
        events = socket_client.stream("starter/story", {})
        next(events)
        events.close()  # type: ignore[attr-defined]  # an iterator that happens to be a generator


async def test_a_stream_crosses_a_real_socket_asynchronously(
    socket_client: Client, served: str, streaming: Make, event_stream: Make
) -> None:
    streaming(event_stream(HELLO, LO, DONE), base_url=served)
    async with socket_client:
        texts = [str(event) async for event in socket_client.async_stream("starter/story", {})]
    assert texts == ["Hel", "lo\n\u2028you", ""]
