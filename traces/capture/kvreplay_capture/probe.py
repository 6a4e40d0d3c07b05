"""Two forward passes over eight tokens that find out what the model does, before anything is written.

1. Eight times the same token. Causal attention over equal values changes nothing, so every layer's input is
   the same at every position and its queries differ by their rotation alone: q_t = R(t) q_0. That tells the
   rotary layout of each layer without knowing the model's code.
2. The last token exchanged. Logits of the tokens before it must not move, otherwise the model is not causal.
"""

from dataclasses import dataclass
from typing import Any

import torch

from .errors import CaptureError
from .registry import hook_inputs, observe_attention
from .rotary import LAYOUTS, project_query, rotate
from .text import first_line

PROBE_TOKENS = 8


@dataclass
class LayerFacts:
    """One attention layer as the attention function saw it. `query` and `hidden` come from pass 1."""

    module: Any
    query_heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    scale: float
    window: int | None
    query: torch.Tensor
    hidden: torch.Tensor | None = None
    cos: torch.Tensor | None = None
    sin: torch.Tensor | None = None


def probe(model: Any, tokens: tuple[int, int]) -> dict[int, LayerFacts]:
    """Layers that go through the registry, by model layer index; `tokens` are two different ids."""
    facts: dict[int, LayerFacts] = {}
    observe_attention(lambda *call: _note_call(facts, *call))
    same = torch.full((1, PROBE_TOKENS), tokens[0], device=model.device)
    logits = _logits(model, same, facts)
    if not facts:
        raise _beside_registry(model)
    _note_inputs(model, same, facts)
    _check_causal(model, same, tokens[1], logits, facts)
    return facts


def _beside_registry(model: Any) -> CaptureError:
    return CaptureError(
        f"{type(model).__name__} does not call the attention-function registry of transformers, "
        "so its attention cannot be observed"
    )


def _logits(model: Any, tokens: torch.Tensor, facts: dict[int, LayerFacts]) -> torch.Tensor:
    try:
        with torch.inference_mode():
            return model(input_ids=tokens, use_cache=False).logits[0].float()
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, NotImplementedError) as error:
        if not facts:  # models beside the registry stumble over the mask that sdpa takes
            raise CaptureError(f"{_beside_registry(model)} (it stops with: {first_line(error)})") from error
        raise CaptureError(f"{type(model).__name__} fails on eight tokens: {first_line(error)}") from error


def _note_call(
    facts: dict[int, LayerFacts],
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _output: torch.Tensor,
    kwargs: dict[str, Any],
) -> None:
    layer = getattr(module, "layer_idx", None)
    if layer is None:
        raise CaptureError(f"{type(module).__name__} does not know its layer index")
    scale = kwargs.get("scaling")
    facts[layer] = LayerFacts(
        module=module,
        query_heads=query.shape[1],
        kv_heads=key.shape[1],
        head_dim=query.shape[3],
        value_dim=value.shape[3],
        scale=float(scale if scale is not None else query.shape[3] ** -0.5),
        window=kwargs.get("sliding_window"),
        query=query[0],
    )


def _note_inputs(model: Any, tokens: torch.Tensor, facts: dict[int, LayerFacts]) -> None:
    def see(module: Any, hidden: torch.Tensor, rotary: Any) -> None:
        fact = facts[module.layer_idx]
        fact.hidden = hidden
        if rotary is not None:
            fact.cos, fact.sin = rotary[0][0], rotary[1][0]

    observe_attention(lambda *_: None)
    handles = hook_inputs([fact.module for fact in facts.values()], see)
    try:
        _logits(model, tokens, facts)
    finally:
        for handle in handles:
            handle.remove()


def _check_causal(
    model: Any, same: torch.Tensor, other: int, logits: torch.Tensor, facts: dict[int, LayerFacts]
) -> None:
    changed = same.clone()
    changed[0, -1] = other
    declared = all(getattr(fact.module, "is_causal", True) for fact in facts.values())
    drift = _relative(_logits(model, changed, facts)[:-1], logits[:-1])
    if not declared or drift > 32 * torch.finfo(model.dtype).eps:
        raise CaptureError(f"{type(model).__name__} is not a causal decoder: tokens see what follows them")


def find_layout(layer: int, fact: LayerFacts) -> str:
    """`half` or `interleaved`, from pass 1."""
    if fact.cos is None or fact.sin is None:
        raise CaptureError(
            f"layer {layer}: its attention gets no position_embeddings (cos, sin) to rotate by"
        )
    if fact.cos.shape[-1] != fact.head_dim:
        raise CaptureError(
            f"layer {layer}: rotates {fact.cos.shape[-1]} of {fact.head_dim} channels; kvtrace 1 needs all"
        )
    start = fact.query[:, :1] / fact.cos[0].abs().max()  # cos of position 0 is 1 times a scaling factor
    raw = start.expand_as(fact.query)
    for layout in LAYOUTS:
        if _relative(rotate(raw, fact.cos, fact.sin, layout), fact.query) < _tolerance(fact.module):
            return layout
    raise CaptureError(f"layer {layer}: its queries are not rotated by position in a way kvtrace 1 knows")


def check_projection(layer: int, fact: LayerFacts, layout: str) -> None:
    """Our rebuilding of the query from the layer's input must give the query that the model made of it."""
    assert fact.hidden is not None and fact.cos is not None and fact.sin is not None
    with torch.inference_mode():
        raw = project_query(fact.module, fact.hidden, fact.head_dim)
        rebuilt = rotate(raw, fact.cos, fact.sin, layout)
    if rebuilt.shape != fact.query.shape or _relative(rebuilt, fact.query) > _tolerance(fact.module):
        raise CaptureError(
            f"layer {layer}: {type(fact.module).__name__} makes its queries in a way that cannot be rebuilt "
            "one layer early; use --no-speculated"
        )


def _relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a.float() - b.float()).norm() / b.float().norm().clamp_min(1e-30))


def _tolerance(module: Any) -> float:
    """Rounding of the type the model runs in, with room for a few layers of it."""
    return max(1e-3, 8 * torch.finfo(next(module.parameters()).dtype).eps)
