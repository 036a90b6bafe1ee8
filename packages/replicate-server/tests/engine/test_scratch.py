"""Files between the host and a model that is not trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from replicate_server.instances.scratch import OutputRejected, Scratch, create_scratch, replace_at


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    """The folders of an instance that runs as the test does."""
    return create_scratch(tmp_path / "instance", model_dir="/scratch", owner=None)


@pytest.fixture
def outputs(scratch: Scratch) -> Path:
    """Where a worker puts the outputs of prediction ``p``."""
    folder = scratch.folder / "work" / "p" / "outputs"
    folder.mkdir(parents=True)
    return folder


def test_an_output_is_moved_to_where_the_model_cannot_reach_it(scratch: Scratch, outputs: Path) -> None:
    (outputs / "0-a.txt").write_text("made")
    taken = Path(scratch.take_output("p", "p/outputs/0-a.txt"))
    assert taken.read_text() == "made"
    assert not taken.is_relative_to(scratch.folder / "work")
    assert not (outputs / "0-a.txt").exists()


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "p/outputs/../../q",
        "p/outputs/..",
        "p/outputs/",
        "q/outputs/0-a.txt",
        "p/inputs/0-a.txt",
        "p/outputs/a/b",
        "",
    ],
)
def test_a_path_outside_the_predictions_outputs_is_refused(scratch: Scratch, outputs: Path, path: str) -> None:
    with pytest.raises(OutputRejected):
        scratch.take_output("p", path)


def test_a_link_instead_of_an_output_is_refused(scratch: Scratch, outputs: Path) -> None:
    (outputs / "0-a.txt").symlink_to("/etc/passwd")
    with pytest.raises(OutputRejected):
        scratch.take_output("p", "p/outputs/0-a.txt")


def test_a_link_instead_of_the_outputs_folder_is_refused(scratch: Scratch, outputs: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    outputs.rmdir()
    outputs.symlink_to(outside)
    with pytest.raises(OutputRejected):
        scratch.take_output("p", "p/outputs/secret")
    assert (outside / "secret").exists()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_only_a_regular_file_is_an_output(scratch: Scratch, outputs: Path, make: object) -> None:
    assert callable(make)
    make(outputs / "0-a.txt")
    with pytest.raises(OutputRejected):
        scratch.take_output("p", "p/outputs/0-a.txt")


def test_a_file_that_the_model_does_not_own_is_no_output(scratch: Scratch, outputs: Path) -> None:
    (outputs / "0-a.txt").write_text("somebody else's")
    with pytest.raises(OutputRejected):
        Scratch(scratch.folder, "/scratch", owner=os.getuid() + 1).take_output("p", "p/outputs/0-a.txt")


def test_inputs_are_copied_and_pointed_to_as_the_model_sees_them(scratch: Scratch, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"png")
    values = {"image": None, "more": [{"mask": None}], "prompt": "a"}
    files = {"/image": str(tmp_path / "photo.png"), "/more/0/mask": str(tmp_path / "photo.png")}
    changed = scratch.copy_inputs("p", values, files)
    assert changed == {
        "image": "/scratch/p/inputs/0/photo.png",
        "more": [{"mask": "/scratch/p/inputs/1/photo.png"}],
        "prompt": "a",
    }
    assert values["image"] is None
    assert (scratch.folder / "work/p/inputs/1/photo.png").read_bytes() == b"png"


def test_a_folder_that_the_model_planted_does_not_receive_inputs(scratch: Scratch, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"png")
    (tmp_path / "outside").mkdir()
    (scratch.folder / "work" / "p").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match="exists"):
        scratch.copy_inputs("p", {"image": None}, {"/image": str(tmp_path / "photo.png")})
    assert not list((tmp_path / "outside").iterdir())


def test_discarding_follows_no_link(scratch: Scratch, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_text("kept")
    (scratch.folder / "work" / "p").symlink_to(tmp_path / "outside")
    scratch.discard("p")
    assert (tmp_path / "outside" / "kept").exists()
    assert not scratch.has_files("p")


def test_a_pointer_may_hold_escaped_characters() -> None:
    document = {"a/b": {"c~d": None}}
    replace_at(document, "/a~1b/c~0d", 1)
    assert document == {"a/b": {"c~d": 1}}
