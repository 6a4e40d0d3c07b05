"""What DynaKV says of keys alone: the best partition drifts, and clusters are retrieved together."""

from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pandas as pd


def cluster(keys: np.ndarray, count: int, seed: int = 1) -> np.ndarray:
    """Lloyd's k-means with k-means++ seeding; returns the centroids."""
    rng = np.random.default_rng(seed)
    centroids = keys[rng.integers(len(keys))][None]
    while len(centroids) < count:
        distance = squared_distances(keys, centroids).min(1)
        centroids = np.vstack([centroids, keys[rng.choice(len(keys), p=distance / distance.sum())]])
    for _ in range(20):
        nearest = squared_distances(keys, centroids).argmin(1)
        centroids = np.array([keys[nearest == i].mean(0) if (nearest == i).any() else centroids[i]
                              for i in range(count)])  # fmt: skip
    return centroids


def squared_distances(keys: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """[keys, centroids]; never below 0, which rounding would reach."""
    squares = (keys**2).sum(1)[:, None] - 2 * keys @ centroids.T + (centroids**2).sum(1)
    return np.maximum(squares, 0)


def inertia(keys: np.ndarray, centroids: np.ndarray) -> float:
    """Mean squared distance to the nearest centroid."""
    return float(squared_distances(keys, centroids).min(1).mean())


@cache
def drift_of_partition(trace: Path, count: int = 16) -> pd.DataFrame:
    """Mean squared distance of all keys so far to the prompt's centroids and to their own best, at eight
    lengths; sums over all captured heads, the best of the prompt as 1."""
    with h5py.File(trace) as file:
        prompt, length = int(file.attrs["prefill_len"]), int(file.attrs["seq_len"])
        positions = np.linspace(prompt, length, 8).astype(int)
        sums = np.zeros((len(positions), 2))
        for layer in file["layers"].values():
            for keys in layer["keys"][:].astype(np.float64):
                fixed = cluster(keys[:prompt], count)
                sums += [(inertia(keys[:t], fixed), inertia(keys[:t], cluster(keys[:t], count)))
                         for t in positions]  # fmt: skip
    table = pd.DataFrame(sums / sums[0, 1], index=positions, columns=["prompt's", "best"])
    return table.assign(ratio=table["prompt's"] / table["best"])


@cache
def co_retrieval(trace: Path, count: int = 16, top: int = 4) -> np.ndarray:
    """How often two clusters of the prompt are among the `top` of the same prompt query: [count, count],
    summed over all captured heads, the clusters of each in order of how often they are retrieved."""
    total = np.zeros((count, count))
    with h5py.File(trace) as file:
        prompt = int(file.attrs["prefill_len"])
        group = int(file.attrs["query_heads"] // file.attrs["kv_heads"])
        asked = np.flatnonzero(file["query_positions"][:] < prompt)
        for layer in file["layers"].values():
            for head in range(layer["keys"].shape[0]):
                keys = layer["keys"][head, :prompt].astype(np.float64)
                queries = layer["queries"][head * group : (head + 1) * group].astype(np.float64)
                total += together(queries[:, asked].mean(0) @ cluster(keys, count).T, top)
    return total


def together(scores: np.ndarray, top: int) -> np.ndarray:
    """[clusters, clusters]: how many queries have both among their `top`; `scores` is [queries, clusters]."""
    chosen = np.zeros(scores.shape)
    np.put_along_axis(chosen, np.argsort(-scores, axis=1)[:, :top], 1, axis=1)
    order = np.argsort(-chosen.sum(0), kind="stable")
    return (chosen.T @ chosen)[np.ix_(order, order)]
