"""What a policy works with and what it does, in one KV head.

From a trace: directions of keys, what attention wants, how that moves; `T` positions, `d` channels, `group`
query heads, `N` decode steps. From results with `record.units`: how entries are grouped, and what was found
of them in the cache or read.
"""

from typing import NamedTuple

import kvreplay
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
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


def unit_of_entry(choices: pd.DataFrame, count: int) -> NDArray[np.int64]:
    """[count]: the unit that each entry is in, -1 for none, of the choices of one step (kvreplay.units) in
    which a stage chose every unit."""
    found = np.full(count, -1)
    for row in choices[choices["role"] == "chosen"].itertuples():
        found[row.positions] = row.unit
    return found


def shares_found(choices: pd.DataFrame) -> pd.DataFrame:
    """Of each chosen unit (index) in each step (columns), the share of its entries that were in the first
    tier; NaN where it was not chosen, or nothing was asked of the memory. Every step from the first to the
    last has a column."""
    asked = choices[(choices["role"] == "chosen") & (choices["in_first_tier"] >= 0)]
    counts = asked.groupby(["unit", "step"])[["in_first_tier", "entry_count"]].sum().unstack()
    shares = counts["in_first_tier"] / counts["entry_count"]
    return shares.reindex(columns=range(choices["step"].min(), choices["step"].max() + 1))


def draw_units(axes: Axes, at: NDArray[np.float32], units: NDArray[np.int64], followed: list[int]) -> None:
    """Entries at [entry, 2]; those of each unit that is followed in a colour of its own, with a line from
    each to their mean."""
    others = ~np.isin(units, followed)
    axes.scatter(*at[others].T, s=4, color="0.6", alpha=0.5, linewidth=0)
    for number, unit in enumerate(followed):
        rows = at[units == unit]
        if len(rows):
            mean = np.broadcast_to(rows.mean(axis=0), rows.shape)
            lines = LineCollection(np.stack([mean, rows], axis=1), colors=f"C{number}", linewidths=0.6)
            axes.add_collection(lines)
            axes.scatter(*rows.T, s=10, color=f"C{number}")


def draw_found(axes: Axes, shares: pd.DataFrame) -> None:
    """A row for each unit, a column for each step: blank where it was not chosen, else how much of it was in
    the first tier."""
    image = axes.imshow(
        100 * shares, aspect="auto", cmap="cividis", vmin=0, vmax=100, interpolation="nearest",
        extent=[shares.columns[0] - 0.5, shares.columns[-1] + 0.5, len(shares), 0],
    )  # fmt: skip
    axes.set(xlabel="step", ylabel="chosen units, oldest first")
    axes.figure.colorbar(image, ax=axes, label="of its entries, in DRAM [%]")


def draw_flash(axes: Axes, lie: pd.DataFrame, read: pd.DataFrame) -> None:
    """What is read of the flash in each step, under a strip of where units lie, in two greys by turns. Both
    are extents (kvreplay.units); offsets count from the first of them."""
    first = min(lie["offset_bytes"].min(), read["offset_bytes"].min())
    greys = np.array(["0.45", "0.7"])[lie["unit"].rank(method="dense").astype(int) % 2]
    top = read["step"].min() - 3.0
    for table, heights, colours, width in (
        (lie, np.full(len(lie), top), greys, 8.0),
        (read, read["step"].to_numpy(), "C0", 2.0),
    ):
        begin = (table["offset_bytes"] - first) / 1024
        axes.hlines(heights, begin, begin + table["length_bytes"] / 1024, colors=colours, linewidth=width)
    axes.margins(x=0.01)
    axes.invert_yaxis()
    axes.set(xlabel="place on flash [KiB]", ylabel="step")
