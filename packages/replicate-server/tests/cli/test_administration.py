"""``account`` and ``token`` commands on a data folder."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from replicate_server.administration import ensure_first_token, with_accounts
from replicate_server.cli import main
from replicate_server.services.accounts import AccountService

TOKEN = "r8_" + "t" * 37


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    ensure_first_token(tmp_path / "data", username="local", token=TOKEN)
    return tmp_path / "data"


def test_the_first_token_is_written_for_its_owner_only(data_dir: Path) -> None:
    assert (data_dir / "token").read_text() == TOKEN + "\n"
    assert (data_dir / "token").stat().st_mode & 0o777 == 0o600


def test_a_second_start_creates_no_token(data_dir: Path) -> None:
    assert ensure_first_token(data_dir, username="local", token=None) is None


def test_a_created_token_is_shown_once_and_can_be_listed_and_revoked(runner: CliRunner, data_dir: Path) -> None:
    at = ["--data-dir", str(data_dir)]
    token = runner.invoke(main, ["token", "create", "--name", "laptop", *at]).stdout.strip()
    assert re.fullmatch(r"r8_\w{37}", token)
    listed = runner.invoke(main, ["token", "list", *at]).stdout
    assert token not in listed
    token_id = listed.splitlines()[1].split()[0]
    assert runner.invoke(main, ["token", "revoke", token_id, *at]).exit_code == 0
    assert "revoked" in runner.invoke(main, ["token", "list", *at]).stdout.splitlines()[1]


def test_revoking_an_unknown_token_is_one_clear_line(runner: CliRunner, data_dir: Path) -> None:
    result = runner.invoke(main, ["token", "revoke", "tok_none", "--data-dir", str(data_dir)])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "tok_none" in result.stderr


def test_accounts_are_created_and_listed(runner: CliRunner, data_dir: Path) -> None:
    at = ["--data-dir", str(data_dir)]
    created = runner.invoke(main, ["account", "create", "team", "--organization", *at])
    assert created.stdout.startswith("acct_")
    lines = runner.invoke(main, ["account", "list", *at]).stdout.splitlines()
    assert [line.split()[1:] for line in lines] == [["local", "user"], ["team", "organization"]]
    again = runner.invoke(main, ["account", "create", "team", *at])
    assert (again.exit_code, again.stderr) == (1, "replicate-server: The username team is taken.\n")


def test_a_misspelt_data_folder_is_refused_and_not_created(runner: CliRunner, tmp_path: Path) -> None:
    result = runner.invoke(main, ["token", "list", "--data-dir", str(tmp_path / "dada")])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert not (tmp_path / "dada").exists()


def test_members_are_added_listed_and_removed(runner: CliRunner, data_dir: Path) -> None:
    at = ["--data-dir", str(data_dir)]
    runner.invoke(main, ["account", "create", "team", "--organization", *at])
    assert runner.invoke(main, ["member", "add", "team", "local", "--role", "admin", *at]).exit_code == 0
    assert runner.invoke(main, ["member", "list", "team", *at]).stdout == "local  admin\n"
    assert runner.invoke(main, ["member", "remove", "team", "local", *at]).exit_code == 0
    assert runner.invoke(main, ["member", "list", "team", *at]).stdout == ""
    refused = runner.invoke(main, ["member", "add", "local", "team", *at])
    assert (refused.exit_code, refused.stderr) == (1, "replicate-server: local is not an organization.\n")


def test_a_token_may_be_limited_and_shows_its_limits(runner: CliRunner, data_dir: Path) -> None:
    at = ["--data-dir", str(data_dir)]
    assert runner.invoke(main, ["token", "create", "--scopes", "run, read", "--expires", "30", *at]).exit_code == 0
    line = runner.invoke(main, ["token", "list", *at]).stdout.splitlines()[1]
    assert "read,run  until 2" in line
    wrong = runner.invoke(main, ["token", "create", "--scopes", "fly", *at])
    assert (wrong.exit_code, "unknown: fly" in wrong.stderr) == (2, True)


def test_a_webhook_secret_is_rotated_and_printed(runner: CliRunner, data_dir: Path) -> None:
    rotated = [runner.invoke(main, ["webhook-secret", "rotate", "--data-dir", str(data_dir)]).stdout for _ in range(2)]
    keys = with_accounts(data_dir, _signing_keys)
    assert rotated == [f"{keys[1]}\n", f"{keys[0]}\n"]


async def _signing_keys(accounts: AccountService) -> list[str]:
    return await accounts.signing_keys((await accounts.account_by_username("local")).id)


def test_the_database_of_a_newer_release_is_one_clear_line(runner: CliRunner, data_dir: Path) -> None:
    with closing(sqlite3.connect(data_dir / "replicate.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    result = runner.invoke(main, ["account", "list", "--data-dir", str(data_dir)])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "install the release that wrote it" in result.stderr


def test_doctor_ends_with_a_verdict(runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATE_SERVER_PORT", "0")
    result = runner.invoke(main, ["doctor", "--data-dir", str(tmp_path)])
    assert result.stdout.splitlines()[-1].startswith("The server can run here")
