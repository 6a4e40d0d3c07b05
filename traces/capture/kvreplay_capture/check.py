"""The self-check: attention recomputed from the written file against what the model itself gave out."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import CheckFailed
from .kvtrace import Trace


@dataclass(frozen=True)
class CheckResult:
    """Largest ||o - o_model|| / ||o_model|| over the checked layers, heads and positions, and its place."""

    error: float
    layer: int
    head: int
    position: int
    positions: int


def sample_positions(prefill: int, total: int, count: int) -> list[int]:
    """`count` decode positions spread evenly, the first and the last among them."""
    return sorted(set(np.linspace(prefill, total - 1, count).round().astype(int).tolist()))


def require_reproduction(
    path: Path, outputs: dict[tuple[int, int], np.ndarray], tolerance: float, dtype: str
) -> CheckResult:
    """Raises CheckFailed where the file does not reproduce outputs: (layer, position) -> [H, d]."""
    result = compare_attention(path, outputs)
    if not result.error <= tolerance:
        hint = "" if dtype == "float32" else f" (the model ran in {dtype}, whose own rounding counts too)"
        raise CheckFailed(
            f"self-check failed: relative error {result.error:.2e} at layer {result.layer}, query head row "
            f"{result.head}, position {result.position}; allowed {tolerance:.0e}{hint}; "
            "the file was removed"
        )
    return result


def compare_attention(path: Path, outputs: dict[tuple[int, int], np.ndarray]) -> CheckResult:
    """Attention in float64 from the file at every (layer, position) of `outputs`."""
    worst = CheckResult(-1.0, -1, -1, -1, len({position for _, position in outputs}))
    with Trace(path) as trace:
        for layer in trace.captured_layers:
            wanted = {position: output for (number, position), output in outputs.items() if number == layer}
            for head in range(trace.query_rows):
                worst = _compare_head(trace, layer, head, wanted, worst)
    return worst


def _compare_head(
    trace: Trace, layer: int, head: int, wanted: dict[int, np.ndarray], worst: CheckResult
) -> CheckResult:
    keys, values = trace.head_entries(layer, head // trace.group)
    for position, output in wanted.items():
        query = trace.query(layer, head, position)
        got = attention(query, keys[: position + 1], values[: position + 1], trace.scale)
        error = float(np.linalg.norm(got - output[head]) / max(np.linalg.norm(output[head]), 1e-30))
        if not error <= worst.error:  # a NaN is the worst of all
            worst = CheckResult(error, layer, head, position, worst.positions)
    return worst


def attention(query: np.ndarray, keys: np.ndarray, values: np.ndarray, scale: float) -> np.ndarray:
    """softmax(scale q.K) V in float64: query [d], keys and values [n, d] -> [d]."""
    scores = scale * (keys.astype(np.float64) @ query.astype(np.float64))
    weights = np.exp(scores - scores.max())
    return (weights / weights.sum()) @ values.astype(np.float64)
