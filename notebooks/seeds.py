"""Experiments of configs/paper/seeds, run and drawn for seeds.ipynb.

`Bench.results` runs an experiment with the program that the environment names, once; what else is here draws
its headline figure from them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import kvreplay
import numpy as np
import xarray as xr
from codec_table import memory
from guess_table import by_name
from kvreplay.annealing import Cooling, anneal
from kvreplay.labels import place_labels
from kvreplay.placed import placed
from kvreplay.placement import PAPER, Plan, Stream, look_ahead, plan_times
from matplotlib.axes import Axes
from paired import estimate
from zoo import cells, points_of

PLACEMENTS = ("PreferHBM", "PreferHBM, paged", "LookAheadOne", "Split")
PAGE_ENTRIES, ENTRY_BYTES = 16, 256.0  # K and V of 64 channels in fp16
FOLDER = Path(__file__).resolve().parent.parent / "configs" / "paper" / "seeds"


class Bench:
    """Results of experiments, kept in `folder`."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def path(self, name: str, **sets: Any) -> Path:
        """Of configs/paper/seeds/NAME.yaml, replayed unless it was."""
        out = self.folder / f"{name}.h5"
        if not out.exists():
            kvreplay.run(
                FOLDER / f"{name}.yaml", out, sets={key.replace("__", "."): v for key, v in sets.items()}
            )
        return out

    def results(self, name: str, **sets: Any) -> xr.Dataset:
        """The same along its points."""
        return kvreplay.open(self.path(name, **sets), stack=True)


def label(axes: Axes, x: np.ndarray, y: np.ndarray, names: list[str]) -> None:
    """Names beside points, as many as have room."""
    place_labels(axes, np.column_stack([x, y]), names)


def with_interval(axes: Axes, x: np.ndarray, values: list[xr.DataArray], **style: Any) -> np.ndarray:
    """Means of each of `values` over all that it has, drawn with their 95 % intervals; returns the means."""
    estimates = [estimate(value) for value in values]
    means = np.array([one.mean for one in estimates])
    low = np.array([one.low if one.has_interval else one.mean for one in estimates])
    high = np.array([one.high if one.has_interval else one.mean for one in estimates])
    axes.errorbar(x, means, yerr=[means - low, high - means], fmt="o", capsize=2, linewidth=1, **style)
    return means


def kept_against_error(data: xr.Dataset, axes: Axes) -> Axes:
    """What evictions keep of the cache, and the error of the output that it costs."""
    points = [data.isel(point=i) for i in range(data.sizes["point"])]
    kept = np.array([100 * float(one.retained.mean()) for one in points])
    error = with_interval(axes, kept, [100 * one.output_error.mean("step") for one in points])
    label(axes, kept, error, list(map(str, data.point.values)))
    axes.set(xlabel="kept of the cache (%)", ylabel="error of the output (%)")
    return axes


def memory_against_error(path: Path, axes: Axes) -> Axes:
    """What entries take in DRAM as a share of fp16's, and the error of the output that it costs."""
    with h5py.File(path) as file:
        points = points_of(file)
        share = np.array([100 * entries for entries, _ in memory(file).values()])
        errors = [100 * cells(file, one, "output_error") for one in points.values()]
    error = with_interval(axes, share, errors)
    label(axes, share, error, list(points))
    axes.set(xlabel="memory of entries (% of fp16)", ylabel="error of the output (%)")
    return axes


def time_by_accuracy(data: xr.Dataset, axes: Axes) -> Axes:
    """What a step takes by how often an oracle's guess is right; no guess and the last step's beside it."""
    found = by_name(data)
    milliseconds = {name: 1e3 * one.latency_s.mean("step") for name, one in found.items()}
    oracle = {name: value for name, value in milliseconds.items() if name.startswith("oracle")}
    accuracy = np.array([float(found[name].accuracy[0]) for name in oracle])
    with_interval(axes, accuracy, list(oracle.values()), label="an oracle's guess")
    for name, label_, style in (("nothing", "no guess", "-"), ("last step", "the last step's", "--")):
        axes.axhline(float(milliseconds[name].mean()), color="0.4", linestyle=style, label=label_)
    axes.set(xlabel="probability that a needed page is guessed", ylabel="a step (ms)")
    axes.legend()
    return axes


def mass_by_turn(data: xr.Dataset, axes: Axes, lines: Mapping[str, int]) -> Axes:
    """The attention mass of what is attended to, by turn; `lines`: names of points, and which they are."""
    for name, point in lines.items():
        one = data.isel(point=point)
        mass = 100 * one.mass.mean(("layer", "kv_head"))
        turns = np.unique(one.turn.values)
        axes.plot(
            range(1, len(turns) + 1), [mass[one.turn == turn].mean() for turn in turns], "o-", label=name
        )
    axes.set(xlabel="answer", ylabel="attention mass (%)", xticks=range(1, len(turns) + 1))
    axes.legend(frameon=False)
    return axes


def placement_times(path: Path, axes: Axes) -> Axes:
    """Mean time of attention's reads in a step, by placement: of the four that were replayed, of one that
    knows the next step, and of a plan annealed from that; by the closed form, over the captured layers."""
    recorded = {
        name: placed(path, name, page_entries=PAGE_ENTRIES, entry_bytes=ENTRY_BYTES) for name in PLACEMENTS
    }
    layers = list(recorded[PLACEMENTS[0]])
    capacity = 3 * 96 * ENTRY_BYTES  # hbm_placement.yaml: 96 entries of each of three KV heads
    plans: dict[str, list[tuple[Stream, Plan]]] = {
        name: [(one[layer].stream, one[layer].plan) for layer in layers] for name, one in recorded.items()
    }
    streams = [recorded[PLACEMENTS[0]][layer].stream for layer in layers]
    known = [(stream, look_ahead(stream, capacity)) for stream in streams]
    plans["next step known"] = known
    plans["annealed from it"] = [
        (stream, anneal(stream, plan, capacity, PAPER, 0, "inclusive", Cooling(moves=2000)))
        for stream, plan in known
    ]
    times = [
        np.mean([1e6 * plan_times(stream, plan, PAPER, "inclusive").mean() for stream, plan in each])
        for each in plans.values()
    ]
    axes.barh(list(plans), times)
    axes.invert_yaxis()
    axes.set(xlabel="attention's reads (µs a step)")
    return axes
