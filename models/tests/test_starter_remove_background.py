"""The cut-out model, measured on a photo whose subject and background are known by eye."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from models.tests.conftest import OpenModel, RunningModel

MEASURE = """
import sys, json, cv2
cut = cv2.imread(sys.argv[1], cv2.IMREAD_UNCHANGED)
photo = cv2.imread(sys.argv[2])
alpha = cut[..., 3]
half = ((alpha > 10) & (alpha < 245)).mean()
solid = alpha == 255
same = abs(cut[..., :3].astype(int) - photo)[solid].mean() if cut.shape[:2] == photo.shape[:2] else None
at = lambda points: [int(alpha[y, x]) for x, y in points]
print(json.dumps({"shape": cut.shape, "share": float(alpha.mean() / 255), "half": float(half), "same": same,
    "inside": at([(225, 60), (225, 140), (225, 230), (100, 300), (250, 400), (170, 385), (300, 300), (120, 470)]),
    "outside": at([(5, 5), (506, 5), (400, 100), (120, 60), (350, 180), (40, 200), (20, 120), (70, 120), (330, 60)])}))
"""


@pytest.fixture(scope="module")
def cutter(open_model: OpenModel) -> RunningModel:
    """The running model."""
    return open_model("remove-background")


def measure(cutter: RunningModel, **inputs: Any) -> dict[str, Any]:
    outcome = cutter.predict(**cutter.example() | inputs)
    assert outcome.status == "succeeded", outcome.error
    measured: dict[str, Any] = cutter.evaluate(MEASURE, outcome.file, cutter.folder / "astronaut.jpg")
    return measured


def test_the_subject_stays_and_the_background_goes(cutter: RunningModel) -> None:
    measured = measure(cutter)
    assert measured["shape"] == [512, 512, 4]
    assert min(measured["inside"]) == 255
    assert max(measured["outside"]) == 0
    assert 0.33 < measured["share"] < 0.48


def test_solid_pixels_keep_their_colors(cutter: RunningModel) -> None:
    assert measure(cutter)["same"] < 0.01


def test_a_wider_feather_makes_more_of_the_edge_half_transparent(cutter: RunningModel) -> None:
    none, usual, wide = (measure(cutter, feather=feather)["half"] for feather in (0, 6, 30))
    assert none == 0 < usual < wide


def test_nothing_outside_the_box_is_kept(cutter: RunningModel) -> None:
    measured = measure(cutter, subject="0,0.5,1,0.5")
    assert measured["inside"][:3] == [0, 0, 0]
    assert measured["inside"][4] == 255


@pytest.mark.parametrize("subject", ["1,2,3", "left", "0.5,0.5,0.9,0.1", "-1,0,1,1", "nan,0,1,1"])
def test_a_box_that_makes_no_sense_fails_with_a_reason(cutter: RunningModel, subject: str) -> None:
    outcome = cutter.predict(**cutter.example() | {"subject": subject})
    assert outcome.status == "failed"
    assert outcome.error is not None
    assert outcome.error.startswith("subject must")


def test_a_file_that_is_no_picture_fails_with_a_reason(cutter: RunningModel, tmp_path: Path) -> None:
    text = tmp_path / "picture.jpg"
    text.write_text("not a picture")
    outcome = cutter.predict(image=str(text))
    assert outcome.error == "image is not a picture this model can read: send JPEG, PNG or WebP"
