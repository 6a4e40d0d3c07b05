"""What will be captured: the user's choice joined with what the model turned out to be."""

from dataclasses import dataclass
from importlib import metadata
from typing import Any

import torch

from .errors import CaptureError
from .model import Rope, config_size, rope_parameters, weights_sha256
from .options import CaptureOptions
from .probe import LayerFacts, check_projection, find_layout

TOOL = "kvreplay-capture"


@dataclass(frozen=True)
class Plan:
    """Geometry and choice of one capture; the C++ reader checks the same rules on the file."""

    layers: tuple[int, ...]
    kv_heads: tuple[int, ...]
    model_kv_heads: int
    query_heads: int
    head_dim: int
    scale: float
    layout: str
    rope: Rope
    prefill: int
    total: int
    window: int
    speculated: bool
    prompt_sums: bool
    wo_v_norm: bool

    @property
    def group(self) -> int:
        """Query heads that read one KV head."""
        return self.query_heads // self.model_kv_heads

    @property
    def first_query(self) -> int:
        """First position whose query is kept."""
        return self.prefill - self.window

    @property
    def query_count(self) -> int:
        """Queries per head in the file."""
        return self.total - self.first_query

    def query_rows(self) -> torch.Tensor:
        """Model query heads in the file, in file order."""
        return torch.tensor([kv * self.group + i for kv in self.kv_heads for i in range(self.group)])

    def speculates(self, layer: int) -> bool:
        """Whether the layer gets `speculated_queries`."""
        return self.speculated and layer > 0


def make_plan(options: CaptureOptions, config: Any, facts: dict[int, LayerFacts]) -> Plan:
    """Refuses whatever the format cannot hold, with the layer it is about."""
    rope = rope_parameters(config)
    layers = _choose("--layers", options.layers, config_size(config, "num_hidden_layers"), "layers")
    for layer in layers:
        _check_layer(layer, facts, options)
    first = facts[layers[0]]
    layout = find_layout(layers[0], first)
    for layer in layers[1:]:
        _check_alike(layer, facts[layer], layers[0], first)
        if find_layout(layer, facts[layer]) != layout:
            raise CaptureError(
                f"layer {layer} rotates its queries otherwise than layer {layers[0]}; choose --layers"
            )
    if options.speculated:
        _check_speculation(layers, facts, layout)
    return Plan(
        layers=layers,
        kv_heads=_choose("--kv-heads", options.kv_heads, first.kv_heads, "KV heads"),
        model_kv_heads=first.kv_heads,
        query_heads=first.query_heads,
        head_dim=first.head_dim,
        scale=first.scale,
        layout=layout,
        rope=rope,
        prefill=options.prompt_tokens,
        total=options.total,
        window=options.window,
        speculated=options.speculated,
        prompt_sums=options.prompt_sums,
        wo_v_norm=options.wo_v_norm,
    )


def _choose(option: str, wanted: tuple[int, ...] | None, count: int, what: str) -> tuple[int, ...]:
    chosen = wanted if wanted is not None else tuple(range(count))
    if chosen[-1] >= count:
        raise CaptureError(
            f"{option}: {chosen[-1]} is out of range; the model has {count} {what}, 0 to {count - 1}"
        )
    return chosen


def _check_layer(layer: int, facts: dict[int, LayerFacts], options: CaptureOptions) -> None:
    if layer not in facts:
        seen = ", ".join(map(str, sorted(facts)))
        raise CaptureError(
            f"layer {layer} does not go through the attention registry; layers that do: {seen}"
        )
    fact = facts[layer]
    if fact.window is not None and options.total > fact.window:
        raise CaptureError(
            f"layer {layer} attends to the last {fact.window} positions only and the trace would be "
            f"{options.total} long; kvtrace 1 has no sliding windows: shorten the trace or leave "
            "the layer out with --layers"
        )
    if fact.value_dim != fact.head_dim:
        raise CaptureError(
            f"layer {layer}: values have {fact.value_dim} channels and keys {fact.head_dim}; "
            "kvtrace 1 needs them equal"
        )
    if options.wo_v_norm and not hasattr(fact.module, "o_proj"):
        raise CaptureError(
            f"layer {layer}: {type(fact.module).__name__} has no o_proj; leave out --wo-v-norm"
        )


def _check_alike(layer: int, fact: LayerFacts, other_layer: int, other: LayerFacts) -> None:
    for name in ("query_heads", "kv_heads", "head_dim", "scale"):
        mine, theirs = getattr(fact, name), getattr(other, name)
        if mine != theirs:
            raise CaptureError(
                f"layers {other_layer} and {layer} differ in {name} ({theirs} and {mine}); "
                "kvtrace 1 needs them alike: choose --layers"
            )


def _check_speculation(layers: tuple[int, ...], facts: dict[int, LayerFacts], layout: str) -> None:
    for layer in (number for number in layers if number > 0):
        if layer - 1 not in facts:
            raise CaptureError(
                f"layer {layer - 1} is no attention layer, so layer {layer} has nothing to be "
                "speculated from; use --no-speculated"
            )
        check_projection(layer, facts[layer], layout)


def root_attributes(options: CaptureOptions, config: Any, plan: Plan) -> dict[str, Any]:
    """The root attributes of traces/FORMAT.md."""
    return {
        "format": "kvtrace",
        "version": 1,
        "model_name": options.model_name or options.model_dir.resolve().name,
        "layers": config_size(config, "num_hidden_layers"),
        "query_heads": plan.query_heads,
        "kv_heads": plan.model_kv_heads,
        "head_dim": plan.head_dim,
        "hidden_size": config_size(config, "hidden_size"),
        "ffn_size": config_size(config, "intermediate_size"),
        "vocab_size": config_size(config, "vocab_size"),
        "rope_theta": plan.rope.theta,
        "rope_scaling": plan.rope.scaling,
        "rope_layout": plan.layout,
        "attention_scale": plan.scale,
        "prefill_len": plan.prefill,
        "seq_len": plan.total,
        "captured_layers": list(plan.layers),
        "captured_kv_heads": list(plan.kv_heads),
        "capture_tool": TOOL,
        "capture_version": tool_version(),
        "capture_mode": options.mode,
        "seed": options.seed if options.mode == "sampled" else 0,
        "weights_sha256": weights_sha256(options.model_dir),
        "text_source": options.text_source or options.text.name,
        "licence": options.licence,
    }


def tool_version() -> str:
    """The version of the installed package."""
    try:
        return metadata.version(TOOL)
    except metadata.PackageNotFoundError:
        return "not installed"
