"""What clients see of rate limits (reference http-api §0 and §13.3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio

OTHER_TOKEN = "r8_second_account_of_the_tests"

Call = Callable[..., Awaitable[httpx.Response]]

CREATE = {"version": "a" * 64, "input": {"prompt": "hi"}}


def told(answer: httpx.Response) -> tuple[str | None, str | None]:
    return answer.headers.get("ratelimit-remaining"), answer.headers.get("ratelimit-reset")


async def drain(call: Call, count: int) -> None:
    for _ in range(count):
        await call("POST", "/v1/predictions", json=CREATE)


async def test_creates_tell_what_is_left_of_six_hundred(call: Call) -> None:
    assert told(await call("POST", "/v1/predictions", json=CREATE)) == ("599", "1")
    assert told(await call("POST", "/v1/models/alice/echo/predictions", json={"input": {"prompt": "x"}})) == ("598", "1")


async def test_getting_a_prediction_has_sixty_thousand_and_everything_else_three_thousand(world: Any, call: Call) -> None:
    prediction = world.prediction()
    assert told(await call("GET", f"/v1/predictions/{prediction.id}")) == ("59999", "1")
    assert told(await call("GET", "/v1/predictions")) == ("2999", "1")
    assert told(await call("GET", "/v1/account")) == ("2998", "1")


async def test_refused_requests_tell_it_too(call: Call) -> None:
    assert told(await call("POST", "/v1/predictions", json={})) == ("599", "1")
    assert told(await call("GET", "/v1/predictions/unknown")) == ("59999", "1")


async def test_files_and_unauthenticated_requests_do_not_tell(call: Call) -> None:
    assert told(await call("GET", "/v1/files")) == (None, None)
    assert told(await call("GET", "/v1/account", token=None)) == (None, None)
    assert told(await call("GET", "/healthz", token=None)) == (None, None)


async def test_files_draw_from_the_bucket_of_other_requests(call: Call) -> None:
    await call("GET", "/v1/files")
    assert told(await call("GET", "/v1/account")) == ("2998", "1")


async def test_one_create_too_many_is_told_when_to_come_back_and_then_succeeds(world: Any, call: Call) -> None:
    await drain(call, 600)
    refused = await call("POST", "/v1/predictions", json=CREATE)
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == "1"
    assert told(refused) == ("0", "60")
    assert refused.json() == {
        "detail": "Request was throttled. Your rate limit resets in ~1s.",
        "status": 429,
        "retry_after": 1,
    }
    world.clock.advance(seconds=1)
    assert (await call("POST", "/v1/predictions", json=CREATE)).status_code == 201


async def test_one_accounts_haste_does_not_slow_another(call: Call) -> None:
    await drain(call, 601)
    assert told(await call("POST", "/v1/predictions", json=CREATE, token=OTHER_TOKEN))[0] == "599"


async def test_reading_goes_on_while_creates_are_refused(world: Any, call: Call) -> None:
    await drain(call, 601)
    answer: Any = await call("GET", "/v1/account")
    assert answer.status_code == 200
