"""All systems in one table: what they miss, what they cost, and which none other beats.

    python notebooks/zoo.py RESULTS.h5... [--png FILE] [--front | --kernels]

Of the results of configs/experiments/zoo.yaml, or of any file whose points are systems. Recall, mass and
error are means over layers, heads and seeds with 95 % intervals; latency and DRAM are means over seeds. A
system is on the front if none other is at least as good in error, latency and DRAM, and better in one: of the
means alone, whatever their intervals.
Several files are of as many texts, each called as its file is: the table then has the error of each, means
over texts with 95 % intervals (over texts, and of the error over layers, heads and seeds too), and on which
texts a system is on the front.
--front: of systems on the front alone what the front is of, as README has it.
--kernels: what the policies' own kernels took on the host that ran them instead, for all heads of the model.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import matplotlib as mpl
import numpy as np
import xarray as xr
import yaml
from kvreplay.fronts import unbeaten
from kvreplay.labels import place_labels
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from paired import Estimate, estimate

QUALITY = ("recall", "mass", "output_error")


class System(NamedTuple):
    name: str
    recall: Estimate
    mass: Estimate
    output_error: Estimate
    latency_s: float
    dram_bytes: float
    read_bytes: float

    @property
    def costs(self) -> tuple[float, float, float]:
        return self.output_error.mean, self.latency_s, self.dram_bytes


def points_of(file: h5py.File) -> dict[str, list[int]]:
    """Those of each system, a seed each."""
    variants = file["variant"].asstr()[:].tolist()
    return {name: [i for i, one in enumerate(variants) if one == name] for name in dict.fromkeys(variants)}


def cells(file: h5py.File, points: list[int], name: str) -> xr.DataArray:
    """Of each seed, layer and head, the mean over the steps in which there was a value."""
    values = np.stack([np.nanmean(file[name][point], axis=0) for point in points])
    return xr.DataArray(values, dims=("seed", "layer", "kv_head"))


def estimate_of(values: xr.DataArray) -> Estimate:
    return estimate(values) if np.isfinite(values).all() else Estimate.exact(np.nan)


def systems(path: Path) -> list[System]:
    with h5py.File(path) as file:
        found = []
        for name, points in points_of(file).items():
            quality = {metric: estimate_of(cells(file, points, metric)) for metric in QUALITY}
            latency, dram, read = (
                float(file[metric][points].mean())
                for metric in ("latency_mean", "dram_total_max", "bytes_per_step")
            )
            found.append(System(name, **quality, latency_s=latency, dram_bytes=dram, read_bytes=read))
    return found


def front(found: Sequence[System]) -> set[str]:
    """Those that none other beats, of the means."""
    return {found[place].name for place in unbeaten(np.array([one.costs for one in found]))}


def percent(value: Estimate) -> str:
    if not np.isfinite(value.mean):
        return "-"
    if not value.has_interval:
        return f"{100 * value.mean:.1f} %"
    return f"{100 * value.mean:.1f} % [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def short(found: list[System]) -> str:
    """The front alone, the smallest error first, and what it is of."""
    lines = ["| system | error of the output | latency | DRAM |", "|---" * 4 + "|"]
    on_front = front(found)
    for one in sorted(found, key=lambda one: one.output_error.mean):
        if one.name in on_front:
            costs = f"{1e3 * one.latency_s:.2f} ms | {1e-6 * one.dram_bytes:.2f} MB"
            lines.append(f"| {one.name} | {percent(one.output_error)} | {costs} |")
    return "\n".join(lines)


def markdown(found: list[System]) -> str:
    lines = [
        "| system | recall | attention mass | error of the output | latency | DRAM | read a step | front |",
        "|---" * 8 + "|",
    ]
    on_front = front(found)
    for one in found:
        quality = " | ".join(percent(value) for value in (one.recall, one.mass, one.output_error))
        costs = (
            f"{1e3 * one.latency_s:.2f} ms | {1e-6 * one.dram_bytes:.2f} MB | {1e-6 * one.read_bytes:.2f} MB"
        )
        lines.append(f"| {one.name} | {quality} | {costs} | {'yes' if one.name in on_front else ''} |")
    return "\n".join(lines)


def interval(value: Estimate, scale: float, unit: str) -> str:
    """Without one that rounding hides."""
    mean, low, high = (f"{scale * part:.2f}" for part in value)
    return f"{mean} {unit} [{low}, {high}]" if value.has_interval and low != high else f"{mean} {unit}"


def over_texts(paths: Sequence[Path]) -> str:
    """Of the systems that all files have."""
    texts = {path.stem: {one.name: one for one in systems(path)} for path in paths}
    fronts = {text: front([*found.values()]) for text, found in texts.items()}
    errors: dict[str, list[xr.DataArray]] = {}
    for path in paths:
        with h5py.File(path) as file:
            for name, points in points_of(file).items():
                errors.setdefault(name, []).append(cells(file, points, "output_error"))
    lines = [
        f"| system | {' | '.join(f'error, {text}' for text in texts)} | all | latency | DRAM | front |",
        "|---" * (len(texts) + 5) + "|",
    ]
    for name in next(iter(texts.values())):
        if not all(name in found for found in texts.values()):
            continue
        each = [found[name] for found in texts.values()]
        costs = [
            estimate(xr.DataArray([getattr(one, cost) for one in each], dims="trace"))
            for cost in ("latency_s", "dram_bytes")
        ]
        on_front = [text for text, names in fronts.items() if name in names]
        cells_of_row = [
            name,
            *(f"{100 * one.output_error.mean:.1f} %" for one in each),
            percent(estimate_of(xr.concat(errors[name], "trace"))),
            interval(costs[0], 1e3, "ms"),
            interval(costs[1], 1e-6, "MB"),
            "every text" if len(on_front) == len(texts) else ", ".join(on_front),
        ]
        lines.append(f"| {' | '.join(cells_of_row)} |")
    return "\n".join(lines)


def kernels(path: Path) -> str:
    """Scoring, ranking and updating, as share of what a step takes on the simulated phone."""
    lines = ["| system | policy kernels, a step | of the simulated latency |", "|---" * 3 + "|"]
    with h5py.File(path) as file:
        for name, (point, *_) in points_of(file).items():
            config = yaml.safe_load(file["provenance/resolved_config"][point].decode())
            heads = config["model"]["layers"] * config["model"]["kv_heads"]
            captured = file["layer"].size * file["kv_head"].size
            host_s = float(file["host/policy_kernel_mean"][point]) * max(1, heads) / captured
            share = host_s / float(file["latency_mean"][point])
            lines.append(f"| {name} | {1e3 * host_s:.3f} ms | {100 * share:.1f} % |")
    return "\n".join(lines)


def draw(found: list[System]) -> Figure:
    """Points are numbered as the table's rows."""
    figure, (axes, names) = plt.subplots(1, 2, figsize=(11, 6), width_ratios=(4, 1), layout="constrained")
    axes.set(xlabel="latency of a token [ms]", ylabel="error of the attention output [%]")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_title("error over latency; area: DRAM; blue: none other is at least as good in all three")
    names.axis("off")
    on_front = front(found)
    at = np.array([(1e3 * one.latency_s, 100 * one.output_error.mean) for one in found])
    areas = np.array([5e-6 * one.dram_bytes + 8 for one in found])
    for number, one in enumerate(found, start=1):
        colour = "tab:blue" if one.name in on_front else "0.6"
        axes.scatter(*at[number - 1], s=areas[number - 1], color=colour, alpha=0.6)
        names.text(0, 1 - number / (len(found) + 1), f"{number}  {one.name}", fontsize=8, color=colour)
    axes.grid(alpha=0.3)
    place_labels(axes, at, [str(number + 1) for number in range(len(found))], half_sizes=np.sqrt(areas) / 2)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "results", type=Path, nargs="+", help="results of kvreplay run; several: of as many texts"
    )
    parser.add_argument("--png", type=Path, help="a picture to draw")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--front", action="store_true", help="the short table of the front instead")
    instead.add_argument("--kernels", action="store_true", help="the table of the policies' kernels instead")
    options = parser.parse_args()
    if len(options.results) > 1:
        if options.kernels or options.front or options.png:
            parser.error("--front, --kernels and --png are of one file")
        print(over_texts(options.results))
        return
    if options.kernels:
        print(kernels(*options.results))
        return
    found = systems(*options.results)
    print(short(found) if options.front else markdown(found))
    if options.png:
        mpl.use("agg")
        draw(found).savefig(options.png, dpi=100)


if __name__ == "__main__":
    main()
