"""A few forward passes over eight tokens that find out what the model does, before anything is written.

1. Every attention module is seen at work, and then asked for the queries of eight equal inputs: those differ
   by their position alone, q_t = R(t) q_0, which tells the rotary layout without knowing the model's code.
2. The last token exchanged. Logits of the tokens before it must not move, otherwise the model is not causal.
3. In two pieces with the model's own cache. A capture runs in blocks, which must continue one another.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch

from .errors import CaptureError, first_line
from .model import beside_registry, calls_registry, text_config
from .registry import ModuleCall, hook_inputs, observe_attention
from .rotary import LAYOUTS, rotate

PROBE_TOKENS = 8


@dataclass
class LayerFacts:
    """One attention layer as the attention function saw it. `query` [Hq, n, d] and `call` are of pass 1."""

    module: Any
    query_heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    scale: float
    window: int | None
    query: torch.Tensor
    plain: bool
    call: ModuleCall | None = None
    calls: int = 1


def probe(model: Any, tokens: list[int]) -> dict[int, LayerFacts]:
    """Layers that go through the registry, by model layer index; `tokens` are eight ids."""
    facts: dict[int, LayerFacts] = {}
    counts: Counter[int] = Counter()
    observe_attention(lambda *call: _note_call(model.config, facts, counts, *call))
    ids = torch.tensor([tokens], device=model.device)
    logits = _logits(model, ids, facts)
    if not facts:
        raise _nothing_seen(model)
    for layer, fact in facts.items():
        fact.calls = counts[layer]
    _note_inputs(model, ids, facts)
    _check_causal(model, ids, logits, facts)
    _check_pieces(model, ids, logits)
    return facts


def _logits(model: Any, tokens: torch.Tensor, facts: dict[int, LayerFacts]) -> torch.Tensor:
    try:
        with torch.inference_mode():
            return model(input_ids=tokens, use_cache=False).logits[0].float()
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, NotImplementedError) as error:
        if not calls_registry(model):  # such models stumble over the mask that sdpa takes
            raise beside_registry(model.config.model_type) from error
        raise CaptureError(f"{type(model).__name__} fails on eight tokens: {first_line(error)}") from error


def _nothing_seen(model: Any) -> CaptureError:
    if not calls_registry(model):
        return beside_registry(model.config.model_type)
    return CaptureError(
        f"no layer of this '{model.config.model_type}' model makes attention that goes through the registry"
    )


def _note_call(
    config: Any,
    facts: dict[int, LayerFacts],
    counts: Counter[int],
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    output: torch.Tensor,
    kwargs: dict[str, Any],
) -> None:
    layer = getattr(module, "layer_idx", None)
    if layer is None:
        raise CaptureError(f"{type(module).__name__} does not know its layer index")
    counts[layer] += 1
    given = kwargs.get("scaling")
    scale = float(given if given is not None else query.shape[3] ** -0.5)
    facts[layer] = LayerFacts(
        module=module,
        query_heads=query.shape[1],
        kv_heads=key.shape[1],
        head_dim=query.shape[3],
        value_dim=value.shape[3],
        scale=scale,
        window=kwargs.get("sliding_window") or _configured_window(config, layer),
        query=query[0],
        plain=_is_plain(query[0], key[0], value[0], output[0], scale),
    )


def _is_plain(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, output: torch.Tensor, scale: float
) -> bool:
    """Whether output [n, Hq, d] is softmax(scale q.K) V over the tokens up to each, and nothing else."""
    group = query.shape[0] // key.shape[0]
    k, v = (x.double().repeat_interleave(group, dim=0) for x in (key, value))
    scores = scale * (query.double() @ k.transpose(1, 2))
    later = torch.ones(scores.shape[1:], dtype=torch.bool, device=scores.device).triu(1)
    plain = scores.masked_fill(later, float("-inf")).softmax(dim=-1) @ v
    return _relative(output.transpose(0, 1), plain) < max(1e-3, 8 * torch.finfo(output.dtype).eps)


def _configured_window(config: Any, layer: int) -> int | None:
    """Not every family hands its window to the attention function; some only mask."""
    text = text_config(config)
    kinds = getattr(text, "layer_types", None)
    names = {"sliding_attention": "sliding_window", "chunked_attention": "attention_chunk_size"}
    return getattr(text, names[kinds[layer]], None) if kinds and kinds[layer] in names else None


def _note_inputs(model: Any, tokens: torch.Tensor, facts: dict[int, LayerFacts]) -> None:
    def see(call: ModuleCall) -> None:
        facts[call.module.layer_idx].call = call

    observe_attention(lambda *_: None)
    handles = hook_inputs([fact.module for fact in facts.values()], see)
    try:
        _logits(model, tokens, facts)
    finally:
        for handle in handles:
            handle.remove()


def _check_causal(
    model: Any, tokens: torch.Tensor, logits: torch.Tensor, facts: dict[int, LayerFacts]
) -> None:
    changed = tokens.clone()
    changed[0, -1] = tokens[0, 0] if tokens[0, 0] != tokens[0, -1] else (tokens[0, 0] + 1) % logits.shape[-1]
    declared = all(getattr(fact.module, "is_causal", True) for fact in facts.values())
    drift = _relative(_logits(model, changed, facts)[:-1], logits[:-1])
    if not declared or drift > 32 * torch.finfo(model.dtype).eps:
        raise CaptureError(f"{type(model).__name__} is not a causal decoder: tokens see what follows them")


def _check_pieces(model: Any, tokens: torch.Tensor, logits: torch.Tensor) -> None:
    half = tokens.shape[1] // 2
    name = type(model).__name__
    try:
        with torch.inference_mode():
            cache = model(input_ids=tokens[:, :half], use_cache=True).past_key_values
            if cache is None:
                raise CaptureError(f"{name} gives no cache to continue with, and a capture runs in blocks")
            rest = model(input_ids=tokens[:, half:], past_key_values=cache, use_cache=True).logits[0].float()
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise CaptureError(f"{name} cannot continue from its cache: {first_line(error)}") from error
    if _relative(rest, logits[half:]) > _tolerance(model):
        raise CaptureError(
            f"{name} computes something else in two pieces than in one, and a capture runs in blocks"
        )


def find_layout(fact: LayerFacts) -> str:
    """`half` or `interleaved`; raises CaptureError with what else it is."""
    rotary = fact.call.rotary if fact.call is not None else None
    if rotary is None:
        raise CaptureError("its attention gets no position_embeddings (cos, sin) to rotate by")
    cos, sin = rotary
    if cos.shape[-1] != fact.head_dim:
        raise CaptureError(f"rotates {cos.shape[-1]} of {fact.head_dim} channels; kvtrace 1 needs all")
    assert fact.call is not None
    query = _asked(fact, fact.call.hidden[:, :1].expand_as(fact.call.hidden))
    start = query[:, :1] / cos[0].abs().max()  # cos of position 0 is 1 times a scaling factor
    raw = start.expand_as(query)
    for layout in LAYOUTS:
        if _relative(rotate(raw, cos, sin, layout), query) < _tolerance(fact.module):
            return layout
    raise CaptureError("its queries are not rotated by position in a way kvtrace 1 knows")


def check_speculation(fact: LayerFacts) -> None:
    """Asked again with its own input, the module must give the query that it gave in the model."""
    assert fact.call is not None
    again = _asked(fact, fact.call.hidden)
    if again.shape != fact.query.shape or _relative(again, fact.query) > _tolerance(fact.module):
        raise CaptureError(f"{type(fact.module).__name__} does not give the same query when asked twice")


def _asked(fact: LayerFacts, hidden: torch.Tensor) -> torch.Tensor:
    assert fact.call is not None
    try:
        with torch.inference_mode():
            return fact.call.query_of(hidden)
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise CaptureError(
            f"{type(fact.module).__name__} cannot be asked for its queries alone ({first_line(error)})"
        ) from error


def _relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a.float() - b.float()).norm() / b.float().norm().clamp_min(1e-30))


def _tolerance(module: Any) -> float:
    """Rounding of the type the model runs in, with room for a few layers of it."""
    return max(1e-3, 8 * torch.finfo(next(module.parameters()).dtype).eps)
