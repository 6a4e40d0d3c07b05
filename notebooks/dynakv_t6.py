"""DynaKV's table 6, cell by cell, beside results of configs/paper/dynakv/t6_rig.yaml.

    python notebooks/dynakv_t6.py [RESULTS.h5]

prints the Markdown table of configs/paper/dynakv/README.md.
"""

import argparse
from pathlib import Path

import h5py
import pandas as pd

RESULTS = Path(__file__).parents[1] / "configs" / "paper" / "dynakv" / "t6_rig.h5"
LENGTHS = ["1K", "2K", "4K", "8K", "16K"]
MEASURED_MS = pd.DataFrame(
    {
        "qwen2.5-1.5b": [84.6, 96.5, 123.5, 209.2, 376.3],
        "qwen2.5-3b": [152.5, 167.5, 215.1, 326.3, 636.8],
        "llama-3.2-1b": [76.7, 97.6, 189.4, 346.7, 677.3],
        "llama-3.2-3b": [189.3, 289.6, 499.6, 1044.0, 1802.3],
    },
    index=LENGTHS,
).T
# What configs/phones/oneplus_12_dynakv.yaml was fitted on: the first column, and the first row.
FITTED = pd.DataFrame(False, index=MEASURED_MS.index, columns=LENGTHS)
FITTED.loc[:, "1K"] = True
FITTED.loc["qwen2.5-1.5b", :] = True
# Two phones with one processor lie so far apart (models/soc/README.md); a cell further off is not met.
SPREAD_OF_PHONES = 1.5


def simulated_ms(path: Path = RESULTS) -> pd.DataFrame:
    """Mean latency of a token, models by lengths."""
    with h5py.File(path) as file:
        points = file["point"].asstr()[:]
        models_and_lengths = pd.MultiIndex.from_tuples([point.split() for point in points])
        latency = pd.Series(1e3 * file["latency_mean"][:], index=models_and_lengths)
    return latency.unstack().loc[MEASURED_MS.index, LENGTHS]


def errors(path: Path = RESULTS) -> pd.DataFrame:
    return simulated_ms(path) / MEASURED_MS - 1


def factors_off(path: Path = RESULTS) -> pd.Series:
    """Of the cells that were predicted: how many times too slow or too fast, 1 or more."""
    ratio = (1 + errors(path)).stack()[~FITTED.stack()]
    return ratio.where(ratio > 1, 1 / ratio)


def markdown(path: Path = RESULTS) -> str:
    ours, off = simulated_ms(path), errors(path)

    def cell(model: str, length: str) -> str:
        at = (model, length)
        fitted = " (fitted)" if FITTED.loc[at] else ""
        return f"{ours.loc[at]:.1f} of {MEASURED_MS.loc[at]:g}, {100 * off.loc[at]:+.0f} %{fitted}"

    lines = ["| model | " + " | ".join(LENGTHS) + " |", "|---" * (1 + len(LENGTHS)) + "|"]
    for model in MEASURED_MS.index:
        lines.append(" | ".join([f"| {model}", *(cell(model, length) for length in LENGTHS)]) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="?", default=RESULTS)
    print(markdown(parser.parse_args().results), end="")
