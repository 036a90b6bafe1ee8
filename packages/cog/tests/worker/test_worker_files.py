"""Files through the worker: inputs as paths and open files, outputs collected with their place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MAKE = """
    import io, tempfile
    from typing import Any, Iterator
    from cog import BaseModel, File, Path
    class Part(BaseModel):
        label: str
        image: Path
    def out(name, text):
        path = Path(tempfile.mkdtemp()) / name
        path.write_text(text)
        return path
    def make(kind: str) -> Any:
        if kind == "one": return out("a.txt", "A")
        if kind == "list": return [out("a.txt", "A"), "text", out("a.txt", "B")]
        if kind == "model": return {"x/y": Part(label="l", image=out("i.png", "I"))}
        if kind == "bytes": return io.BytesIO(b"buffer")
        if kind == "text": return io.StringIO("é")
        if kind == "open":
            handle = tempfile.NamedTemporaryFile(suffix=".wav", delete=False); handle.write(b"W"); return handle
        if kind == "written":
            handle = open(out("w.txt", ""), "w"); handle.write("W"); return handle
        if kind == "long": return out("n" * 200 + "é" * 20 + ".jpeg", "L")
    def twice() -> Iterator[Path]:
        path = out("same.txt", "first")
        yield path
        path.write_text("second")
        yield path
"""


@pytest.mark.parametrize(
    ("kind", "value", "files"),
    [
        ("one", None, [("", "a.txt", "A")]),
        ("list", [None, "text", None], [("/0", "a.txt", "A"), ("/2", "a.txt", "B")]),
        ("model", {"x/y": {"label": "l", "image": None}}, [("/x~1y/image", "i.png", "I")]),
        ("bytes", None, [("", "output.bin", "buffer")]),
        ("text", None, [("", "output.txt", "é")]),
        ("written", None, [("", "w.txt", "W")]),
    ],
)
def test_files_in_an_output_are_collected_with_their_pointer(
    start_worker: Callable[..., Any], kind: str, value: Any, files: list[tuple[str, str, str]]
) -> None:
    worker = start_worker(MAKE, runner="predict.py:make")
    done = worker.predict(kind=kind).done
    assert done.output == value
    assert [(item.pointer, item.name, (worker.scratch_dir / item.path).read_text()) for item in done.files] == files
    assert [item.path for item in done.files] == [f"p/outputs/{index}-{item.name}" for index, item in enumerate(done.files)]


def test_an_open_temporary_file_keeps_its_extension(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(MAKE, runner="predict.py:make")
    (file,) = worker.predict(kind="open").done.files
    assert file.name.endswith(".wav")
    assert (worker.scratch_dir / file.path).read_bytes() == b"W"


def test_a_name_too_long_for_a_numbered_file_is_shortened_on_disk_only(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(MAKE, runner="predict.py:make")
    (file,) = worker.predict(kind="long").done.files
    assert file.name.endswith("éé.jpeg")
    assert file.path.endswith(".jpeg")
    assert (worker.scratch_dir / file.path).read_text() == "L"


def test_a_file_yielded_twice_is_kept_as_it_was_each_time(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(MAKE, runner="predict.py:twice")
    messages = worker.predict().messages[:-1]
    assert [(worker.scratch_dir / message.files[0].path).read_text() for message in messages] == ["first", "second"]
    assert [message.files[0].path for message in messages] == ["p/outputs/0-same.txt", "p/outputs/1-same.txt"]


def test_inputs_arrive_as_the_types_the_annotations_name(start_worker: Callable[..., Any], tmp_path: Path) -> None:
    worker = start_worker(
        """
        from typing import List, Optional
        from cog import File, Input, Path, Secret
        def look(path: Path, file: File, paths: List[Path], secret: Secret, ratio: float, whole: int,
                 absent: Optional[Path], note: str = None, fallback: str = Input(default="d")) -> list:
            assert isinstance(path, Path) and all(isinstance(item, Path) for item in paths)
            print(secret, repr([secret]))
            return [path.read_text(), file.read().decode(), len(paths), secret.get_secret_value(), type(ratio).__name__,
                    type(whole).__name__, absent, note, fallback]
        """,
        runner="predict.py:look",
    )
    file = tmp_path / "in.txt"
    file.write_text("content")
    ending = worker.predict(
        path=str(file), file=str(file), paths=[str(file)] * 2, secret="hunter2", ratio=1, whole=2.0, unknown="dropped"
    )
    assert ending.done.output == ["content", "content", 2, "hunter2", "float", "int", None, None, "d"]
    assert "hunter2" not in ending.text()


def test_a_data_url_reaches_the_model_as_a_file_that_is_removed_afterwards(start_worker: Callable[..., Any]) -> None:
    worker = start_worker(
        "from cog import Path\ndef read(path: Path) -> str: return path.name + path.read_text()", runner="predict.py:read"
    )
    output = worker.predict(path="data:text/plain;base64,aGk=").done.output
    assert output.endswith("file.txthi")
