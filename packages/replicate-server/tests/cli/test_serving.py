"""Starting and stopping a server process's inside, with a small application in place of the platform."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from replicate_server.serving import AnnouncingServer, ServingRefused, check_bind, open_socket, run_server
from replicate_server.settings import Settings


@dataclass
class SmallPlatform:
    """Answers 200 with its base URL, and notes its life."""

    settings: Settings
    life: list[str] = field(default_factory=list)

    async def app(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": self.settings.base_url.encode()})

    async def start(self) -> None:
        self.life.append("start")

    def close_admission(self) -> None:
        self.life.append("refuse")

    async def drain(self, grace_seconds: float) -> None:
        self.life.append("drain")

    async def close(self) -> None:
        self.life.append("close")


def build_settings(**given: Any) -> Settings:
    return Settings(**given)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return build_settings(port=0, data_dir=tmp_path / "data")


async def fetch_and_signal(settings: Settings, server: AnnouncingServer) -> int:
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(settings.base_url)).text == settings.base_url
    os.kill(os.getpid(), signal.SIGTERM)
    await server.stopped.wait()
    return 0


def test_a_server_announces_its_real_port_answers_and_stops_on_a_signal(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    built: list[SmallPlatform] = []

    def build(given: Settings) -> SmallPlatform:
        built.append(SmallPlatform(given))
        return built[-1]

    assert run_server(settings, fetch_and_signal, build=build) == 0
    [platform] = built
    assert platform.settings.port > 0
    assert platform.life == ["start", "refuse", "drain", "close"]
    assert capsys.readouterr().out == f"Listening on http://127.0.0.1:{platform.settings.port}\n"


def test_the_companions_status_is_the_servers(settings: Settings) -> None:
    async def end(settings: Settings, server: AnnouncingServer) -> int:
        server.should_exit = True
        return 3

    assert run_server(settings, end, build=SmallPlatform) == 3


def test_a_failing_companion_closes_the_platform(settings: Settings) -> None:
    platforms: list[SmallPlatform] = []

    def build(given: Settings) -> SmallPlatform:
        platforms.append(SmallPlatform(given))
        return platforms[-1]

    async def fail(settings: Settings, server: AnnouncingServer) -> int:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        run_server(settings, fail, build=build)
    assert platforms[0].life == ["start", "drain", "close"]


def test_requests_are_answered_while_running_work_ends(settings: Settings) -> None:
    class Busy(SmallPlatform):
        async def drain(self, grace_seconds: float) -> None:
            async with httpx.AsyncClient(trust_env=False) as client:
                self.life.append((await client.get(self.settings.base_url)).text)

    platforms: list[Busy] = []

    def build(given: Settings) -> Busy:
        platforms.append(Busy(given))
        return platforms[-1]

    assert run_server(settings, fetch_and_signal, build=build) == 0
    assert platforms[0].life == ["start", "refuse", platforms[0].settings.base_url, "close"]


def test_a_second_signal_ends_the_grace(settings: Settings) -> None:
    class Endless(SmallPlatform):
        async def drain(self, grace_seconds: float) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()

    assert run_server(settings, fetch_and_signal, build=Endless) == 0


def test_a_first_start_shows_its_token_once(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    async def end(settings: Settings, server: AnnouncingServer) -> int:
        server.should_exit = True
        return 0

    run_server(settings, end, build=SmallPlatform)
    token = (settings.data_dir / "token").read_text().strip()
    assert capsys.readouterr().err.count(token) == 1
    run_server(settings, end, build=SmallPlatform)
    assert capsys.readouterr().err == ""


def test_a_configured_first_token_is_not_shown(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "r8_" + "s" * 37
    monkeypatch.setenv("REPLICATE_SERVER_BOOTSTRAP_TOKEN", token)
    configured = build_settings(port=0, data_dir=settings.data_dir)

    async def end(settings: Settings, server: AnnouncingServer) -> int:
        server.should_exit = True
        return 0

    run_server(configured, end, build=SmallPlatform)
    assert token not in capsys.readouterr().err
    assert (settings.data_dir / "token").read_text().strip() == token


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServingRefused, match=f"^Port {port} is taken; .*--port.*$"):
            open_socket("127.0.0.1", port)


def test_a_data_folder_that_cannot_be_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServingRefused, match=r"cannot be the data folder: .*--data-dir"):
        run_server(build_settings(port=0, data_dir=tmp_path / "file"), build=SmallPlatform)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_an_address_of_the_network_is_refused_unless_forced(host: str, tmp_path: Path) -> None:
    with pytest.raises(ServingRefused, match="REPLICATE_SERVER_ALLOW_INSECURE_BIND"):
        check_bind(build_settings(host=host, data_dir=tmp_path))
    check_bind(build_settings(host=host, data_dir=tmp_path, allow_insecure_bind=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_a_loopback_address_needs_no_force(host: str, tmp_path: Path) -> None:
    check_bind(build_settings(host=host, data_dir=tmp_path))


def test_a_foreign_address_is_one_clear_line() -> None:
    with pytest.raises(ServingRefused, match="cannot be listened on"):
        open_socket("192.0.2.1", 0)


def test_a_server_that_ends_before_it_is_ready_does_not_hang(settings: Settings) -> None:
    class Stillborn(SmallPlatform):
        async def start(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0)

    assert run_server(settings, build=Stillborn) == 0
