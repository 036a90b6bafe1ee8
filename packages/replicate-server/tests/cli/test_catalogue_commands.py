"""``collection`` and ``model`` commands on a data folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from replicate_server.administration import OperatorDesk, ensure_first_token, with_catalogue
from replicate_server.cli import main
from replicate_server.domain.records import Model
from replicate_server.ports.clock import SystemClock, system_randomness
from replicate_server.quickstart import collect_starters
from replicate_server.services.models import ModelService


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    ensure_first_token(folder, username="starter", token="r8_" + "t" * 37)

    async def create(desk: OperatorDesk) -> None:
        account = await desk.accounts.account_by_username("starter")
        models = ModelService(desk.store, SystemClock(), system_randomness)
        for name in ("story", "speak"):
            fields = {"owner": "starter", "name": name, "visibility": "public", "hardware": "cpu"}
            await models.create(account, fields)

    with_catalogue(folder, create)
    return folder


def load_names(data_dir: Path, slug: str) -> list[str]:
    """The models of a collection, in order."""

    async def load(desk: OperatorDesk) -> list[Model]:
        account = await desk.accounts.account_by_username("starter")
        return list(await desk.collections.models(account, await desk.collections.get(slug)))

    return [model.name for model in with_catalogue(data_dir, load)]


def test_a_collection_is_created_filled_listed_and_thinned(runner: CliRunner, data_dir: Path) -> None:
    at = ["--data-dir", str(data_dir)]
    made = runner.invoke(main, ["collection", "create", "talk", "--name", "Talking", "--description", "Say it", *at])
    assert (made.exit_code, made.stderr) == (0, "")
    for name in ("starter/speak", "starter/story"):
        assert runner.invoke(main, ["collection", "add", "talk", name, *at]).exit_code == 0
    assert runner.invoke(main, ["collection", "list", *at]).stdout == "talk  Talking  Say it\n"
    assert load_names(data_dir, "talk") == ["speak", "story"]
    assert runner.invoke(main, ["collection", "remove", "talk", "starter/speak", *at]).exit_code == 0
    assert load_names(data_dir, "talk") == ["story"]


@pytest.mark.parametrize(
    "arguments", [["add", "none", "starter/story"], ["add", "talk", "starter/none"], ["remove", "talk", "starter/story"]]
)
def test_what_is_not_there_is_one_clear_line(runner: CliRunner, data_dir: Path, arguments: list[str]) -> None:
    at = ["--data-dir", str(data_dir)]
    runner.invoke(main, ["collection", "create", "talk", *at])
    result = runner.invoke(main, ["collection", *arguments, *at])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


def test_the_starter_models_are_collected_at_every_start_and_only_once(data_dir: Path) -> None:
    collect_starters(data_dir, ["starter/story"])
    collect_starters(data_dir, ["starter/story", "starter/speak"])
    assert load_names(data_dir, "starter") == ["story", "speak"]


def test_a_model_becomes_official_and_plain_again(runner: CliRunner, data_dir: Path) -> None:
    async def load(desk: OperatorDesk) -> Model | None:
        return await desk.store.model("starter", "story")

    for flags, expected in (([], True), (["--off"], False)):
        assert runner.invoke(main, ["model", "official", "starter/story", *flags, "--data-dir", str(data_dir)]).exit_code == 0
        model = with_catalogue(data_dir, load)
        assert model is not None
        assert model.is_official is expected
    unknown = runner.invoke(main, ["model", "official", "starter/none", "--data-dir", str(data_dir)])
    assert (unknown.exit_code, unknown.stderr) == (1, "replicate-server: There is no model starter/none.\n")
