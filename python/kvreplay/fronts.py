"""Which points none other beats."""

from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from .errors import Error
from .points import places, summaries

Better = Literal["min", "max"]
Metric = str | tuple[str, Better]

# Which way is better, as `kvreplay compare` has it; the summaries that are not here have no such way.
LARGEST = frozenset(
    (
        "recall_mean",
        "mass_mean",
        "relative_mass_mean",
        "retained_mean",
        "needed_loaded_mean",
        "tokens_per_s",
        "hit_rate",
        "hit_rate_bytes",
        "guess_precision",
        "guess_coverage",
        "effective_bandwidth",
    )
)
SMALLEST = frozenset(
    (
        "output_error_mean",
        "latency_mean",
        "latency_p50",
        "latency_p95",
        "latency_p99",
        "time_to_first_token",
        "compute_mean",
        "policy_mean",
        "exposed_io_mean",
        "prefetch_wait_mean",
        "reads_per_step",
        "bytes_per_step",
        "update_bytes_per_step",
        "read_amplification",
        "write_bytes_per_step",
        "moved_bytes_per_step",
        "write_amplification",
        "flash_space",
        "cache_bytes_max",
        "dram_total_max",
        "energy_per_token",
        "policy_kernel_mean",
    )
)


def pareto(
    data: xr.Dataset, x: Metric = "latency_p50", y: Metric = "output_error_mean", *more: Metric
) -> pd.Index:
    """The points that no other beats: none is at least as good in every metric and better in one.

    A metric is a summary of `data`, or (name, "min") or (name, "max"), which says what is better; of the
    program's own summaries that is known, except where neither way is better. Points that are equal in all
    metrics are on the front together or not at all. A point that has NaN in one of them is not on the front,
    and beats none. Where `seed` is a dimension, means over seeds are compared.

    Returns an index of `point`, or where points lie along several dimensions a MultiIndex of these, the best
    in `x` first and otherwise as in `data`: `data.to_dataframe().loc[front]`, `data.sel(point=front)`.

    Raises Error for a metric that is not one value per point, or of which it is not known what is better.
    """
    metrics = (x, y, *more)
    names = [name_of(metric) for metric in metrics]
    signs = [1 if better(metric) == "min" else -1 for metric in metrics]
    table = summaries(data, *names)
    costs = np.stack([sign * table[name].to_numpy() for sign, name in zip(signs, names, strict=True)], axis=1)
    return places(data).take(unbeaten(costs))


def unbeaten(costs: np.ndarray) -> np.ndarray:
    """Of [point, metric], less being better, the points that none beats, by the first metric."""
    known = np.flatnonzero(~np.isnan(costs).any(axis=1))
    in_order = known[np.lexsort(costs[known].T[::-1])]  # what beats a point stands before it
    front: list[int] = []
    for point in in_order:
        others = costs[front]
        beaten = (others <= costs[point]).all(axis=1) & (others < costs[point]).any(axis=1)
        if not beaten.any():
            front.append(int(point))
    found = np.array(front, dtype=int)
    return found[np.lexsort((found, costs[found, 0]))]


def name_of(metric: Metric) -> str:
    return metric if isinstance(metric, str) else metric[0]


def better(metric: Metric) -> Better:
    """What is better of a metric. Raises Error where it is not known."""
    if not isinstance(metric, str):
        if metric[1] not in ("min", "max"):
            raise Error(f"{metric[0]}: '{metric[1]}' is no direction; allowed: min, max")
        return metric[1]
    if metric not in LARGEST | SMALLEST:
        raise Error(
            f"{metric}: it is not known what is better; give ('{metric}', 'min') or ('{metric}', 'max')"
        )
    return "max" if metric in LARGEST else "min"
