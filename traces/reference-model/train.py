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
import lzma
import math
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).parent
HELD_OUT_SHARE = 0.03
BOS = 0

NAMES = (
    "Anna Peter Mary John Andrew Nicholas David Joseph Moses Pierre Natasha Sonya Boris Denisov Levin Kitty "
    "Vronsky Dolly Paul James Thomas Simon Daniel Samuel Sarah Rachel Jacob Abraham Solomon Henry Richard Edward "
    "William George Robert Alexander Michael Helen Katerina Dmitri"
).split()
THINGS = (
    "horse house key door letter room ship sword box field ring book carriage garden table regiment tower stone "
    "well gate cup tent lamp coat boat bridge tree road window chair"
).split()


# ------------------------------------------------------------------------------------- data


@dataclass
class Corpus:
    """Tokenised prose, split into a training part and a held-out tail of every text."""

    train: np.ndarray
    held_out: np.ndarray

    @staticmethod
    def load(archive: Path) -> "Corpus":
        """Reads `*.u16` (little-endian token ids, one file per text) from a .tar.xz."""
        train, held_out = [], []
        with lzma.open(archive) as raw, tarfile.open(fileobj=raw) as tar:
            for member in sorted(tar.getmembers(), key=lambda m: m.name):
                if not member.name.endswith(".u16"):
                    continue
                ids = np.frombuffer(tar.extractfile(member).read(), dtype="<u2")
                cut = int(len(ids) * (1 - HELD_OUT_SHARE))
                train.append(ids[:cut])
                held_out.append(ids[cut:])
        return Corpus(np.concatenate(train), np.concatenate(held_out))


class FactWriter:
    """Writes "The number of Anna's horse is 4071." and the question that asks for it later."""

    def __init__(self, tokenizer: Tokenizer):
        self.prefix = {
            (n, t): tokenizer.encode(f" The number of {n}'s {t} is").ids for n in NAMES for t in THINGS
        }
        self.space = tokenizer.encode(" 4").ids[0]
        self.digits = [tokenizer.encode(f" {d}").ids[-1] for d in range(10)]
        self.stop = tokenizer.encode(" 4.").ids[-1]

    def draw(self, rng: np.random.Generator, count: int) -> list[tuple[list[int], list[int]]]:
        """`count` facts with distinct subjects, each as (prefix ids, answer ids)."""
        chosen = rng.choice(len(NAMES) * len(THINGS), size=count, replace=False)
        facts = []
        for c in chosen:
            subject = (NAMES[c // len(THINGS)], THINGS[c % len(THINGS)])
            answer = [self.digits[d] for d in rng.integers(0, 10, 4)]
            facts.append((self.prefix[subject] + [self.space], answer))
        return facts


class Mixture:
    """Draws training sequences: prose with planted facts, and repeated spans."""

    ANSWER_WEIGHT = 4.0

    def __init__(self, corpus: np.ndarray, writer: FactWriter, vocab: int, seed: int):
        self.corpus, self.writer, self.vocab = corpus, writer, vocab
        self.rng = np.random.default_rng(seed)

    def prose(self, length: int) -> np.ndarray:
        start = self.rng.integers(0, len(self.corpus) - length)
        return self.corpus[start : start + length].astype(np.int64)

    def repeats(self, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Spans of random tokens or of prose that come back, whole or in part, until `length` is full."""
        ids = np.empty(0, dtype=np.int64)
        weight = np.empty(0, dtype=np.float32)
        while len(ids) < length:
            span = int(self.rng.integers(8, max(9, min(length // 2, 512))))
            random = self.rng.random() < 0.5
            first = self.rng.integers(2, self.vocab, span) if random else self.prose(span)
            ids = np.concatenate([ids, first, first])
            seen = np.full(span, 0.05 if random else 1.0, np.float32)
            again = np.ones(span, np.float32)
            again[0] = seen[0]
            weight = np.concatenate([weight, seen, again])
        return ids[:length], weight[:length]

    def facts(self, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Prose with facts at random places; every fact is asked for again further on."""
        count = int(self.rng.integers(2, max(3, min(14, length // 64))))
        facts = self.writer.draw(self.rng, count)
        statement = [p + a + [self.writer.stop] for p, a in facts]
        budget = length - 2 * sum(map(len, statement))
        base = self.prose(max(budget, 1))
        told = np.sort(self.rng.integers(0, max(1, len(base) * 2 // 3), count))
        asked = np.array([self.rng.integers(t, len(base) + 1) for t in told])
        events = sorted(
            [(t, 0, i) for i, t in enumerate(told)] + [(a, 1, i) for i, a in enumerate(asked)],
            key=lambda e: (e[0], e[1]),
        )
        ids: list[int] = []
        weight: list[float] = []
        at = 0
        for place, again, i in events:
            ids += base[at:place].tolist()
            weight += [1.0] * (place - at)
            at = place
            prefix, answer = facts[i]
            ids += prefix + answer + [self.writer.stop]
            weight += [0.2] * len(prefix) + [self.ANSWER_WEIGHT if again else 0.05] * len(answer) + [0.2]
        ids += base[at:].tolist()
        weight += [1.0] * (len(base) - at)
        return np.array(ids[:length]), np.array(weight[:length], np.float32)

    def sequence(self, length: int, shares: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
        pick = self.rng.random()
        if pick < shares[0]:
            ids, weight = self.repeats(length)
        elif pick < shares[0] + shares[1]:
            ids, weight = self.facts(length)
        else:
            ids, weight = self.prose(length), np.ones(length, np.float32)
        ids[0] = BOS
        return ids, weight

    def batch(self, size: int, length: int, shares: tuple[float, float]):
        rows = [self.sequence(length, shares) for _ in range(size)]
        return (
            torch.from_numpy(np.stack([r[0] for r in rows])),
            torch.from_numpy(np.stack([r[1] for r in rows])),
        )


# ------------------------------------------------------------------------------------- model


def random_model(seed: int) -> LlamaForCausalLM:
    """The shape that is grown when no `--init` is given."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=2048, hidden_size=256, intermediate_size=512, num_hidden_layers=4,
            num_attention_heads=4, num_key_value_heads=2, head_dim=64, rms_norm_eps=1e-5,
            tie_word_embeddings=True, bos_token_id=0, eos_token_id=1, max_position_embeddings=16384,
        )
    )


MATCH_GAIN, COPY_GAIN = 24.0, 60.0  # measured: the lowest loss on a repeated random sequence before training
LANES = 128  # residual channels that the grown layers use and the old ones leave alone
CODE, TAP = 63, 16  # lane 0: a constant; 1..63: a code of the token; then four taps of 16: codes of earlier tokens
OFFSETS = ((1.0, 90.0), (2.0, 90.0), (3.0, 90.0), (4.6, 40.0))  # tokens back, sharpness of the attention peak
LANE_SIZE = 0.3
CONSTANT = 3.0  # size of lane 0 in front of the first layer, which takes it out again behind itself


def rope_shift(offset: float, freqs: torch.Tensor, amplitude: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Query and key vectors whose rotary product peaks where the key stands `offset` tokens back.

    With key k0 and query R(-offset) k0 the product is sum_i a_i^2 cos((m - n - offset) f_i).
    """
    key = torch.cat([amplitude, torch.zeros(len(freqs))])
    query = torch.cat([amplitude * torch.cos(-offset * freqs), amplitude * torch.sin(-offset * freqs)])
    return query, key


def widen(old: LlamaForCausalLM, order: list[int], new: LlamaForCausalLM) -> None:
    """Copies the old layers to `order`, reading and writing the old residual channels only."""
    h, wide = old.config.hidden_size, new.config.hidden_size
    for p in new.parameters():
        p.zero_()
    fix = (h / wide) ** 0.5  # RMSNorm now averages over more channels
    embedding, rest = old.model.embed_tokens.weight, new.model
    rest.embed_tokens.weight[:, :h] = embedding
    rest.norm.weight[:h] = old.model.norm.weight * fix
    for index, (source, target) in enumerate(zip(old.model.layers, (rest.layers[i] for i in order))):
        lanes = 1 + 5 * LANE_SIZE**2 / embedding.square().sum(1).mean() if index == 0 else 1.0
        for name in ("input_layernorm", "post_attention_layernorm"):
            getattr(target, name).weight[:h] = getattr(source, name).weight * fix * lanes**0.5
            getattr(target, name).weight[h:] = 1.0
        for name in ("q_proj", "k_proj", "v_proj"):
            getattr(target.self_attn, name).weight[:, :h] = getattr(source.self_attn, name).weight
        target.self_attn.o_proj.weight[:h] = source.self_attn.o_proj.weight
        for name in ("gate_proj", "up_proj"):
            getattr(target.mlp, name).weight[:, :h] = getattr(source.mlp, name).weight
        target.mlp.down_proj.weight[:h] = source.mlp.down_proj.weight


@torch.no_grad()
def residual_rms(model: LlamaForCausalLM, ids: torch.Tensor) -> list[float]:
    """Root mean square of the residual stream in front of every layer."""
    states = model(input_ids=ids, output_hidden_states=True).hidden_states
    return [s[:, 8:].square().mean().sqrt().item() for s in states]


@torch.no_grad()
def grow(old: LlamaForCausalLM, theta: float, seed: int, ids: torch.Tensor) -> LlamaForCausalLM:
    """Adds `LANES` residual channels, a fixed-offset layer (0) and a match-and-copy layer (4).

    `ids` [n, length]: text to measure the scale of the residual stream on.
    """
    torch.manual_seed(seed)
    d, h = old.config.head_dim, old.config.hidden_size
    config = LlamaConfig(
        **{**old.config.to_dict(), "num_hidden_layers": old.config.num_hidden_layers + 2, "hidden_size": h + LANES}
    )
    config.rope_parameters = {"rope_type": "default", "rope_theta": theta}
    config.max_position_embeddings = 16384
    config.dtype = "float32"
    new = LlamaForCausalLM(config).float()
    fresh = {i: {k: v.clone() for k, v in new.model.layers[i].mlp.state_dict().items()} for i in (0, 4)}
    widen(old, [1, 2, 3, 5], new)

    centred = old.model.embed_tokens.weight - old.model.embed_tokens.weight.mean(0)
    principal = torch.linalg.svd(centred, full_matrices=False).Vh[:CODE]  # [CODE, h]
    code = torch.nn.functional.normalize(centred @ principal.T, dim=1)
    embedding = new.model.embed_tokens.weight
    embedding[:, h] = CONSTANT
    embedding[:, h + 1 : h + 1 + CODE] = LANE_SIZE * code
    taps = [slice(h + 1 + CODE + TAP * j, h + 1 + CODE + TAP * (j + 1)) for j in range(4)]
    lanes = slice(h + 1, h + 1 + CODE)
    for i in (0, 4):
        new.model.layers[i].mlp.load_state_dict(fresh[i])
        new.model.layers[i].mlp.down_proj.weight.mul_(0.1)
        new.model.layers[i].post_attention_layernorm.weight.fill_(1.0)
    rms = residual_rms(new, ids)

    def lane_gain(layer) -> None:
        """Norm weights that bring every lane to unit size, so that its weights learn at a common pace."""
        weight = new.model.layers[layer].input_layernorm.weight
        weight[:h] = 1.0
        weight[h] = rms[layer] / CONSTANT
        weight[h + 1 : h + 1 + CODE] = rms[layer] / LANE_SIZE * CODE**0.5
        weight[h + 1 + CODE :] = rms[layer] / LANE_SIZE * TAP**0.5

    lane_gain(0)
    lane_gain(4)
    freqs = theta ** (-torch.arange(d // 2) / (d // 2))
    amplitude = torch.zeros(d // 2)
    amplitude[:9] = 1.0
    first = new.model.layers[0].self_attn
    strongest = max(s for _, s in OFFSETS)
    for head, (offset, sharpness) in enumerate(OFFSETS):
        query, key = rope_shift(offset, freqs, amplitude)
        scale = (strongest * d**0.5 / amplitude.square().sum()) ** 0.5
        first.q_proj.weight[head * d : (head + 1) * d, h] = query * scale * (sharpness / strongest)
        first.k_proj.weight[head // 2 * d : (head // 2 + 1) * d, h] = key * scale
    for group in range(2):
        first.v_proj.weight[group * d : group * d + CODE, lanes] = torch.eye(CODE)
        first.v_proj.weight[group * d + CODE, h] = 1.0
    first.o_proj.weight[h, CODE] = -CONSTANT
    squeeze = torch.linalg.qr(torch.randn(CODE, TAP)).Q.T  # [TAP, CODE]
    for head in range(4):
        size = LANE_SIZE * (CODE / TAP) ** 0.5 / CODE**0.5
        first.o_proj.weight[taps[head], head * d : head * d + CODE] = size * squeeze

    match = new.model.layers[4].self_attn
    slow = 12  # frequencies slow enough to carry content over thousands of tokens
    channels = torch.cat([torch.arange(d // 2 - slow, d // 2), torch.arange(d - slow, d)])
    for group in range(2):
        sketch = [torch.linalg.qr(torch.randn(2 * slow, TAP)).Q for _ in range(4)]
        for step in range(4):
            match.k_proj.weight[group * d + channels, taps[step]] = sketch[step]
        for head in (2 * group, 2 * group + 1):
            rows = (head * d + channels)
            match.q_proj.weight[rows[:, None], torch.arange(h + 1, h + 1 + CODE)] = MATCH_GAIN * sketch[0] @ squeeze
            for step in range(1, 4):
                match.q_proj.weight[rows[:, None], torch.arange(taps[step - 1].start, taps[step - 1].stop)] = (
                    MATCH_GAIN * 0.8 * sketch[step]
                )
        match.v_proj.weight[group * d : group * d + CODE, lanes] = torch.eye(CODE) / CODE**0.5
    for head in range(4):
        match.o_proj.weight[:h, head * d : head * d + CODE] = COPY_GAIN / 4 * principal.T
    for layer in (0, 4):
        for p in new.model.layers[layer].self_attn.parameters():
            p += 0.002 * torch.randn_like(p)
        new.model.layers[layer].mlp.down_proj.weight[h:] = 0
    match.o_proj.weight[h:] = 0
    return new


# ------------------------------------------------------------------------------------- evaluation


@torch.no_grad()
def evaluate(model, corpus: np.ndarray, writer: FactWriter, vocab: int, seed: int = 7, thorough: bool = False) -> dict:
    """The three questions asked of a reference model; all on text that was held out of training.

    validation_nats: mean loss per token over windows of 1,024 held-out tokens.
    repeat_first/second_nats: loss on random tokens (uniform over the vocabulary) and on their repetition.
    facts_recalled: share of facts whose four digits all come out greedily, 8 facts planted in the first
    half of 2,048 tokens of held-out prose and asked for at its end.
    """
    model.eval()
    rng = np.random.default_rng(seed)
    mix = Mixture(corpus, writer, vocab, seed)
    windows = 40 if thorough else 8
    losses = []
    for w in range(windows):
        start = w * (len(corpus) - 1024) // windows
        ids = torch.from_numpy(corpus[start : start + 1024].astype(np.int64))[None]
        losses.append(model(input_ids=ids, labels=ids).loss.item())
    half = 256
    span = torch.from_numpy(rng.integers(2, vocab, (8, half)))
    logits = model(input_ids=torch.cat([span, span], 1)).logits.log_softmax(-1)
    nll = -logits[:, :-1].gather(-1, torch.cat([span, span], 1)[:, 1:, None])[..., 0]
    right = asked = 0
    for _ in range(16 if thorough else 4):
        facts = writer.draw(rng, 8)
        base = mix.prose(2048 - 8 * 16 - 16)
        places = np.sort(rng.integers(0, 1024, 8))
        ids, at = [BOS], 0
        for place, (prefix, answer) in zip(places, facts):
            ids += base[at:place].tolist() + prefix + answer + [writer.stop]
            at = place
        ids += base[at:].tolist()
        for prefix, answer in facts:
            probe = torch.tensor(ids + prefix + answer)[None]
            tail = model(input_ids=probe, logits_to_keep=5).logits[0, :4].argmax(-1)
            right += int(torch.equal(tail, torch.tensor(answer)))
            asked += 1
    model.train()
    return {
        "validation_nats": float(np.mean(losses)),
        "repeat_first_nats": float(nll[:, : half - 1].mean()),
        "repeat_second_nats": float(nll[:, half:].mean()),
        "facts_recalled": right / asked,
        "facts_asked": asked,
    }


# ------------------------------------------------------------------------------------- training

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
            {"params": p, "weight_decay": 0.05 if matrix and not slow else 0.0, "pace": SLOW_PACE if slow else 1.0}
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
    start = LlamaForCausalLM.from_pretrained(args.init, dtype=torch.float32) if args.init else random_model(args.seed)
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
            report = {k: state[k] for k in ("step", "tokens", "seconds")} | {"length": length, "train_nats": mean}
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
    (args.out / "training.json").write_text(json.dumps({"final": final, "log": state["log"]}, indent=1) + "\n")
    print(json.dumps(final), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the state and the final model")
    parser.add_argument("--init", type=Path, help="a Hugging Face Llama folder to grow from")
    parser.add_argument("--corpus", type=Path, default=HERE / "corpus.tar.xz")
    parser.add_argument("--tokenizer", type=Path, default=HERE / "tokenizer.json")
    parser.add_argument("--minutes", type=float, default=150, help="training time; the schedule fits itself to it")
    parser.add_argument("--lr", type=float, default=1.2e-3)
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
