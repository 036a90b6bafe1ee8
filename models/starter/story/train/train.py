"""Writes the corpus, learns the tokenizer, trains the network, saves ``../weights.npz``; one core is enough.

    python train.py --minutes 13 --seed 1

Progress goes to standard output; the last line holds the figures the README quotes.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from grammar import Story
from network import Network
from torch.nn import functional

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tokenizer import END, Tokenizer, learn_merges  # noqa: E402 - it lies beside predict.py, where it is used

STORIES_HELD_OUT = 200
LEARNING_RATE = 3e-3
WARMUP_STEPS = 100


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stories", type=int, default=14_000)
    parser.add_argument("--merges", type=int, default=1_400)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=13.0)
    parser.add_argument("--output", type=Path, default=HERE.parent / "weights.npz")
    return parser.parse_args()


def token_stream(texts: list[str], tokenizer: Tokenizer) -> np.ndarray:
    """All stories in one row, each after an end mark."""
    return np.array([token for text in texts for token in [END, *tokenizer.encode(text)]], dtype=np.int64)


def batch_of(stream: np.ndarray, starts: np.ndarray, context: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets: int64[batch, context]."""
    rows = torch.from_numpy(np.stack([stream[start : start + context + 1] for start in starts]))
    return rows[:, :-1], rows[:, 1:]


def loss_of(network: Network, tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy in nats per token."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network(tokens)
    return functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


def story_starts(stream: np.ndarray, context: int) -> np.ndarray:
    """Where a row may begin: at the start of a story, so that the model always sees whole beginnings."""
    starts = np.flatnonzero(stream == END)
    return starts[starts < len(stream) - context - 1]


def held_out_loss(network: Network, stream: np.ndarray, context: int) -> float:
    """Loss on stories the network never saw."""
    starts = story_starts(stream, context)[:96]
    with torch.no_grad():
        return float(np.mean([loss_of(network, *batch_of(stream, part, context)).item() for part in np.array_split(starts, 4)]))


def train(network: Network, stream: np.ndarray, held_out: np.ndarray, options: argparse.Namespace) -> int:
    """AdamW on a cosine that ends when the minutes are over; returns the number of steps."""
    generator = np.random.default_rng(options.seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.05)
    starts = story_starts(stream, options.context)
    began, step, progress = time.monotonic(), 0, 0.0
    while progress < 1.0:
        rate = LEARNING_RATE * min(1.0, (step + 1) / WARMUP_STEPS) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = loss_of(network, *batch_of(stream, generator.choice(starts, options.batch, replace=False), options.context))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        step += 1
        progress = (time.monotonic() - began) / (60 * options.minutes)
        if step % 50 == 0:
            print(f"step {step} {100 * progress:.0f} % loss {loss.item():.3f}", flush=True)
        if step % 500 == 0:
            print(f"held out {held_out_loss(network, held_out, options.context):.3f}", flush=True)
    return step


def save(network: Network, merges: list[tuple[int, int]], path: Path) -> None:
    """Weights as float16, merges as uint16, in one file that numpy reads."""
    arrays = {name: value.detach().numpy().astype(np.float16) for name, value in network.state_dict().items()}
    np.savez(path, merges=np.array(merges, dtype=np.uint16), **arrays)


def main() -> None:
    """Run the whole recipe."""
    options = arguments()
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    generator = np.random.default_rng(options.seed)
    texts = [Story(generator).text() for _ in range(options.stories)]
    merges = learn_merges(texts, options.merges)
    tokenizer = Tokenizer(merges)
    stream, held_out = (token_stream(part, tokenizer) for part in (texts[:-STORIES_HELD_OUT], texts[-STORIES_HELD_OUT:]))
    network = Network(tokenizer.size, options.width, options.layers)
    count = sum(value.numel() for value in network.parameters())
    megabytes = sum(map(len, texts)) / 1e6
    print(f"{megabytes:.1f} MB of text, {len(stream)} tokens, vocabulary {tokenizer.size}, {count} parameters", flush=True)
    steps = train(network, stream, held_out, options)
    save(network, merges, options.output)
    loss = held_out_loss(network, held_out, options.context)
    size = options.output.stat().st_size / 1e6
    print(f"{steps} steps of {options.batch}x{options.context} tokens, held-out loss {loss:.4f} nats per token, {size:.1f} MB")


if __name__ == "__main__":
    main()
