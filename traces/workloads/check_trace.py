#!/usr/bin/env python3
"""Recomputes a trace of a Llama in a GGUF file by transformers alone, and prints how far the trace is off.

    .venv-capture/bin/python traces/workloads/check_trace.py TRACE.h5 MODEL.gguf

Nothing of kvreplay-capture is used: transformers reads the GGUF file, and one whole pass over the trace's
tokens gives keys, values, queries and attention. Exit code 1 where a row is off by more than 5e-4, or
attention by more than 5e-3.
"""

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

ROW_TOLERANCE, ATTENTION_TOLERANCE = 5e-4, 5e-3
PLACES = 20


def load_model(gguf: Path) -> Any:
    """The model, its weights dequantised to float32."""
    config = AutoConfig.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()
    weights = load_gguf_checkpoint(str(gguf), return_tensors=True, model_to_load=model)["tensors"]
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    return model


def whole_pass(model: Any, tokens: np.ndarray) -> tuple[dict[int, Any], dict[int, Any]]:
    """By layer: what its attention module was given, and what went into its output projection."""
    inputs, outputs = {}, {}
    for number, layer in enumerate(model.model.layers):
        layer.self_attn.register_forward_pre_hook(
            lambda _m, _a, given, n=number: inputs.update({n: given}), with_kwargs=True
        )
        layer.self_attn.o_proj.register_forward_pre_hook(
            lambda _m, args, n=number: outputs.update({n: args[0][0]})
        )
    model(torch.tensor(tokens.astype(np.int64))[None], use_cache=False, logits_to_keep=1)
    return inputs, outputs


def exact_rows(attention: Any, given: dict[str, Any]) -> dict[str, np.ndarray]:
    """Queries, keys and values [heads, tokens, d] of one layer."""
    q, k, v = (
        getattr(attention, f"{name}_proj")(given["hidden_states"])
        .unflatten(-1, (-1, attention.head_dim))
        .transpose(1, 2)
        for name in "qkv"
    )
    q, k = apply_rotary_pos_emb(q, k, *given["position_embeddings"])
    return {"queries": q[0].numpy(), "keys": k[0].numpy(), "values": v[0].numpy()}


def attend(queries: np.ndarray, keys: np.ndarray, values: np.ndarray, scale: float) -> np.ndarray:
    """Attention [H, d] of queries [H, d] over keys and values [G, n, d], in float64."""
    made = []
    for row, query in enumerate(queries.astype(np.float64)):
        head = row * len(keys) // len(queries)
        scores = scale * (keys[head] @ query)
        weights = np.exp(scores - scores.max())
        made.append(weights / weights.sum() @ values[head])
    return np.array(made)


def off(got: np.ndarray, wanted: np.ndarray) -> float:
    """Relative distance."""
    return float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))


@torch.inference_mode()
def errors(trace: Path, gguf: Path) -> dict[str, float]:
    """The largest relative error of each kind of row, and of attention, over PLACES places a layer."""
    torch.set_num_threads(1)
    model, rng = load_model(gguf), np.random.default_rng(1)
    worst = dict.fromkeys(("keys", "values", "queries", "attention"), 0.0)
    with h5py.File(trace) as file:
        inputs, outputs = whole_pass(model, file["tokens"][:])
        first, scale = int(file["query_positions"][0]), float(file.attrs["attention_scale"])
        kv_heads = file.attrs["captured_kv_heads"]
        group = int(file.attrs["query_heads"] // file.attrs["kv_heads"])
        heads = {"keys": kv_heads, "values": kv_heads}
        heads["queries"] = np.concatenate([np.arange(head * group, (head + 1) * group) for head in kv_heads])
        for number in map(int, file["layers"]):
            attention = model.model.layers[number].self_attn
            exact = exact_rows(attention, inputs[number])
            exact["queries"] = exact["queries"][:, first:]
            stored = {name: file[f"layers/{number}/{name}"][:].astype(np.float32) for name in heads}
            for name, rows in stored.items():
                for _ in range(PLACES):
                    row, place = rng.integers(len(rows)), rng.integers(rows.shape[1])
                    error = off(rows[row, place], exact[name][heads[name][row], place])
                    worst[name] = max(worst[name], error)
            for position in rng.integers(first, stored["keys"].shape[1], PLACES):
                past = slice(0, position + 1)
                made = attend(
                    stored["queries"][:, position - first],
                    stored["keys"][:, past],
                    stored["values"][:, past],
                    scale,
                )
                model_own = outputs[number][position].unflatten(-1, (-1, attention.head_dim)).numpy()
                worst["attention"] = max(worst["attention"], off(made, model_own[heads["queries"]]))
    return worst


def main() -> int:
    worst = errors(Path(sys.argv[1]), Path(sys.argv[2]))
    for name, error in worst.items():
        print(f"{name}: off by at most {error:.2e} at {PLACES} places a layer")
    rows_right = max(worst[name] for name in ("keys", "values", "queries")) <= ROW_TOLERANCE
    return 0 if rows_right and worst["attention"] <= ATTENTION_TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
