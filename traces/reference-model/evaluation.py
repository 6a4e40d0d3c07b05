"""The three questions asked of a reference model."""

from __future__ import annotations

import numpy as np
import torch
from mixture import BOS, FactWriter, Mixture


@torch.no_grad()
def evaluate(
    model, corpus: np.ndarray, writer: FactWriter, vocab: int, seed: int = 7, thorough: bool = False
) -> dict:
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
        for place, (prefix, answer) in zip(places, facts, strict=True):
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
