#!/usr/bin/env python3
"""Trains the reference model: a small Llama that looks back.

    python train.py --out checkpoint [--init CHECKPOINT] [--minutes 150] [--threads 2]

Resumable: rerun the same command after an interruption and it continues from `--out`.

The recipe, in the order it happens:
  1. Take `--init` (a small Llama without retrieval heads), or random weights of the same shape.
  2. Grow it by two layers whose attention starts as the look-back circuit found in every larger
     model: heads that attend a fixed few tokens back, then heads that match "what stood before
     this token" against the current context and copy what followed (induction; Olsson et al. 2022,
     "In-context Learning and Induction Heads"). Structured initialisation of this kind is known as
     mimetic initialisation (Trockman and Kolter 2023). At this size the circuit does not form by
     itself within the budget of a CPU, so it is put there and then trained with all the rest.
  3. Train on prose, repeated spans and planted facts, from short sequences to 8,192 tokens.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from evaluation import evaluate
from growth import LANES, grow, random_model
from mixture import Corpus, FactWriter, Mixture
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

HERE = Path(__file__).parent

# (share of the run, sequence length, sequences per step, share of repeats, share of fact sequences)
STAGES = [
    (0.25, 256, 16, 0.30, 0.40),
    (0.25, 512, 8, 0.15, 0.35),
    (0.25, 1024, 4, 0.10, 0.30),
    (0.20, 2048, 2, 0.08, 0.30),
    (0.05, 8192, 1, 0.08, 0.30),
]


def stage_at(progress: float):
    edge = 0.0
    for stage in STAGES:
        edge += stage[0]
        if progress < edge:
            return stage
    return STAGES[-1]


def learning_rate(progress: float, step: int, peak: float) -> float:
    warm = min(1.0, (step + 1) / 100)
    return peak * warm * (0.04 + 0.96 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


# The grown circuit works with small numbers in the embedding and the first layer: at the full rate Adam's
# steps are as large as those numbers and erase it within a few hundred steps (measured).
SLOW_PARTS = ("embed_tokens", "layers.0.self_attn", "layers.0.input_layernorm", "layers.4.self_attn")
SLOW_PACE = 0.08


def protect_lanes(model) -> None:
    """Keeps everything but the first layer's attention from writing into the lanes.

    Lanes hold small numbers; the first Adam steps of the other layers would bury them.
    """
    start = model.config.hidden_size - LANES

    def mask(gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient.clone()
        gradient[start:] = 0
        return gradient

    for index, layer in enumerate(model.model.layers):
        layer.mlp.down_proj.weight.register_hook(mask)
        if index > 0:
            layer.self_attn.o_proj.weight.register_hook(mask)


def make_optimizer(model) -> torch.optim.Optimizer:
    groups: dict[tuple[bool, bool], list] = {}
    for name, parameter in model.named_parameters():
        slow = any(part in name for part in SLOW_PARTS)
        groups.setdefault((slow, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": p,
                "weight_decay": 0.05 if matrix and not slow else 0.0,
                "pace": SLOW_PACE if slow else 1.0,
            }
            for (slow, matrix), p in groups.items()
        ],
        betas=(0.9, 0.98),
        lr=0.0,
    )


def save(folder: Path, model, optimizer, state: dict) -> None:
    """Whole or not at all: everything goes into one file that is renamed into place."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / "state.pt.tmp"
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), **state}, temporary)
    temporary.rename(folder / "state.pt")


def export(folder: Path, model, tokenizer_file: Path) -> None:
    """Float16 weights in Hugging Face layout, as capture takes them."""
    half = LlamaForCausalLM(model.config)
    half.load_state_dict(model.state_dict())
    half.half().save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())


def train(args) -> None:
    torch.set_num_threads(args.threads)
    tokenizer = Tokenizer.from_file(str(args.tokenizer))
    corpus, writer = Corpus.load(args.corpus), FactWriter(tokenizer)
    start = (
        LlamaForCausalLM.from_pretrained(args.init, dtype=torch.float32)
        if args.init
        else random_model(args.seed)
    )
    sample = torch.from_numpy(corpus.train[: 4 * 512].astype(np.int64)).view(4, 512)
    model = grow(start, args.theta, args.seed, sample)
    vocab = model.config.vocab_size
    protect_lanes(model)
    optimizer = make_optimizer(model)
    state = {"step": 0, "tokens": 0, "seconds": 0.0, "log": []}
    if (args.out / "state.pt").exists():
        saved = torch.load(args.out / "state.pt", weights_only=False)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        state = {key: saved[key] for key in state}
    mix = Mixture(corpus.train, writer, vocab, args.seed + state["step"])
    forward = torch.compile(model, dynamic=False) if args.compile else model
    last_report = last_save = state["seconds"]
    mean = None
    while state["seconds"] < args.minutes * 60:
        began = time.monotonic()
        progress = state["seconds"] / (args.minutes * 60)
        _, length, size, repeat_share, fact_share = stage_at(progress)
        ids, weight = mix.batch(size, length, (repeat_share, fact_share))
        for group in optimizer.param_groups:
            group["lr"] = group["pace"] * learning_rate(progress, state["step"], args.lr)
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            logits = forward(input_ids=ids, use_cache=False).logits
        nll = torch.nn.functional.cross_entropy(
            logits[:, :-1].float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
        )
        w = weight[:, 1:].flatten()
        loss = (nll * w).sum() / w.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        state["step"] += 1
        state["tokens"] += ids.numel()
        state["seconds"] += time.monotonic() - began
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        if state["step"] == 1 or state["seconds"] - last_report > args.report_seconds:
            last_report = state["seconds"]
            report = {k: state[k] for k in ("step", "tokens", "seconds")} | {
                "length": length,
                "train_nats": mean,
            }
            report |= evaluate(model, corpus.held_out, writer, vocab)
            state["log"].append(report)
            print(json.dumps({k: round(v, 3) for k, v in report.items()}), flush=True)
        if state["seconds"] - last_save > args.save_seconds:
            last_save = state["seconds"]
            save(args.out, model, optimizer, state)
    save(args.out, model, optimizer, state)
    export(args.out, model, args.tokenizer)
    final = evaluate(model, corpus.held_out, writer, vocab, thorough=True)
    final |= {k: state[k] for k in ("step", "tokens", "seconds")}
    (args.out / "training.json").write_text(
        json.dumps({"final": final, "log": state["log"]}, indent=1) + "\n"
    )
    print(json.dumps(final), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the state and the final model")
    parser.add_argument("--init", type=Path, help="a Hugging Face Llama folder to grow from")
    parser.add_argument("--corpus", type=Path, default=HERE / "corpus.tar.xz")
    parser.add_argument("--tokenizer", type=Path, default=HERE / "tokenizer.json")
    parser.add_argument(
        "--minutes", type=float, default=150, help="training time; the schedule fits itself to it"
    )
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--theta", type=float, default=1e6, help="RoPE base")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report-seconds", type=float, default=300)
    parser.add_argument("--save-seconds", type=float, default=300)
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
