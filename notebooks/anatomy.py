"""What a policy works with, from a trace: directions of keys, what attention wants, how that moves.

Everything is of one KV head of a trace: `T` positions, `d` channels, `group` query heads, `N` decode steps.
"""

from typing import NamedTuple

import kvreplay
import numpy as np
from numpy.typing import NDArray


class Plane(NamedTuple):
    """The two directions along which rows vary most."""

    mean: NDArray[np.float32]  # [d]
    directions: NDArray[np.float32]  # [2, d], of length 1
    shares: NDArray[np.float32]  # [2], of the variance

    def of(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """[row, 2]: where rows lie in it."""
        return (rows - self.mean) @ self.directions.T


def plane(rows: NDArray[np.float32]) -> Plane:
    """Of [row, d], by principal components. The sign of a direction is that of its largest channel."""
    mean = rows.mean(axis=0)
    _, lengths, directions = np.linalg.svd(rows - mean, full_matrices=False)
    first = directions[:2]
    signs = np.sign(first[np.arange(2), np.abs(first).argmax(axis=1)])
    return Plane(mean, first * signs[:, np.newaxis], (lengths**2 / (lengths**2).sum())[:2])


def decode_queries(trace: kvreplay.Trace, layer: int, head: int) -> NDArray[np.float32]:
    """[group, N, d]: those of decode steps."""
    return trace.queries(layer, head)[:, trace.query_positions >= trace.prefill_len]


def wanted(
    trace: kvreplay.Trace, layer: int, head: int, share: float = 0.1, sinks: int = 4, recent: int = 32
) -> NDArray[np.bool_]:
    """[N, T]: whether an entry is among those that attention weighs most in a step, as many as `share` of
    what is visible. By the mean softmax of the group's query heads; sinks, the last `recent` entries and the
    step's own, which systems keep anyway, are not asked for."""
    keys, queries = trace.keys(layer, head), decode_queries(trace, layer, head)
    found = np.zeros((queries.shape[1], trace.seq_len), dtype=bool)
    for step in range(queries.shape[1]):
        position = trace.prefill_len + step
        weights = softmax(trace.model.attention_scale * queries[:, step] @ keys[: position + 1].T).mean(
            axis=0
        )
        weights = weights[sinks : max(sinks, position - recent)]
        count = min(int(share * (position + 1)), weights.size)
        best = np.argpartition(weights, weights.size - count)[weights.size - count :] if count else []
        found[step, sinks + np.asarray(best, dtype=int)] = True
    return found


def softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Over the last axis."""
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def together(chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[entry, entry], of [step, entry]: of the steps that choose the row's entry, how many choose the
    column's too. NaN in rows that no step chooses."""
    counts = chosen.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return counts.T @ counts / counts.sum(axis=0)[:, np.newaxis]


def kept(chosen: NDArray[np.bool_], lag: int) -> NDArray[np.float64]:
    """[step - lag]: the share of what a step chooses that the step `lag` later chooses too."""
    before, after = chosen[:-lag], chosen[lag:]
    with np.errstate(invalid="ignore"):
        return (before & after).sum(axis=1) / before.sum(axis=1)


def turned(rows: NDArray[np.float32], lag: int) -> NDArray[np.float32]:
    """[..., row - lag]: the cosine between each of [..., row, d] and that `lag` before it."""
    unit = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return (unit[..., lag:, :] * unit[..., :-lag, :]).sum(axis=-1)
