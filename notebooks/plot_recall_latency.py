"""Draws recall against step latency, one marker per point of a results file.

    python notebooks/plot_recall_latency.py RESULTS.h5 OUT.png

The marker stands at the median latency and the mean recall; the bar reaches to the 95th percentile of
the latency.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import h5py
import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# Where a label may stand beside its marker: points right and up, and how the text is aligned there.
LABEL_PLACES = (
    (8, 6, "left", "bottom"),
    (8, -6, "left", "top"),
    (-8, 6, "right", "bottom"),
    (-8, -6, "right", "top"),
    (0, 14, "center", "bottom"),
    (0, -14, "center", "top"),
    (8, 20, "left", "bottom"),
    (8, -20, "left", "top"),
    (-8, 20, "right", "bottom"),
    (-8, -20, "right", "top"),
)


class Points(NamedTuple):
    """What the picture shows of a results file; the arrays have one value per point."""

    names: list[str]
    recall: np.ndarray  # 0 to 1
    p50_s: np.ndarray
    p95_s: np.ndarray
    origin: str  # one line: the trace and the program


def read_points(path: Path) -> Points:
    """Reads the summaries of `path`; points without recall or latency are left out."""
    with h5py.File(path) as file:
        names = file["point"].asstr()[:]
        recall, p50, p95 = (file[name][:] for name in ("recall_mean", "latency_p50", "latency_p95"))
        provenance = file["provenance"].attrs
        origin = describe_origin({name: value.decode() for name, value in provenance.items()})
    known = np.isfinite(recall) & np.isfinite(p50) & np.isfinite(p95)
    return Points(list(names[known]), recall[known], p50[known], p95[known], origin)


def describe_origin(provenance: dict[str, str]) -> str:
    """Says in one line which trace and which build the results come from."""
    commit = provenance.get("commit", "unknown")
    short = commit[:10] + ("-dirty" if commit.endswith("-dirty") else "")
    parts = [f"kvreplay {provenance.get('kvreplay_version', 'unknown')}, commit {short}"]
    if "trace_path" in provenance:
        parts.insert(0, ", ".join(Path(path).name for path in provenance["trace_path"].splitlines()))
    return " · ".join(parts)


def draw(points: Points, axes: Axes) -> None:
    """Draws the points on `axes`, which must have their final size."""
    x, y, bar = 1e3 * points.p50_s, 100 * points.recall, 1e3 * (points.p95_s - points.p50_s)
    for i in range(len(points.names)):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        axes.errorbar(x[i], y[i], xerr=[[0], [bar[i]]], color=colour, marker=marker, markersize=8,
                      markeredgecolor="white", elinewidth=1.5, capsize=3, zorder=3)  # fmt: skip
    if x.size and x.min() > 0 and (x + bar).max() / x.min() > 20:
        axes.set_xscale("log")
    axes.margins(x=0.15, y=0.15)
    axes.set_xlabel("latency of a decode step [ms]: median, bar to the 95th percentile")
    axes.set_ylabel("mean recall [%]")
    axes.set_title("Recall against latency", loc="left", fontsize=13, fontweight="bold", pad=24)
    axes.text(0, 1.02, points.origin, transform=axes.transAxes, fontsize=8, color="#555555")
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    label(points.names, x, y, axes)


def label(names: list[str], x: np.ndarray, y: np.ndarray, axes: Axes) -> None:
    """Writes the names beside the markers, each at the first place that is free."""
    axes.figure.canvas.draw()
    taken = [
        Bbox.from_bounds(px - 5, py - 5, 10, 10)
        for px, py in axes.transData.transform(np.column_stack((x, y)))
    ]
    for i, name in enumerate(names):
        text = axes.annotate(name, (x[i], y[i]), (0, 0), textcoords="offset points", fontsize=9,
                             color=COLOURS[i % len(COLOURS)])  # fmt: skip
        taken.append(find_place(text, taken, axes))


def find_place(text: Annotation, taken: list[Bbox], axes: Axes) -> Bbox:
    """Moves `text` to the place where it covers the fewest others and returns the box it takes there."""

    def move(place: tuple[int, int, str, str]) -> Bbox:
        text.xyann = place[:2]
        text.set(ha=place[2], va=place[3])
        return text.get_window_extent()

    def conflicts(place: tuple[int, int, str, str]) -> float:
        box = move(place)
        inside = axes.get_window_extent().containsx(box.x0) and axes.get_window_extent().containsx(box.x1)
        return sum(box.overlaps(other) for other in taken) + (0 if inside else 0.5)

    return move(min(LABEL_PLACES, key=conflicts))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="results file of kvreplay run or sweep")
    parser.add_argument("out", type=Path, help="picture to write: .png, .svg or .pdf")
    arguments = parser.parse_args()
    matplotlib.use("Agg")
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    draw(read_points(arguments.results), axes)
    figure.savefig(arguments.out, dpi=160)


if __name__ == "__main__":
    main()
