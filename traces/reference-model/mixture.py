"""What the reference model is trained on: prose, repeated spans, and facts that are asked for later."""

from __future__ import annotations

import json
import lzma
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

HERE = Path(__file__).parent
HELD_OUT_SHARE = 0.03
BOS = 0
SUBJECTS = json.loads((HERE / "facts.json").read_text())


@dataclass
class Corpus:
    """Tokenised prose, split into a training part and a held-out tail of every text."""

    train: np.ndarray
    held_out: np.ndarray

    @staticmethod
    def load(archive: Path) -> Corpus:
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
            (n, t): tokenizer.encode(f" The number of {n}'s {t} is").ids
            for n in SUBJECTS["names"]
            for t in SUBJECTS["things"]
        }
        self.space = tokenizer.encode(" 4").ids[0]
        self.digits = [tokenizer.encode(f" {d}").ids[-1] for d in range(10)]
        self.stop = tokenizer.encode(" 4.").ids[-1]

    def draw(self, rng: np.random.Generator, count: int) -> list[tuple[list[int], list[int]]]:
        """`count` facts with distinct subjects, each as (prefix ids, answer ids)."""
        names, things = SUBJECTS["names"], SUBJECTS["things"]
        chosen = rng.choice(len(names) * len(things), size=count, replace=False)
        facts = []
        for c in chosen:
            subject = (names[c // len(things)], things[c % len(things)])
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
