"""Draws output error over the entries that are kept, a line for each eviction, with 95 % intervals.

    python notebooks/plot_dynamickv.py FOLDER OUT.png

FOLDER is where scripts/paper-dynamickv has put a trace's results: results/paper/dynamickv/smollm2.
"""

import argparse
from pathlib import Path

import matplotlib
from dynamickv_paper import SHARES, cells, of_trace
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from paired import estimate
from plot_recall_latency import COLOURS, MARKERS

DRAWN = (
    "DynamicKV", "SnapKV", "AdaKV", "PyramidKV", "H2O once", "StreamingLLM once", "DynamicKV unpooled",
)  # fmt: skip
APART = 0.012  # of a budget, by which intervals of neighbouring lines are moved


def draw(folder: Path, axes: Axes) -> None:
    data = of_trace(folder)
    for at, system in enumerate(DRAWN):
        kept = [float(cells(data, "kept", system, share).mean()) for share in SHARES]
        found = [estimate(100 * cells(data, "error", system, share)) for share in SHARES]
        beside = [one * (1 + APART * (at - len(DRAWN) // 2)) for one in kept]
        means = [one.mean for one in found]
        reach = [[one.mean - one.low for one in found], [one.high - one.mean for one in found]]
        axes.errorbar(beside, means, reach, label=system, color=COLOURS[at], marker=MARKERS[at],
                      markersize=5, linewidth=1.5, elinewidth=0.7, capsize=2)  # fmt: skip
    prompt = float(cells(data, "kept", "full", next(iter(SHARES))).mean())
    axes.set_xscale("log")
    axes.set_yscale("log")
    labels = {name: share for name, share in SHARES.items() if name != "1/16"}  # beside 6.9 %
    axes.set_xticks([share * prompt for share in labels.values()], labels)
    axes.minorticks_off()
    axes.set_xlabel(f"entries of a head that are kept, of a prompt of {prompt:.0f}")
    axes.set_yticks([2, 5, 10, 20, 50, 100], ["2", "5", "10", "20", "50", "100"])
    axes.set_ylabel("error of the attention output [%]")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    matplotlib.use("agg")
    figure, axes = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
    draw(options.folder, axes)
    figure.savefig(options.out, dpi=120)


if __name__ == "__main__":
    main()
