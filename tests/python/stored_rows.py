"""Rows of the sample trace as codecs that store keys before their rotary embedding meet them, in numpy.

Keys, values and what comes back are fp16, as in the program; arithmetic is float64.
"""

from pathlib import Path

import h5py
import numpy as np

LAYERS, HEADS, GROUP, DIM, PROMPT = (5, 12, 19, 26), 3, 3, 64, 256
CONFIG = """
name: stored
include: [{configs}/phones/oneplus_12.yaml, {configs}/devices/ufs40.yaml]
trace: {{path: {trace}}}
system: {{clustering: token, layout: token_order, replacement: none, stages: []}}
points: {points}
run: {{steps: {steps}, check: every_step}}
"""


def half(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).astype(np.float16).astype(np.float64)


class StoredLayer:
    """A captured layer: keys and values [heads, tokens, dim], queries [query heads, rows, dim]."""

    def __init__(self, trace: Path, number: int, tokens: int):
        with h5py.File(trace) as file:
            at = file[f"layers/{number}"]
            self.keys = at["keys"][:, :tokens].astype(np.float64)
            self.values = at["values"][:, :tokens].astype(np.float64)
            self.queries = at["queries"][:].astype(np.float64)
            self.row_of = {int(p): i for i, p in enumerate(file["query_positions"][:])}
            self.scale = float(file.attrs["attention_scale"])
            theta = float(file.attrs["rope_theta"])
        angles = np.arange(tokens)[:, None] * theta ** (-np.arange(0, DIM, 2) / DIM)
        self.cosines, self.sines = np.cos(angles), np.sin(angles)

    def turned(self, keys: np.ndarray, sign: int) -> np.ndarray:
        """`keys` [..., tokens, dim] turned by their positions (1) or back (-1)."""
        a, b = keys[..., : DIM // 2], keys[..., DIM // 2 :]
        cosines, sines = self.cosines, sign * self.sines
        return half(np.concatenate([a * cosines - b * sines, a * sines + b * cosines], axis=-1))

    def errors(
        self, position: int, keys: np.ndarray, values: np.ndarray, raw_from: int = 1 << 30
    ) -> np.ndarray:
        """What attention over 0..position, coded before `raw_from`, is off by; of each KV head, [heads]."""
        found = np.zeros(HEADS)
        for query in range(HEADS * GROUP):
            head = query // GROUP
            q = self.queries[query, self.row_of[position]]
            cut = min(raw_from, position + 1)
            coded_keys = np.concatenate([keys[head, :cut], self.keys[head, cut : position + 1]])
            coded_values = np.concatenate([values[head, :cut], self.values[head, cut : position + 1]])
            true = attention(
                self.scale, q, self.keys[head, : position + 1], self.values[head, : position + 1]
            )
            off = attention(self.scale, q, coded_keys, coded_values) - true
            found[head] += np.linalg.norm(off) / np.linalg.norm(true) / GROUP
        return found


def attention(scale: float, query: np.ndarray, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    logits = scale * keys @ query
    weights = np.exp(logits - logits.max())
    return weights @ values / weights.sum()
