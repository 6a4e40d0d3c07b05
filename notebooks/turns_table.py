"""Prints what systems attend to by turn, as a Markdown table.

    python notebooks/turns_table.py RESULTS.h5

Of results with turns: the attention mass of what each point attends to, mean over the steps of a turn, over
layers and KV heads, and the median latency of a step.
"""

import argparse
from pathlib import Path

import h5py
import numpy as np
from paper_run import markdown


def table(path: Path) -> str:
    """A row a point; steps without a turn of their own belong to none."""
    with h5py.File(path) as file:
        turns = file["turn"][:]
        mass = np.nanmean(file["mass"][:], axis=(2, 3))
        latency = np.nanmedian(file["latency_s"][:], axis=1)
        names = file["point"].asstr()[:]
        count = np.unique(turns[np.isfinite(turns)])
    rows = [
        [
            name.replace(",", ", "),
            *(f"{100 * mass[i][turns[i] == turn].mean():.1f} %" for turn in count),
            f"{1e3 * latency[i]:.1f} ms",
        ]
        for i, name in enumerate(names)
    ]
    answers = [f"answer {number + 1}" for number in range(len(count))]
    return markdown(["", *answers, "median step"], rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", type=Path)
    print(table(parser.parse_args().results))
