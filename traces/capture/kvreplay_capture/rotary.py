"""Rotary embedding outside the model, to find out which channels a model rotates together."""

import torch

LAYOUTS = ("half", "interleaved")


def frequencies(table: torch.Tensor) -> torch.Tensor:
    """cos or sin as models hand it over, [n, d] with every value twice -> [n, d/2]."""
    half = table.shape[-1] // 2
    if torch.equal(table[..., :half], table[..., half:]):
        return table[..., :half]
    return table[..., 0::2]


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, layout: str) -> torch.Tensor:
    """x: [heads, n, d]; cos, sin: [n, d] -> x rotated pair by pair."""
    c, s = frequencies(cos), frequencies(sin)
    if layout == "half":
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * c - b * s, b * c + a * s), dim=-1)
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * c - b * s, b * c + a * s), dim=-1).flatten(-2)
