"""Where the subject probably is: what is hard to reach from the border of the photo.

Background touches the border and is smooth, so a path from the border to it crosses little contrast. The least contrast on any
such path is the geodesic saliency of a pixel (after Wei, Wen, Zhu, Sun: Geodesic Saliency Using Background Priors, 2012).
"""

from __future__ import annotations

import heapq

import cv2
import numpy as np
from numpy.typing import NDArray

LONG_SIDE_PIXELS = 128
"""Paths are searched on a picture this small: contrast of texture is gone and the search takes a fraction of a second."""
FREE_CONTRAST = 3.0
"""Steps in Lab below this are noise and cost nothing."""


def saliency(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Saliency in [0, 1], float32[height, width], of a BGR picture uint8[height, width, 3].

    The lower border is no start: people and things stand on it.
    """
    height, width = image.shape[:2]
    scale = min(1.0, LONG_SIDE_PIXELS / max(height, width))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = cv2.pyrMeanShiftFiltering(cv2.resize(image, size, interpolation=cv2.INTER_AREA), 4, 12)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
    distance = np.sqrt(geodesic(lab)) * centrality(*lab.shape[:2])
    distance = distance / max(float(np.percentile(distance, 98)), 1e-6)
    return cv2.resize(np.clip(distance, 0, 1).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def centrality(height: int, width: int) -> NDArray[np.float32]:
    """1 in the middle, falling to a third at the sides; a little more weight below, where subjects reach the border."""
    y, x = np.mgrid[0:height, 0:width]
    across, down = (x / (width - 1) - 0.5) / 0.35, (y / (height - 1) - 0.55) / 0.55
    return (0.2 + 0.8 * np.exp(-0.5 * (across**2 + np.where(down < 0, down**2, 0.25 * down**2)))).astype(np.float32)


def geodesic(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Least total contrast of a path from the left, upper or right border to every pixel (Dijkstra on four neighbors)."""
    height, width = lab.shape[:2]
    down = np.maximum(np.linalg.norm(np.diff(lab, axis=0), axis=2) - FREE_CONTRAST, 0).tolist()
    across = np.maximum(np.linalg.norm(np.diff(lab, axis=1), axis=2) - FREE_CONTRAST, 0).tolist()
    distance = [[float("inf")] * width for _ in range(height)]
    queue = [(0.0, y, x) for y in range(height) for x in range(width) if y == 0 or x in (0, width - 1)]
    for _, y, x in queue:
        distance[y][x] = 0.0
    while queue:
        so_far, y, x = heapq.heappop(queue)
        if so_far > distance[y][x]:
            continue
        steps = (
            (y - 1, x, down[y - 1][x] if y > 0 else None), (y + 1, x, down[y][x] if y < height - 1 else None),
            (y, x - 1, across[y][x - 1] if x > 0 else None), (y, x + 1, across[y][x] if x < width - 1 else None),
        )  # fmt: skip
        for next_y, next_x, contrast in steps:
            if contrast is not None and so_far + contrast < distance[next_y][next_x]:
                distance[next_y][next_x] = so_far + contrast
                heapq.heappush(queue, (so_far + contrast, next_y, next_x))
    return np.array(distance, dtype=np.float32)
