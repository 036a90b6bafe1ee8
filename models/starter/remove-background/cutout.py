"""From a photo to an alpha channel: saliency or a box, GrabCut, clean-up, and a soft edge by a guided filter.

Works on a copy of at most ``LONG_SIDE_PIXELS``; only the last step touches the photo at its full size.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from saliency import centrality, saliency

LONG_SIDE_PIXELS = 640
PIECE_SHARE_MIN = 0.08
"""A separate piece smaller than this share of the largest one is no part of the subject."""

CERTAIN_SHARE = 16
"""What lies deeper inside the salient region than the long side divided by this is certainly the subject."""

COLOR_REACH_PIXELS = 3.0
"""How far, on the small copy, the edge takes its colors from."""

Box = tuple[float, float, float, float]


def alpha_of(image: NDArray[np.uint8], *, iterations: int, feather: float, box: Box | None) -> NDArray[np.float32]:
    """Opacity in [0, 1] of every pixel: float32[height, width].

    Args:
        image: BGR, uint8[height, width, 3].
        iterations: Rounds of GrabCut.
        feather: Width of the soft edge in thousandths of the long side.
        box: Left, top, width and height of the subject as shares of the photo; found by saliency when absent.
    """
    height, width = image.shape[:2]
    scale = min(1.0, LONG_SIDE_PIXELS / max(height, width))
    small = cv2.resize(image, (max(8, round(width * scale)), max(8, round(height * scale))), interpolation=cv2.INTER_AREA)
    labels = start_labels(small, box)
    cv2.setRNGSeed(1)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, labels, None, background, foreground, iterations, cv2.GC_INIT_WITH_MASK)
    solid = main_pieces(np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8))
    radius = max(1, round(feather / 1000 * max(small.shape[:2])))
    return soft_edge(image, small, solid, radius) if feather else cv2.resize(solid.astype(np.float32), (width, height))


def start_labels(small: NDArray[np.uint8], box: Box | None) -> NDArray[np.uint8]:
    """GrabCut's start: the middle of the salient region is the subject, and GrabCut decides in a band around its outline.

    The band reaches far inside, so that what is thin and salient (a flag behind a shoulder) is decided by its color.
    """
    height, width = small.shape[:2]
    allowed = allowed_region(height, width, box)
    salience = saliency(small) * allowed
    level, _ = cv2.threshold((salience[allowed > 0] * 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    region = central_pieces((salience * 255 > level).astype(np.uint8), allowed if box else centrality(height, width))
    labels = np.full((height, width), cv2.GC_BGD, np.uint8)
    labels[cv2.dilate(region, disk(max(height, width) // 32)) > 0] = cv2.GC_PR_BGD
    labels[region > 0] = cv2.GC_PR_FGD
    # The lower border is repeated, so that a subject that stands on it is not thinned there.
    padded = cv2.copyMakeBorder(region, 0, height, 0, 0, cv2.BORDER_REPLICATE)
    labels[cv2.erode(padded, disk(max(height, width) // CERTAIN_SHARE))[:height] > 0] = cv2.GC_FGD
    labels[allowed == 0] = cv2.GC_BGD
    return labels


def allowed_region(height: int, width: int, box: Box | None) -> NDArray[np.float32]:
    """1 where the subject may be: in the box, or everywhere but on the upper and the upper side borders."""
    allowed = np.zeros((height, width), np.float32)
    if box:
        left, top, across, down = box
        rows = slice(round(top * height), max(round(top * height) + 1, round((top + down) * height)))
        columns = slice(round(left * width), max(round(left * width) + 1, round((left + across) * width)))
        allowed[rows, columns] = 1
        return allowed
    rim = max(2, min(height, width) // 50)
    allowed[rim:, rim:-rim] = allowed[height * 2 // 3 :] = 1
    return allowed


def disk(radius: int) -> NDArray[np.uint8]:
    """A round structuring element."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(1, radius) + 1,) * 2)


def central_pieces(region: NDArray[np.uint8], weight: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The salient pieces that matter, closed and filled: small bridges are cut, pieces at the sides count little."""
    radius = max(region.shape) // 100
    region = cv2.morphologyEx(cv2.morphologyEx(region, cv2.MORPH_CLOSE, disk(radius)), cv2.MORPH_OPEN, disk(2 * radius))
    count, pieces = cv2.connectedComponents(region)
    if count < 2:
        return (weight > 0.6).astype(np.uint8)
    # Squared, so that a long thing at the side does not outweigh a smaller one in the middle.
    shares = np.bincount(pieces.ravel(), weights=(weight**2).ravel(), minlength=count)[1:]
    kept = np.isin(pieces, 1 + np.flatnonzero(shares >= 0.15 * shares.max())).astype(np.uint8)
    outlines, _ = cv2.findContours(kept, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(kept, outlines, -1, 1, thickness=cv2.FILLED)
    return kept


def main_pieces(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The subject without specks, bridges of a few pixels, and holes that do not reach the border."""
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, disk(2))
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(opened)
    if count < 2:
        return opened
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = np.isin(pieces, 1 + np.flatnonzero(areas >= PIECE_SHARE_MIN * areas.max())).astype(np.uint8)
    outlines, _ = cv2.findContours(kept, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(kept)
    cv2.drawContours(filled, outlines, -1, 1, thickness=cv2.FILLED)
    holes = (filled - kept) * 255
    _, hole_pieces, hole_stats, _ = cv2.connectedComponentsWithStats(holes)
    small = hole_stats[:, cv2.CC_STAT_AREA] < 0.03 * kept.sum()
    return (kept | ((holes > 0) & small[hole_pieces])).astype(np.uint8)


def soft_edge(image: NDArray[np.uint8], small: NDArray[np.uint8], solid: NDArray[np.uint8], radius: int) -> NDArray[np.float32]:
    """Let the edge of the mask follow the edges of the photo, within ``radius`` pixels of the small picture.

    A guided filter with the color photo as its guide (He, Sun, Tang 2013), computed small and applied at full size.
    """
    guide, target = small.astype(np.float32) / 255, solid.astype(np.float32)
    window = (2 * radius + 1, 2 * radius + 1)
    mean_guide, mean_target = cv2.blur(guide, window), cv2.blur(target, window)
    products = (guide[..., :, None] * guide[..., None, :]).reshape(*target.shape, 9)
    covariance = np.stack([cv2.blur(np.ascontiguousarray(products[..., i]), window) for i in range(9)], axis=-1).reshape(
        *target.shape, 3, 3
    )
    covariance -= mean_guide[..., :, None] * mean_guide[..., None, :]
    covariance += 1e-4 * np.eye(3, dtype=np.float32)
    with_target = cv2.blur(guide * target[..., None], window) - mean_guide * mean_target[..., None]
    slope = np.linalg.solve(covariance, with_target[..., None])[..., 0].astype(np.float32)
    offset = mean_target - np.sum(slope * mean_guide, axis=-1)
    size = (image.shape[1], image.shape[0])
    slope, offset = cv2.resize(cv2.blur(slope, window), size), cv2.resize(cv2.blur(offset, window), size)
    alpha = np.sum(slope * (image.astype(np.float32) / 255), axis=-1) + offset
    # Far from the edge the mask is right and the filter's ripples are not.
    inner, outer = (cv2.resize(step(solid, disk(radius)).astype(np.float32), size) for step in (cv2.erode, cv2.dilate))
    steep = np.clip((alpha - 0.1) / 0.8, 0, 1)
    return np.clip(np.maximum(np.minimum(steep, outer), inner), 0, 1).astype(np.float32)


def clean_colors(image: NDArray[np.uint8], alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Replace the colors of half-transparent pixels, which hold background, by those of the subject nearby."""
    height, width = image.shape[:2]
    scale = min(1.0, LONG_SIDE_PIXELS / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small, opacity = cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    weight = (opacity > 0.95).astype(np.float32)
    total = cv2.GaussianBlur(weight, (0, 0), COLOR_REACH_PIXELS)
    nearby = cv2.GaussianBlur(small * weight[..., None], (0, 0), COLOR_REACH_PIXELS) / np.maximum(total, 1e-3)[..., None]
    nearby, total = cv2.resize(nearby, (width, height)), cv2.resize(total, (width, height))
    cleaned = image.copy()
    edge = (alpha < 0.95) & (alpha > 0) & (total > 0.02)
    share = (1 - alpha[edge])[:, None]
    cleaned[edge] = np.clip(image[edge] * (1 - share) + nearby[edge] * share, 0, 255).astype(np.uint8)
    return cleaned
