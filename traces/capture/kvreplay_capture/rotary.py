"""Rotary embedding and query projection outside the model, for queries speculated one layer early.

Nothing here is trusted blindly: the probe compares both with what the model itself computes.
"""

from typing import Any

import torch

from .errors import CaptureError

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


def project_query(module: Any, hidden: torch.Tensor, head_dim: int) -> torch.Tensor:
    """The module's own query projection of hidden [n, hidden_size] -> [heads, n, d], not rotated.

    A norm after the projection may act on one head (Qwen3) or on all heads together (OLMo2).
    """
    if not hasattr(module, "q_proj"):
        raise CaptureError(f"{type(module).__name__} has no q_proj; use --no-speculated")
    projected = module.q_proj(hidden)
    norm = getattr(module, "q_norm", None)
    over_all_heads = norm is not None and getattr(norm, "weight", projected[0]).numel() != head_dim
    if over_all_heads:
        projected = norm(projected)
    heads = projected.unflatten(-1, (-1, head_dim))
    if norm is not None and not over_all_heads:
        heads = norm(heads)
    return heads.transpose(0, 1)
