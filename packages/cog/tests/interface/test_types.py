"""The small types of the interface."""

from __future__ import annotations

import dataclasses
import io
import sys
from pathlib import Path as LocalPath
from typing import Any, Optional

import pytest
from cog import BaseModel, BasePredictor, BaseRunner, File, Input, Path, Secret, URLFile, URLPath, concurrent, current_scope
from cog.coder import Coder
from cog.scope import OUTSIDE, Metrics


def test_an_input_default_of_none_differs_from_no_default() -> None:
    assert (Input().has_default, Input(default=None).has_default, Input(None).has_default) == (False, True, True)


def test_a_default_factory_is_refused_with_advice() -> None:
    with pytest.raises(TypeError, match="no default_factory: write default="):
        Input(default_factory=list)


def test_field_information_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Input(ge=1).ge = 2


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret("hunter2")
    shown = f"{secret} {secret!r} {[secret]} {dataclasses.asdict(dataclasses.make_dataclass('Holder', ['s'])(1))}"
    assert "hunter2" not in shown
    assert secret.get_secret_value() == "hunter2"
    assert str(Secret(None)) == ""


def test_a_path_is_a_pathlib_path_in_everything_it_does(tmp_path: LocalPath) -> None:
    path = Path(tmp_path) / "a.txt"
    path.write_text("x")
    assert isinstance(path, Path)
    assert isinstance(path, LocalPath)
    assert path.read_text() == "x"


def test_text_becomes_a_path_and_urls_become_deferred_ones() -> None:
    assert type(Path.validate("/a/b")) is Path
    url = Path.validate("https://example.com/a%20b.png?x=1")
    assert isinstance(url, URLPath)
    assert (url.name, str(url)) == ("a b.png", "https://example.com/a%20b.png?x=1")
    with pytest.raises(ValueError, match="not int"):
        Path.validate(3)


def test_a_data_url_path_is_written_once_and_removed_again() -> None:
    url = URLPath("data:text/plain;base64,aGk=")
    local = url.convert()
    assert (local.read_text(), url.convert()) == ("hi", local)
    url.unlink()
    assert not local.exists()


def test_a_file_may_be_a_data_url_a_path_or_open_already(tmp_path: LocalPath) -> None:
    (tmp_path / "f").write_bytes(b"x")
    with File.validate(str(tmp_path / "f")) as opened:
        assert opened.read() == b"x"
    assert File.validate("data:,a%20b").read() == b"a b"
    buffer = io.BytesIO()
    assert File.validate(buffer) is buffer
    assert isinstance(File.validate("http://example.com/x.wav"), URLFile)


def test_a_model_is_a_dataclass_with_its_own_copies_of_defaults() -> None:
    class Out(BaseModel):
        text: str
        note: Optional[str]
        tags: list[str] = []  # noqa: RUF012 - the author's way of writing it

    first, second = Out(text="a"), Out(text="b")  # type: ignore[call-arg]
    first.tags.append("x")
    assert (second.tags, second.note, first.dict()) == ([], None, {"text": "a", "note": None, "tags": ["x"]})


def test_a_model_may_stay_a_plain_class() -> None:
    class Plain(BaseModel, auto_dataclass=False):
        def __init__(self) -> None:
            self.x = 1

    assert Plain().x == 1


def test_predict_and_run_are_two_names_of_one_method() -> None:
    class Runner(BaseRunner):
        def run(self, n: int) -> int:
            return n + 1

    assert Runner().predict(n=1) == 2
    assert issubclass(BasePredictor, BaseRunner)
    with pytest.raises(NotImplementedError):
        BasePredictor().predict()


@pytest.mark.parametrize("value", [0, -1, True, "2", 1.5])
def test_concurrency_is_a_whole_number_of_at_least_one(value: Any) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        concurrent(max=value)


def test_outside_predictions_the_scope_is_silent() -> None:
    assert current_scope() is OUTSIDE
    current_scope().record_metric("anything", 1)
    assert current_scope().context == {}


@pytest.mark.parametrize("name", ["", "1a", "a..b", "a__b", "a.b.c.d.e", "x" * 129, "predict_time", "cog.x", "a-b", "é"])
def test_metric_names_follow_the_rules(name: str) -> None:
    with pytest.raises(ValueError, match="metric name"):
        current_scope().metrics[name] = 1


def test_a_metric_keeps_its_type_until_it_is_deleted() -> None:
    sent: list[Any] = []
    metrics = Metrics(lambda *values: sent.append(values))
    metrics["a"] = 1
    metrics.record("a", 2.5, mode="incr")
    with pytest.raises(TypeError, match="holds a number; delete it"):
        metrics["a"] = "text"
    del metrics["a"]
    metrics["a"] = "text"
    assert sent == [("a", 1, "replace"), ("a", 2.5, "increment"), ("a", None, "replace"), ("a", "text", "replace")]


def test_the_latest_coder_that_accepts_a_type_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Coder, "_registered", [])

    @Coder.register
    class ComplexCoder(Coder):
        @staticmethod
        def factory(value_type: type[Any]) -> Optional[Coder]:
            return ComplexCoder() if value_type is complex else None

        def encode(self, value: complex) -> dict[str, Any]:
            return {"real": value.real, "imag": value.imag}

        def decode(self, value: dict[str, Any]) -> complex:
            return complex(value["real"], value["imag"])

    found = Coder.lookup(complex)
    assert found is not None
    assert found.decode(found.encode(1 + 2j)) == 1 + 2j
    assert Coder.lookup(str) is None
    assert "asyncio" not in (sys.modules["cog.coder"].__doc__ or "")
