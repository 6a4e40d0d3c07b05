"""Model families of transformers as tiny random models, and what becomes of each in a capture.

`python tests/python/capture_families.py` prints the tables of traces/capture/README.md.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from capture_models import TEXT, save_tokenizer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

SIZES: dict[str, Any] = dict(
    vocab_size=96,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    max_position_embeddings=512,
    bos_token_id=0,
    eos_token_id=1,
    pad_token_id=None,
    initializer_range=0.3,
    # what mixtures of experts call their sizes
    num_experts=4,
    num_local_experts=4,
    n_routed_experts=4,
    moe_num_experts=4,
    num_experts_per_tok=2,
    moe_k=2,
    moe_intermediate_size=16,
    shared_expert_intermediate_size=16,
    n_shared_experts=1,
    num_shared_experts=1,
    first_k_dense_replace=1,
    n_group=1,
    topk_group=1,
)
WHOLE = {"rope_parameters": {"rope_type": "default", "rope_theta": 5000.0, "partial_rotary_factor": 1.0}}
LATENT = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 8,
    "q_lora_rank": 8,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "v_head_dim": 8,
}
LINEAR = {
    "num_hidden_layers": 4,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    **WHOLE,
}


@dataclass(frozen=True)
class Family:
    """One family: `layers` as --layers takes them, None for all; `note` says under which condition."""

    kind: str
    changes: dict[str, Any] = field(default_factory=dict)
    layers: tuple[int, ...] | None = None
    speculated: bool = True
    note: str = ""


def _plain(*kinds: str) -> list[Family]:
    return [Family(kind) for kind in kinds]


HELD = [
    *_plain("afmoe", "apertus", "arcee", "aria_text", "bitnet", "cohere", "cwm", "dots1", "ernie4_5"),
    *_plain("ernie4_5_moe", "exaone_moe", "flex_olmo", "gemma", "granite", "granitemoe", "granitemoeshared"),
    *_plain("helium", "hy_v3", "hyperclovax", "internlm3"),
    *_plain("iquestcoder", "jais2", "jetmoe", "kolibri1", "llama", "mellum", "minimax_m2"),
    *_plain("minimax_m3_vl_text", "ministral", "ministral3", "mistral", "mixtral", "olmo", "olmo2", "olmoe"),
    *_plain("phi3", "phimoe", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "seed_oss", "solar_open"),
    *_plain("starcoder2"),
    Family("cohere2", {"num_hidden_layers": 4}, (0, 1, 2), note="the layers that rotate"),
    Family("cohere2_moe", {"num_hidden_layers": 4}, (0, 1, 2), note="the layers that rotate"),
    Family("smollm3", {"num_hidden_layers": 4}, (0, 1, 2), note="the layers that rotate"),
    Family("gemma3_text", {"num_hidden_layers": 6, "sliding_window": 16}, (5,), note="the global layers"),
    Family(
        "gemma4_text",
        {
            "num_hidden_layers": 6,
            "sliding_window": 16,
            "hidden_size_per_layer_input": 0,
            "vocab_size_per_layer_input": 96,
            "num_kv_shared_layers": 0,
            "global_head_dim": 8,
        },
        (5,),
        note="the global layers of models whose layers share no KV",
    ),
    Family("olmo3", {"num_hidden_layers": 4, "sliding_window": 16}, (3,), note="the global layers"),
    Family(
        "modernbert-decoder",
        {"num_hidden_layers": 3, "pad_token_id": 0},
        (0,),
        note="the global layers",
    ),
    Family(
        "falcon_h1",
        {
            "mamba_d_ssm": 32,
            "mamba_n_heads": 4,
            "mamba_d_head": 8,
            "mamba_d_state": 4,
            "mamba_chunk_size": 16,
        },
        note="the attention beside the state space",
    ),
    Family(
        "granitemoehybrid",
        {
            "mamba_n_heads": 8,
            "mamba_d_head": 8,
            "mamba_d_state": 8,
            "layer_types": ["mamba", "attention"],
            "position_embedding_type": "rope",
            "shared_intermediate_size": 16,
        },
        (1,),
        speculated=False,
        note="the attention layers where they rotate",
    ),
    Family(
        "lfm2",
        {"num_hidden_layers": 4, "layer_types": ["conv", "full_attention"] * 2, "conv_L_cache": 3},
        (1, 3),
        speculated=False,
        note="the attention layers",
    ),
    Family(
        "lfm2_moe",
        {"num_dense_layers": 1, "layer_types": ["conv", "full_attention"]},
        (1,),
        speculated=False,
        note="the attention layers",
    ),
    Family("lfm3", {"num_hidden_layers": 4}, (2,), speculated=False, note="the attention layers"),
    Family("olmo_hybrid", {}, (1,), speculated=False, note="the attention layers"),
    Family("qwen3_5_text", LINEAR, (3,), speculated=False, note="the attention layers, rotated whole"),
    Family("qwen3_5_moe_text", LINEAR, (3,), speculated=False, note="the attention layers, rotated whole"),
    Family("qwen3_next", LINEAR, (3,), speculated=False, note="the attention layers, rotated whole"),
    *(
        Family(kind, WHOLE, note="where all channels are rotated")
        for kind in ("glm", "glm4", "glm4_moe", "gpt_neox", "nemotron", "persimmon", "phi", "stablelm")
    ),
]

# By reason: a part of the message, what it means, the families as they come.
REFUSED: list[tuple[str, str, list[Family]]] = [
    (
        "has no single rotary embedding",
        "positions are told otherwise than by rotation",
        _plain("biogpt", "ctrl", "gpt2", "gpt_bigcode", "opt"),
    ),
    (
        "rotates 4 of 8 channels",
        "only some channels of a head are rotated",
        [
            *_plain("fuyu", "glm", "glm4", "glm4_moe", "laguna", "nemotron", "persimmon", "phi"),
            Family("zaya", {"num_experts_per_tok": 1}),
            Family("minicpm3", LATENT),
        ],
    ),
    ("rotates 2 of 8 channels", "only some channels of a head are rotated", _plain("gpt_neox", "stablelm")),
    (
        "its attention gets no position_embeddings",
        "the rotation cannot be seen from outside",
        [*_plain("llama4_text", "moshi"), Family("deepseek_v2", LATENT)],
    ),
    (
        "its queries are not rotated by position",
        "layers without rotation, with one the other way round, or with a norm after it",
        [
            *_plain("hunyuan_v1_dense", "hunyuan_v1_moe", "nanochat"),
            Family("cohere2", {"num_hidden_layers": 4}),
            Family("smollm3", {"num_hidden_layers": 4}),
        ],
    ),
    (
        "values have 8 channels and keys 12",
        "latent attention: keys and values differ in size",
        [Family(kind, LATENT) for kind in ("glm4_moe_lite",)],
    ),
    ("its attention uses 'softcap'", "capped scores", _plain("gemma2", "vaultgemma")),
    (
        "its attention uses 's_aux'",
        "attention sinks that are no token",
        _plain("deepseek_v4", "flint", "gpt_oss", "granite_swa", "granitemoe_swa", "hy_v4", "mimo_v2_flash"),
    ),
    ("its attention uses 'sinks'", "attention sinks that are no token", _plain("inkling2_text")),
    ("its attention uses 'position_bias'", "scores that depend on distance", _plain("inkling_text")),
    ("attends otherwise than by softmax", "scores with a bias of each key", _plain("doge")),
    ("makes attention 2 times a token", "two attentions a layer", _plain("diffllama")),
    ("makes attention 8 times a token", "layers that are run again", _plain("hrm_text")),
    (
        "computes something else in two pieces than in one",
        "caches that do not continue a sequence",
        [
            Family(
                "minimax", {"layer_types": ["linear_attention", "full_attention"], "block_size": 16, **WHOLE}
            )
        ],
    ),
    (
        "attends to the last 16 positions only",
        "sliding windows shorter than the trace, beside layers without rotation",
        [Family("exaone4", {"num_hidden_layers": 4, "sliding_window": 16, "sliding_window_pattern": 4})],
    ),
    (
        "does not call the attention-function registry",
        "attention of their own",
        _plain(
            "bloom", "codegen", "cpmant", "gptj", "gpt_neox_japanese", "mpt", "rembert", "roformer", "xglm"
        ),
    ),
    (
        "does not call the attention-function registry",
        "no attention at all",
        _plain("falcon_mamba", "mamba", "rwkv", "xlstm"),
    ),
    (
        "is not a causal decoder",
        "encoders, whose tokens see what follows them",
        _plain("bert", "electra", "ernie", "roc_bert"),
    ),
]


def make_family(folder: Path, family: Family) -> Path:
    """A model folder with random weights, biases and norms, and a text."""
    config = transformers.AutoConfig.for_model(family.kind, **(SIZES | family.changes))
    torch.manual_seed(11)
    model = transformers.AutoModelForCausalLM.from_config(config)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, 1.0 if "norm" in name else 0.0, 0.2)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    save_tokenizer(folder)
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Seen:
    """What one layer handed to the attention function in a whole pass: [heads, tokens, d]."""

    queries: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    speculated: torch.Tensor | None


class WholePass:
    """One pass of a model over all tokens, through a function of this class's own in the registry."""

    def __init__(self, folder: Path, tokens: list[int]) -> None:
        self._calls: dict[int, tuple[Any, ...]] = {}
        self._inputs: dict[int, tuple[Any, dict[str, Any]]] = {}
        ALL_ATTENTION_FUNCTIONS.register("whole_pass", self._attend)
        ALL_MASK_ATTENTION_FUNCTIONS.register("whole_pass", sdpa_mask)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, attn_implementation="whole_pass", dtype=torch.float32
        ).eval()
        with torch.no_grad():
            model(torch.tensor([tokens]), use_cache=False)
            modules = {layer: call[0] for layer, call in self._calls.items()}
            hooks = [
                module.register_forward_pre_hook(self._note_input, with_kwargs=True)
                for module in modules.values()
            ]
            model(torch.tensor([tokens]), use_cache=False)
            for hook in hooks:
                hook.remove()
            whole = dict(self._calls)
            self.layers = {layer: self._seen(layer, whole) for layer in whole}

    def _attend(self, module: Any, q: Any, k: Any, v: Any, attention_mask: Any, **kwargs: Any) -> Any:
        self._calls[module.layer_idx] = (module, q[0], k[0], v[0])
        return sdpa_attention_forward(module, q, k, v, attention_mask, **kwargs)[0], None

    def _note_input(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        names = ("hidden_states",) if args else ()
        self._inputs[module.layer_idx] = (module, {**dict(zip(names, args, strict=False)), **kwargs})

    def _seen(self, layer: int, whole: dict[int, tuple[Any, ...]]) -> Seen:
        """With the queries that the layer makes of the input of the layer before."""
        speculated = None
        if layer - 1 in self._inputs:
            module, kwargs = self._inputs[layer]
            earlier = self._inputs[layer - 1][1]["hidden_states"]
            module(**(kwargs | {"hidden_states": earlier}))
            speculated = self._calls[layer][1]
        _, q, k, v = whole[layer]
        return Seen(q, k, v, speculated)


def tables() -> str:
    """The tables of traces/capture/README.md."""
    whole = sorted(family.kind for family in HELD if not family.note)
    notes: dict[str, list[str]] = {}
    for family in HELD:
        if family.note:
            notes.setdefault(family.note, []).append(family.kind)
    lines = ["| captured | families |", "|---|---|", f"| every layer | {', '.join(whole)} |"]
    lines += [f"| {note} | {', '.join(sorted(kinds))} |" for note, kinds in notes.items()]
    reasons: dict[str, list[str]] = {}
    for _, meaning, families in REFUSED:
        reasons.setdefault(meaning, []).extend(family.kind for family in families)
    lines += ["", "| refused, since they have | families |", "|---|---|"]
    lines += [f"| {meaning} | {', '.join(sorted(set(kinds)))} |" for meaning, kinds in reasons.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(tables())
