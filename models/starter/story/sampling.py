"""Chooses the next token from logits; pure but for the generator it is given."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def choose(logits: NDArray[np.float32], generator: np.random.Generator, *, temperature: float, top_k: int, top_p: float) -> int:
    """Draw one token.

    Args:
        logits: float32[vocabulary].
        generator: Advanced by one draw, except at temperature 0.
        temperature: 0 always takes the likeliest token.
        top_k: Only the likeliest so many tokens; 0 for all.
        top_p: Of these, only the likeliest that together reach this probability; at least one remains.
    """
    if temperature == 0:
        return int(np.argmax(logits))
    order = np.argsort(-logits, kind="stable")
    if top_k:
        order = order[:top_k]
    scaled = logits[order].astype(np.float64) / temperature
    probabilities = np.exp(scaled - scaled[0])
    probabilities /= probabilities.sum()
    # A token stays when those before it have not yet reached top_p.
    kept = max(1, int(np.count_nonzero(np.cumsum(probabilities) - probabilities < top_p)))
    cumulative = np.cumsum(probabilities[:kept])
    return int(order[min(kept - 1, int(np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right")))])
