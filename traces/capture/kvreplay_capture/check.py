"""The self-check: attention recomputed from the written file against what the model itself gave out."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import CheckFailed
from .kvtrace import Trace


@dataclass(frozen=True)
class CheckResult:
    """Largest ||o - o_model|| / ||o_model||, o being all captured heads of one layer at one position.

    Rounding q and k to float16 moves a score by about 3e-4 of |q||k| scale, so heads with large scores set
    the floor; single heads can lie above the layer's figure.
    """

    error: float
    layer: int
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
            f"self-check failed: attention recomputed from the file differs from the model's by "
            f"{result.error:.2e} at layer {result.layer}, position {result.position}; allowed {tolerance:.0e}"
            f"{hint}; the file was removed"
        )
    return result


def compare_attention(path: Path, outputs: dict[tuple[int, int], np.ndarray]) -> CheckResult:
    """Attention in float64 from the file at every (layer, position) of `outputs`."""
    worst = CheckResult(-1.0, -1, -1, len({position for _, position in outputs}))
    with Trace(path) as trace:
        for layer in trace.captured_layers:
            wanted = {position: output for (number, position), output in outputs.items() if number == layer}
            for position, error in _layer_errors(trace, layer, wanted).items():
                if not error <= worst.error:  # so that a NaN counts as the worst of all
                    worst = CheckResult(error, layer, position, worst.positions)
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
