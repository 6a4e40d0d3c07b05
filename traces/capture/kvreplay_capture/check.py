"""The self-check: is what was written what the model computed?

Three outputs are compared at every sampled layer and position: the model's own; attention in float64 over the
rows that the attention function received; and attention over the same rows rounded to float16, the type of
the file. Model against exact rows tells whether it is the attention that a kvtrace stands for. File against
rounded rows tells whether the file holds them. Neither contains the rounding, which is a property of the
format and is reported.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import CheckFailed
from .kvtrace import Trace

# What float64 sums in another order may differ by, with room for scores of 1e5.
FILE_TOLERANCE = 1e-6
# Condition numbers up to this do not matter; beyond, single precision loses digits in proportion.
EASY_CONDITION = 1e3


@dataclass(frozen=True)
class Sample:
    """One layer at one position: outputs [H, d] of the model, and of exact attention over rounded rows.

    `error` is ||o_exact - o_model|| / ||o_model||; `condition` bounds how much a relative error of the scores
    is magnified in it.
    """

    model: np.ndarray
    rounded: np.ndarray
    error: float
    condition: float

    def excess(self) -> float:
        """The error as it would be at an easy condition, to be held against the tolerance."""
        return self.error / max(1.0, self.condition / EASY_CONDITION)


@dataclass(frozen=True)
class CheckResult:
    """The largest relative error and where it is; errors are over all captured heads of one layer."""

    error: float
    layer: int
    position: int
    positions: int


@dataclass(frozen=True)
class CheckReport:
    """`capture`: model against exact rows. `rounding`: model against the file."""

    capture: CheckResult
    rounding: CheckResult


def sample_positions(prefill: int, total: int, count: int) -> list[int]:
    """`count` decode positions spread evenly, the first and the last among them."""
    return sorted(set(np.linspace(prefill, total - 1, count).round().astype(int).tolist()))


def require_reproduction(
    path: Path, samples: dict[tuple[int, int], Sample], tolerance: float, dtype: str
) -> CheckReport:
    """Raises CheckFailed where the model's attention is another, or the file holds other rows."""
    positions = len({position for _, position in samples})
    capture = _worst({place: sample.error for place, sample in samples.items()}, positions)
    excess = _worst({place: sample.excess() for place, sample in samples.items()}, positions)
    if not excess.error <= tolerance:
        hint = "" if dtype == "float32" else f" (the model ran in {dtype}, whose own rounding counts too)"
        raise CheckFailed(
            f"self-check failed: attention over the model's queries, keys and values differs from its own "
            f"by {excess.error:.2e} at layer {excess.layer}, position {excess.position}; "
            f"allowed {tolerance:.0e}{hint}"
        )
    held = compare_attention(path, {place: sample.rounded for place, sample in samples.items()})
    if not held.error <= FILE_TOLERANCE:
        raise CheckFailed(
            f"self-check failed: attention recomputed from the file differs from that of the rows it should "
            f"hold by {held.error:.2e} at layer {held.layer}, position {held.position}; "
            f"allowed {FILE_TOLERANCE:.0e}"
        )
    rounding = compare_attention(path, {place: sample.model for place, sample in samples.items()})
    return CheckReport(capture, rounding)


def compare_attention(path: Path, outputs: dict[tuple[int, int], np.ndarray]) -> CheckResult:
    """Attention in float64 from the file at every (layer, position) of `outputs` against these [H, d]."""
    errors: dict[tuple[int, int], float] = {}
    with Trace(path) as trace:
        for layer in trace.captured_layers:
            wanted = {position: output for (number, position), output in outputs.items() if number == layer}
            for position, error in _layer_errors(trace, layer, wanted).items():
                errors[layer, position] = error
    return _worst(errors, len({position for _, position in outputs}))


def _worst(errors: dict[tuple[int, int], float], positions: int) -> CheckResult:
    worst = CheckResult(-1.0, -1, -1, positions)
    for (layer, position), error in errors.items():
        if not error <= worst.error:  # so that a NaN counts as the worst of all
            worst = CheckResult(error, layer, position, positions)
    return worst


def _layer_errors(trace: Trace, layer: int, wanted: dict[int, np.ndarray]) -> dict[int, float]:
    """Relative error by position; one KV head is in memory at a time."""
    squares = dict.fromkeys(wanted, 0.0)
    for kv_row in range(len(trace.captured_kv_heads)):
        keys, values = trace.head_entries(layer, kv_row)
        for row in range(kv_row * trace.group, (kv_row + 1) * trace.group):
            for position, output in wanted.items():
                query = trace.query(layer, row, position)
                got = attention(query, keys[: position + 1], values[: position + 1], trace.scale)
                squares[position] += float(((got - output[row]) ** 2).sum())
    return {p: float(np.sqrt(squares[p]) / max(np.linalg.norm(wanted[p]), 1e-30)) for p in wanted}


def attention(query: np.ndarray, keys: np.ndarray, values: np.ndarray, scale: float) -> np.ndarray:
    """softmax(scale q.K) V in float64: query [d], keys and values [n, d] -> [d]."""
    scores = scale * (keys.astype(np.float64) @ query.astype(np.float64))
    weights = np.exp(scores - scores.max())
    return (weights / weights.sum()) @ values.astype(np.float64)


def make_sample(
    output: np.ndarray, queries: np.ndarray, keys: np.ndarray, values: np.ndarray, scale: float
) -> Sample:
    """A sample from one position: output and queries [H, d], keys and values [G, n, d] up to it."""
    group = len(queries) // len(keys)
    exact, rounded = np.empty_like(output), np.empty_like(output)
    magnified = 0.0
    for row, query in enumerate(queries):
        k, v = keys[row // group], values[row // group]
        exact[row] = attention(query, k, v, scale)
        rounded[row] = attention(*(x.astype(np.float16) for x in (query, k, v)), scale)
        score = scale * np.linalg.norm(query) * np.linalg.norm(k, axis=1).max()
        magnified += (score * np.linalg.norm(v, axis=1).max()) ** 2
    norm = max(float(np.linalg.norm(output)), 1e-30)
    return Sample(
        output, rounded, float(np.linalg.norm(exact - output)) / norm, float(np.sqrt(magnified)) / norm
    )
