"""Makes PNG files of one colour."""

import struct
import tempfile
import zlib
from pathlib import Path as LocalPath
from typing import List

from cog import BasePredictor, Input, Path


def png(width: int, height: int, colour: bytes) -> bytes:
    """Encode an RGB picture of one colour."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\x00" + colour * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Predictor(BasePredictor):
    """Draws."""

    def predict(
        self,
        prompt: str,
        negative_prompt: str = "",
        width: int = Input(default=64, ge=1, le=2048),
        height: int = Input(default=64, ge=1, le=2048),
        num_outputs: int = Input(default=1, ge=1, le=4),
        num_inference_steps: int = Input(default=25, ge=1, le=100),
        guidance_scale: float = Input(default=7.5, ge=0, le=20),
    ) -> List[Path]:
        """Return ``num_outputs`` pictures whose colour comes from the prompt."""
        folder = LocalPath(tempfile.mkdtemp())
        outputs = []
        for number in range(num_outputs):
            path = folder / f"out-{number}.png"
            path.write_bytes(png(width, height, zlib.crc32(f"{prompt}{number}".encode()).to_bytes(4, "big")[:3]))
            outputs.append(Path(path))
        return outputs
