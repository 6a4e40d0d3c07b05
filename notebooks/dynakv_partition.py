"""What DynaKV says of keys alone: the best partition drifts, and clusters are retrieved together.

k-means begins at random, so that both are found with several seeds, and for each captured layer and head."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import xarray as xr

CHANCE_DRAWS = 20  # of random retrieval that co-retrieval is held against, for each head


def cluster(keys: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Lloyd's k-means with k-means++ seeding; returns the centroids."""
    rng = np.random.default_rng(seed)
    centroids = keys[rng.integers(len(keys))][None]
    distance = squared_distances(keys, centroids)[:, 0]
    while len(centroids) < count:
        added = keys[rng.choice(len(keys), p=distance / distance.sum())][None]
        centroids = np.vstack([centroids, added])
        distance = np.minimum(distance, squared_distances(keys, added)[:, 0])
    nearest = None
    for _ in range(20):
        before, nearest = nearest, (keys @ centroids.T - (centroids**2).sum(1) / 2).argmax(1)
        if before is not None and (before == nearest).all():
            break
        members = np.eye(count, dtype=keys.dtype)[nearest]
        sizes = members.sum(0)[:, None]
        centroids = np.where(sizes > 0, members.T @ keys / np.maximum(sizes, 1), centroids)
    return centroids


def squared_distances(keys: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """[keys, centroids]; never below 0, which rounding would reach."""
    squares = (keys**2).sum(1)[:, None] - 2 * keys @ centroids.T + (centroids**2).sum(1)
    return np.maximum(squares, 0)


def inertia(keys: np.ndarray, centroids: np.ndarray) -> float:
    """Mean squared distance to the nearest centroid."""
    return float(squared_distances(keys, centroids).min(1).mean())


def layers_and_heads(trace: h5py.File) -> dict[str, list[int]]:
    """As the results name them."""
    return {
        "layer": sorted(int(name) for name in trace["layers"]),
        "kv_head": list(trace.attrs["captured_kv_heads"]),
    }


@cache
def drift_of_partition(trace: Path, seeds: tuple[int, ...], count: int = 16) -> xr.Dataset:
    """Mean squared distance of all keys so far to the prompt's centroids, `static`, and to their own best,
    `best`, at eight lengths: [seed, layer, head, position]."""
    with h5py.File(trace) as file:
        prompt, length = int(file.attrs["prefill_len"]), int(file.attrs["seq_len"])
        names = {"seed": list(seeds)} | layers_and_heads(file)
        positions = np.linspace(prompt, length, 8).astype(int)
        found = np.empty((2, *(len(values) for values in names.values()), len(positions)))
        for place, keys in keys_of_heads(file, names):
            for i, seed in enumerate(seeds):
                fixed = cluster(keys[:prompt], count, seed)
                for j, t in enumerate(positions):
                    found[(0, i, *place, j)] = inertia(keys[:t], fixed)
                    found[(1, i, *place, j)] = inertia(keys[:t], cluster(keys[:t], count, seed))
    coordinates = names | {"position": positions}
    dims = list(coordinates)
    return xr.Dataset({"static": (dims, found[0]), "best": (dims, found[1])}, coordinates)


def keys_of_heads(
    trace: h5py.File, names: dict[str, list[int]]
) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    for i, layer in enumerate(names["layer"]):
        for j, keys in enumerate(trace[f"layers/{layer}/keys"][:]):
            yield (i, j), keys.astype(np.float32)


@cache
def co_retrieval(trace: Path, seeds: tuple[int, ...], count: int = 16, top: int = 4) -> xr.Dataset:
    """`together`: how often two clusters of the prompt are among the `top` of the same prompt query, [seed,
    layer, head, cluster, other], the clusters of each head in order of how often they are retrieved.
    `by_chance`: the share of the most frequent tenth of the pairs where as many queries retrieve clusters at
    random, [seed, layer, head]; more than a tenth, because few queries meet some pairs more often."""
    with h5py.File(trace) as file:
        prompt = int(file.attrs["prefill_len"])
        group = int(file.attrs["query_heads"] // file.attrs["kv_heads"])
        asked = np.flatnonzero(file["query_positions"][:] < prompt)
        names = {"seed": list(seeds)} | layers_and_heads(file)
        sizes = tuple(len(values) for values in names.values())
        found, chance = np.empty((*sizes, count, count)), np.empty(sizes)
        for (layer, head), keys in keys_of_heads(file, names):
            all_queries = file[f"layers/{names['layer'][layer]}/queries"]
            queries = all_queries[head * group : (head + 1) * group].astype(np.float32)[:, asked].mean(0)
            for i, seed in enumerate(seeds):
                centroids = cluster(keys[:prompt], count, seed)
                found[i, layer, head] = together(queries @ centroids.T, top)
                rng = np.random.default_rng(seed)
                shares = [float(share_of_top_tenth(together(rng.random((len(asked), count)), top)))
                          for _ in range(CHANCE_DRAWS)]  # fmt: skip
                chance[i, layer, head] = np.mean(shares)
    dims = list(names)
    return xr.Dataset(
        {"together": ([*dims, "cluster", "other"], found), "by_chance": (dims, chance)}, coords=names
    )


def together(scores: np.ndarray, top: int) -> np.ndarray:
    """[clusters, clusters]: how many queries have both among their `top`; `scores` is [queries, clusters]."""
    chosen = np.zeros(scores.shape)
    np.put_along_axis(chosen, np.argsort(-scores, axis=1)[:, :top], 1, axis=1)
    order = np.argsort(-chosen.sum(0), kind="stable")
    return (chosen.T @ chosen)[np.ix_(order, order)]


def share_of_top_tenth(matrix: np.ndarray) -> np.ndarray:
    """Share of all co-retrievals that the most frequent tenth of the pairs makes up."""
    first, second = np.triu_indices(matrix.shape[-1], 1)
    pairs = np.sort(matrix[..., first, second], axis=-1)[..., ::-1]
    return pairs[..., : pairs.shape[-1] // 10].sum(-1) / pairs.sum(-1)
