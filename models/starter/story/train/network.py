"""The transformer as it is trained, in PyTorch; ``../transformer.py`` computes the same function in numpy.

Pre-norm blocks with RMS norm, rotary positions (pairs are the two halves of a head), tanh GELU, tied embeddings, no biases.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

HEAD_SIZE = 32
ROTARY_BASE = 10_000.0


class Norm(nn.Module):
    """Root-mean-square norm with a gain."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x.float(), (x.shape[-1],), self.gain, 1e-5)


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary positions; ``x`` is [batch, heads, positions, size]."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, first * sine + second * cosine), dim=-1)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention of [batch, heads, positions, size]; at this size faster on a CPU than the fused kernel."""
    positions = q.shape[-2]
    mask = torch.full((positions, positions), -torch.inf, dtype=q.dtype).triu(1)
    rows = [x.flatten(0, 1) for x in (q, k, v)]
    scores = torch.baddbmm(mask.expand(len(rows[0]), -1, -1), rows[0], rows[1].transpose(1, 2), alpha=HEAD_SIZE**-0.5)
    return torch.bmm(scores.softmax(-1, dtype=q.dtype), rows[2]).view(q.shape)


class Block(nn.Module):
    """Attention, then a two-layer perceptron, each added to the stream."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.heads = width // HEAD_SIZE
        self.norm_attention, self.norm_mlp = Norm(width), Norm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)
        for linear, std in (
            (self.qkv, 0.02),
            (self.up, 0.02),
            (self.out, 0.02 / math.sqrt(2 * layers)),
            (self.down, 0.02 / math.sqrt(2 * layers)),
        ):
            nn.init.normal_(linear.weight, std=std)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        batch, positions, width = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(batch, positions, 3, self.heads, HEAD_SIZE).permute(2, 0, 3, 1, 4)
        q, k = rotate(qkv[0], cosine, sine), rotate(qkv[1], cosine, sine)
        mixed = attend(q.to(qkv.dtype), k.to(qkv.dtype), qkv[2])
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, positions, width))
        return x + self.down(functional.gelu(self.up(self.norm_mlp(x)), approximate="tanh"))


class Network(nn.Module):
    """Token numbers to the logits of the next token."""

    def __init__(self, vocabulary: int, width: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(width, layers) for _ in range(layers))
        self.norm = Norm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        positions = torch.arange(tokens.shape[1])
        frequencies = ROTARY_BASE ** (-torch.arange(0, HEAD_SIZE, 2) / HEAD_SIZE)
        angles = positions[:, None] * frequencies[None, :]
        cosine, sine = angles.cos(), angles.sin()
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, cosine, sine)
        return functional.linear(self.norm(x), self.embedding.weight)
