"""Prints what the points of a results file miss and cost, as a Markdown table.

    python notebooks/summary_table.py RESULTS.h5

What was not recorded, or has no value, is a dash.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def milliseconds(value: float) -> str:
    return f"{1e3 * value:.1f} ms"


def megabytes(value: float) -> str:
    return f"{1e-6 * value:.1f} MB"


def millijoules(value: float) -> str:
    return f"{1e3 * value:.0f} mJ"


ROWS: list[tuple[str, str, Callable[[float], str]]] = [
    ("recall of the best entries", "recall_mean", percent),
    ("attention mass", "mass_mean", percent),
    ("error of the attention output", "output_error_mean", percent),
    ("mean latency", "latency_mean", milliseconds),
    ("exposed I/O", "exposed_io_mean", milliseconds),
    ("hidden I/O", "hidden_io_mean", milliseconds),
    ("bytes read a step", "bytes_per_step", megabytes),
    ("DRAM", "dram_total_max", megabytes),
    ("energy of a token", "energy_per_token", millijoules),
]


def markdown(path: Path) -> str:
    with h5py.File(path) as file:
        points = file["point"].asstr()[:]
        lines = ["| | " + " | ".join(points) + " |", "|---" * (1 + len(points)) + "|"]
        for label, name, text in ROWS:
            values = file[name][:] if name in file else np.full(len(points), np.nan)
            cells = [text(value) if np.isfinite(value) else "-" for value in values]
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="results file of kvreplay run")
    print(markdown(parser.parse_args().results), end="")
