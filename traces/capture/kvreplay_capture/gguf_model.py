"""Configuration and weights of a GGUF file in the terms of transformers.

llama.cpp and transformers hold the same models with other names, and in three places with other numbers:
the rows of `llama` queries and keys are permuted (rotation pairs channel 2i with 2i + 1 there, i with i + d/2
here), `gemma3` norms are stored with the 1 that transformers adds, and Llama 3 keeps its rotary scaling as
divisors of the frequencies. Whatever is not known here is refused, never left out.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .errors import CaptureError
from .gguf_file import GgufFile

_GLOBAL_TENSORS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_BLOCK_TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_HEAD_NORMS = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
_GEMMA_NORMS = {
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
_ROPE_DIVISORS = "rope_freqs.weight"
_KEYS = {
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "vocab_size",
}
_GEMMA_KEYS = {"attention.sliding_window", "attention.sliding_window_pattern", "rope.freq_base_swa"}
# Gemma 3 of 27 B, told by its number of layers as llama.cpp does, scales scores by hidden_size / heads.
_GEMMA_27B_LAYERS = 62


@dataclass(frozen=True)
class Architecture:
    """What tells one architecture of GGUF from another."""

    model_type: str
    block_tensors: dict[str, str]
    keys: frozenset[str] = frozenset(_KEYS)
    permuted: bool = False
    norm_shift: float = 0.0


ARCHITECTURES = {
    "llama": Architecture("llama", _BLOCK_TENSORS, permuted=True),
    "qwen2": Architecture("qwen2", _BLOCK_TENSORS),
    "qwen3": Architecture("qwen3", _BLOCK_TENSORS | _HEAD_NORMS),
    "gemma3": Architecture(
        "gemma3_text",
        _BLOCK_TENSORS | _HEAD_NORMS | _GEMMA_NORMS,
        keys=frozenset(_KEYS | _GEMMA_KEYS),
        norm_shift=1.0,
    ),
}


def gguf_config(file: GgufFile) -> Any:
    """The configuration of transformers that the metadata and tensors describe."""
    from transformers import AutoConfig

    kind = _architecture(file)
    if file.get("split.count", 1) > 1:
        raise CaptureError(f"{file.path}: is one of {file.get('split.count')} parts; join them first")
    _refuse_unknown_keys(file, kind)
    heads = file.count("attention.head_count")
    head_dim = file.count("attention.key_length", file.count("embedding_length") // heads)
    for name in ("attention.value_length", "rope.dimension_count"):
        if file.number(name, head_dim) != head_dim:
            raise CaptureError(
                f"{file.path}: {name} is {file.number(name)} and keys have {head_dim} channels; "
                "kvtrace 1 needs them equal"
            )
    settings = {
        "vocab_size": file.shape("token_embd.weight")[0],
        "hidden_size": file.count("embedding_length"),
        "intermediate_size": file.count("feed_forward_length"),
        "num_hidden_layers": file.count("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": file.count("attention.head_count_kv", heads),
        "head_dim": head_dim,
        "rms_norm_eps": file.number("attention.layer_norm_rms_epsilon"),
        "max_position_embeddings": file.count("context_length"),
        "rope_parameters": _rope(file),
        "tie_word_embeddings": "output.weight" not in file.tensor_names(),
        "attention_bias": "blk.0.attn_q.bias" in file.tensor_names(),
        "bos_token_id": file.get("tokenizer.ggml.bos_token_id", None),
        "eos_token_id": file.get("tokenizer.ggml.eos_token_id", None),
        "pad_token_id": None,
    }
    if file.architecture == "gemma3":
        settings |= _gemma_settings(file, settings)
    return AutoConfig.for_model(kind.model_type, **settings)


def gguf_weights(file: GgufFile, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """All weights under their names in transformers."""
    kind = _architecture(file)
    weights = {}
    for name in file.tensor_names():
        if name == _ROPE_DIVISORS:  # part of the configuration
            continue
        target = _target_name(file, kind, name)
        weights[target] = torch.from_numpy(np.array(_tensor(file, kind, name))).to(dtype)
    return weights


def _architecture(file: GgufFile) -> Architecture:
    if file.architecture not in ARCHITECTURES:
        raise CaptureError(
            f"{file.path}: architecture '{file.architecture}' is not known here; "
            f"known are {', '.join(ARCHITECTURES)}; capture it from its Hugging Face folder instead"
        )
    return ARCHITECTURES[file.architecture]


def _refuse_unknown_keys(file: GgufFile, kind: Architecture) -> None:
    prefix = f"{file.architecture}."
    for key in file.keys():
        if key.startswith(prefix) and key.removeprefix(prefix) not in kind.keys:
            raise CaptureError(f"{file.path}: what '{key}' means for the model is not known here")


def _rope(file: GgufFile) -> dict[str, Any]:
    """The rotary parameters of all layers, or of the global ones."""
    base = {"rope_theta": float(file.number("rope.freq_base", 10000.0))}
    kind = file.get(f"{file.architecture}.rope.scaling.type", "none")
    if _ROPE_DIVISORS in file.tensor_names():
        if kind != "none":
            raise CaptureError(f"{file.path}: has both '{_ROPE_DIVISORS}' and rope scaling '{kind}'")
        return base | _divided_rope(file)
    if kind == "none":
        return base | {"rope_type": "default"}
    if kind == "linear":
        return base | {"rope_type": "linear", "factor": float(file.number("rope.scaling.factor"))}
    if kind == "yarn":
        return base | {
            "rope_type": "yarn",
            "factor": float(file.number("rope.scaling.factor")),
            "original_max_position_embeddings": file.count("rope.scaling.original_context_length"),
        }
    raise CaptureError(f"{file.path}: rope scaling '{kind}' is not known here")


def _divided_rope(file: GgufFile) -> dict[str, Any]:
    """Frequencies divided one by one; transformers calls this longrope, with one set for all lengths."""
    divisors = file.tensor(_ROPE_DIVISORS).tolist()
    return {
        "rope_type": "longrope",
        "short_factor": divisors,
        "long_factor": divisors,
        "attention_factor": 1.0,
        "original_max_position_embeddings": file.count("context_length"),
    }


def _gemma_settings(file: GgufFile, settings: dict[str, Any]) -> dict[str, Any]:
    layers = settings["num_hidden_layers"]
    pattern = file.count("attention.sliding_window_pattern", 6)
    local = {"rope_type": "default", "rope_theta": float(file.number("rope.freq_base_swa", 10000.0))}
    large = layers == _GEMMA_27B_LAYERS
    return {
        "layer_types": [
            "sliding_attention" if (layer + 1) % pattern else "full_attention" for layer in range(layers)
        ],
        "sliding_window": file.count("attention.sliding_window"),
        "rope_parameters": {"full_attention": settings["rope_parameters"], "sliding_attention": local},
        "query_pre_attn_scalar": (
            settings["hidden_size"] // settings["num_attention_heads"] if large else settings["head_dim"]
        ),
    }


def _target_name(file: GgufFile, kind: Architecture, name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    block = re.fullmatch(r"blk\.(\d+)\.(\w+)", stem)
    target = kind.block_tensors.get(block[2]) if block else _GLOBAL_TENSORS.get(stem)
    if target is None or suffix not in ("weight", "bias"):
        raise CaptureError(f"{file.path}: tensor '{name}' has no place in a '{file.architecture}' model")
    prefix = f"model.layers.{block[1]}." if block else ""
    return f"{prefix}{target}.{suffix}"


def _tensor(file: GgufFile, kind: Architecture, name: str) -> np.ndarray:
    values = file.tensor(name)
    if kind.permuted and re.fullmatch(r"blk\.\d+\.attn_[qk]\.\w+", name):
        heads = file.count("attention.head_count")
        if ".attn_k." in name:
            heads = file.count("attention.head_count_kv", heads)
        return _paired_by_halves(values, heads)
    if kind.norm_shift and name.endswith("norm.weight"):
        return values - np.float32(kind.norm_shift)
    return values


def _paired_by_halves(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows [heads * d, ...] in the order that rotates i with i + d/2, from 2i with 2i + 1."""
    return rows.reshape(heads, -1, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)
