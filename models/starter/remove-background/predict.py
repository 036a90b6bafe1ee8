"""Cuts the subject out of a photo: the answer is a PNG whose background is transparent."""

import tempfile

import cv2
import numpy as np
from cog import BasePredictor, Input, Path
from cutout import Box, alpha_of, clean_colors

PIXELS_MAX = 40_000_000


def parse_box(text: str) -> Box | None:
    """``left,top,width,height`` as shares of the photo; None when empty.

    Raises:
        ValueError: It is anything else.
    """
    if not text.strip():
        return None
    try:
        left, top, width, height = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError("subject must be left,top,width,height, such as 0.1,0.2,0.5,0.8") from None
    if not (0 <= left < 1 and 0 <= top < 1 and 0 < width <= 1 - left + 1e-6 and 0 < height <= 1 - top + 1e-6):
        raise ValueError("subject must lie inside the photo: shares of its width and height between 0 and 1")
    return left, top, width, height


class Predictor(BasePredictor):
    """Keeps nothing between predictions."""

    def setup(self) -> None:
        """Leave the other cores to other models."""
        cv2.setNumThreads(1)

    def predict(
        self,
        image: Path = Input(description="A photo: JPEG, PNG or WebP, at most 40 megapixels"),
        feather: float = Input(description="Width of the soft edge, in thousandths of the long side", ge=0, le=50, default=6.0),
        iterations: int = Input(description="Rounds of refinement", ge=1, le=20, default=5),
        subject: str = Input(
            description="Box around the subject: left,top,width,height between 0 and 1; empty to find it", default=""
        ),
    ) -> Path:
        """Write the cut-out at the size of the photo."""
        box = parse_box(subject)
        photo = cv2.imread(str(image), cv2.IMREAD_COLOR)
        if photo is None:
            raise ValueError("image is not a picture this model can read: send JPEG, PNG or WebP")
        if photo.shape[0] * photo.shape[1] > PIXELS_MAX:
            raise ValueError("image has more than 40 megapixels")
        alpha = alpha_of(photo, iterations=iterations, feather=feather, box=box)
        cut = np.dstack((clean_colors(photo, alpha), np.rint(alpha * 255).astype(np.uint8)))
        path = Path(tempfile.mkdtemp()) / "cutout.png"
        if not cv2.imwrite(str(path), cut):
            raise RuntimeError("the cut-out could not be written")
        print(f"{photo.shape[1]}x{photo.shape[0]} pixels, {100 * float(alpha.mean()):.0f} % of them kept")
        return path
