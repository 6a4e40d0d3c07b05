"""Draws two summaries of a results file against each other, and the line of the points that none beats.

    python notebooks/plot_pareto.py RESULTS.h5 OUT.png [--x latency_p50] [--y output_error_mean]

Prints the points on the front. Which way is better, the package knows of the program's own summaries.
"""

import argparse
from pathlib import Path

import kvreplay
import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot as plt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="results file of kvreplay run")
    parser.add_argument("out", type=Path, help="picture to write")
    parser.add_argument("--x", default="latency_p50", help="summary along the x axis")
    parser.add_argument("--y", default="output_error_mean", help="summary along the y axis")
    given = parser.parse_args()
    with kvreplay.open(given.results, stack=True) as data:
        figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
        kvreplay.plots.pareto(data, axes, given.x, given.y)
        figure.savefig(given.out, dpi=160)
        print("\n".join(map(str, kvreplay.pareto(data, given.x, given.y))))


if __name__ == "__main__":
    main()
