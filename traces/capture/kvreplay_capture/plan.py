"""What will be captured: the user's choice joined with what the model turned out to be."""

from dataclasses import dataclass, fields
from importlib import metadata
from typing import Any

import torch

from .errors import CaptureError
from .model import ModelSource, config_size, source_name, weights_sha256
from .options import CaptureOptions, join_indices
from .probe import LayerFacts, check_speculation, find_layout
from .rope import Rope, layer_rope

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
    """Refuses whatever the format cannot hold, with the layer it is about and the layers that it can."""
    count = config_size(config, "num_hidden_layers")
    layers = _choose("--layers", options.layers, count, "layers")
    shapes = {layer: _judge(layer, config, facts, options) for layer in range(count)}
    shape = _common_shape(layers, shapes)
    if options.speculated:
        _check_speculation(layers, facts)
    return Plan(
        layers=layers,
        kv_heads=_choose("--kv-heads", options.kv_heads, shape.kv_heads, "KV heads"),
        model_kv_heads=shape.kv_heads,
        query_heads=shape.query_heads,
        head_dim=shape.head_dim,
        scale=shape.scale,
        layout=shape.layout,
        rope=shape.rotary,
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


@dataclass(frozen=True)
class _Shape:
    """What all layers of a kvtrace have in common."""

    query_heads: int
    kv_heads: int
    head_dim: int
    scale: float
    layout: str
    rotary: Rope


def _judge(
    layer: int, config: Any, facts: dict[int, LayerFacts], options: CaptureOptions
) -> _Shape | CaptureError:
    """The layer as a kvtrace holds it, or why it cannot."""
    try:
        if layer not in facts:
            raise CaptureError("makes no attention that goes through the attention registry")
        fact = facts[layer]
        _check_layer(fact, options)
        rope = layer_rope(config, layer)
        if rope is None:
            raise CaptureError(
                f"a '{config.model_type}' model has no single rotary embedding there; "
                "kvtrace 1 holds layers that rotate their queries and keys"
            )
        layout = find_layout(fact)
    except CaptureError as error:
        return error
    return _Shape(fact.query_heads, fact.kv_heads, fact.head_dim, fact.scale, layout, rope)


def _check_layer(fact: LayerFacts, options: CaptureOptions) -> None:
    if fact.calls != 1:
        raise CaptureError(f"makes attention {fact.calls} times a token; kvtrace 1 holds it once")
    if fact.window is not None and options.total > fact.window:
        raise CaptureError(
            f"attends to the last {fact.window} positions only and the trace would be {options.total} long; "
            "kvtrace 1 has no sliding windows"
        )
    if fact.query_heads % fact.kv_heads == 0 and not fact.plain:
        raise CaptureError(
            "attends otherwise than by softmax over the scaled products of query and keys, "
            "and kvtrace 1 knows no other attention"
        )
    if fact.value_dim != fact.head_dim:
        raise CaptureError(
            f"values have {fact.value_dim} channels and keys {fact.head_dim}; kvtrace 1 needs them equal"
        )
    if fact.query_heads % fact.kv_heads:
        raise CaptureError(
            f"{fact.query_heads} query heads share {fact.kv_heads} KV heads unevenly; "
            "kvtrace 1 needs a multiple"
        )
    if options.wo_v_norm and not hasattr(fact.module, "o_proj"):
        raise CaptureError(f"{type(fact.module).__name__} has no o_proj; leave out --wo-v-norm")


def _common_shape(layers: tuple[int, ...], shapes: dict[int, _Shape | CaptureError]) -> _Shape:
    """The shape of the chosen layers, which must be one."""
    whole = {layer: shape for layer, shape in shapes.items() if isinstance(shape, _Shape)}
    refused: dict[str, list[int]] = {}
    for layer in (layer for layer in layers if layer not in whole):
        refused.setdefault(str(shapes[layer]), []).append(layer)
    if refused:
        reasons = (
            f"layer{'s' if len(group) > 1 else ''} {join_indices(group)}: {reason}"
            for reason, group in refused.items()
        )
        raise CaptureError(f"{'; '.join(reasons)}; {_choices(whole)}")
    first = whole[layers[0]]
    for layer in layers[1:]:
        for field in fields(_Shape):
            theirs, mine = getattr(first, field.name), getattr(whole[layer], field.name)
            if mine != theirs:
                raise CaptureError(
                    f"layers {layers[0]} and {layer} differ in {field.name} ({theirs} and {mine}); "
                    f"kvtrace 1 needs them alike: {_choices(whole)}"
                )
    return first


def _choices(whole: dict[int, _Shape]) -> str:
    """Which layers fit into one trace, as --layers takes them."""
    alike: dict[_Shape, list[int]] = {}
    for layer, shape in whole.items():
        alike.setdefault(shape, []).append(layer)
    if not alike:
        return "no layer of this model can be captured"
    return (
        f"what can be captured: {' or '.join('--layers ' + join_indices(group) for group in alike.values())}"
    )


def _check_speculation(layers: tuple[int, ...], facts: dict[int, LayerFacts]) -> None:
    for layer in (number for number in layers if number > 0):
        if layer - 1 not in facts:
            raise CaptureError(
                f"layer {layer - 1} is no attention layer, so layer {layer} has nothing to be "
                "speculated from; use --no-speculated"
            )
        try:
            check_speculation(facts[layer])
        except CaptureError as error:
            raise CaptureError(f"layer {layer}: {error}; use --no-speculated") from error


def root_attributes(source: ModelSource, options: CaptureOptions, config: Any, plan: Plan) -> dict[str, Any]:
    """The root attributes of traces/FORMAT.md."""
    return {
        "format": "kvtrace",
        "version": 1,
        "model_name": options.model_name or source_name(source),
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
        "weights_sha256": weights_sha256(source),
        "text_source": options.text_source or options.words.name,
        "licence": options.licence,
    }


def tool_version() -> str:
    """The version of the installed package."""
    try:
        return metadata.version(TOOL)
    except metadata.PackageNotFoundError:
        return "not installed"
