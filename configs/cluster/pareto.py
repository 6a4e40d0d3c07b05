"""Draws the points of a results file over two of its metrics: pareto.py RESULTS.h5 X Y PICTURE.png."""

import argparse
from pathlib import Path

import kvreplay
from matplotlib import pyplot as plt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("x", help="a metric, or the summary of one: latency_p50")
    parser.add_argument("y")
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    figure, axes = plt.subplots(figsize=(9.0, 6.0), layout="constrained")
    figure.draw_without_rendering()
    kvreplay.plots.pareto(kvreplay.open(arguments.results), axes, arguments.x, arguments.y)
    figure.savefig(arguments.picture, dpi=150)


if __name__ == "__main__":
    main()
