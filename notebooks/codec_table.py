"""What codecs take and what they cost, in one table.

    python notebooks/codec_table.py RESULTS.h5...

Of the results of configs/paper/seeds/deltakv.yaml or csr.yaml, or of any file whose points are systems and
one of which is called fp16. `memory` is the mean over steps of what entries take in DRAM, as a share of
fp16's: cached, pinned and not written yet; `with the codec's own` has what the codec keeps besides, its
directions or dictionaries and which entries refer to which. `read along` is what is read from flash because
entries that are read refer to it, as a share of those. Errors are those of the attention output under
exact queries: of each captured layer the mean over heads, seeds and steps, and of all the mean with its 95 %
interval over layers, heads and seeds. Several files are of as many texts, each called as its file is: the
table then has the error of each and the mean over texts, layers and heads with its interval.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import xarray as xr
from zoo import cells, estimate_of, percent, points_of

ENTRIES = ("cache_bytes", "pinned_bytes", "write_buffer_bytes")
BASE = "fp16"


def mean_bytes(file: h5py.File, points: list[int], names: Sequence[str]) -> float:
    """Over steps and seeds, in bytes of the whole model."""
    return float(sum(np.mean(file[name][points]) for name in names))


def memory(file: h5py.File) -> dict[str, tuple[float, float]]:
    """Of each point, as shares of fp16's: entries, and with what the codec keeps besides."""
    found = points_of(file)
    entries = {name: mean_bytes(file, points, ENTRIES) for name, points in found.items()}
    kept = {name: mean_bytes(file, points, ("metadata_bytes",)) for name, points in found.items()}
    # What fp16 has of it is the clustering's, as all others have.
    return {
        name: (entries[name] / entries[BASE], (entries[name] + kept[name] - kept[BASE]) / entries[BASE])
        for name in found
    }


def read_along(file: h5py.File, points: list[int]) -> str:
    if "reference_read_bytes" not in file:  # where no point has flash
        return "-"
    read, along = (
        float(np.nansum(file[name][points])) for name in ("useful_read_bytes", "reference_read_bytes")
    )
    return f"{100 * along / read:.0f} %" if read > 0 else "-"


def of_one_text(path: Path) -> str:
    with h5py.File(path) as file:
        shares = memory(file)
        layers = [int(layer) for layer in file["layer"][:]]
        head = " | ".join(f"layer {layer}" for layer in layers)
        lines = [
            f"| stored as | memory | with the codec's own | read along | error of the output | {head} |",
            "|---" * (5 + len(layers)) + "|",
        ]
        for name, points in points_of(file).items():
            errors = cells(file, points, "output_error")
            of_layers = errors.mean(("seed", "kv_head")).to_numpy()
            entries, whole = shares[name]
            row = [
                name,
                f"{100 * entries:.1f} %",
                f"{100 * whole:.1f} %",
                read_along(file, points),
                percent(estimate_of(errors)),
                *(f"{100 * error:.1f} %" for error in of_layers),
            ]
            lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def over_texts(paths: Sequence[Path]) -> str:
    """Of the points that all files have."""
    errors: dict[str, list[xr.DataArray]] = {}
    shares: dict[str, list[float]] = {}
    for path in paths:
        with h5py.File(path) as file:
            for name, (entries, _) in memory(file).items():
                shares.setdefault(name, []).append(entries)
            for name, points in points_of(file).items():
                errors.setdefault(name, []).append(cells(file, points, "output_error"))
    texts = " | ".join(f"error, {path.stem}" for path in paths)
    lines = [f"| stored as | memory | {texts} | all |", "|---" * (len(paths) + 3) + "|"]
    for name, of_texts in errors.items():
        if len(of_texts) < len(paths):
            continue
        each = " | ".join(f"{100 * float(one.mean()):.1f} %" for one in of_texts)
        everything = percent(estimate_of(xr.concat(of_texts, "trace")))
        lines.append(f"| {name} | {100 * np.mean(shares[name]):.1f} % | {each} | {everything} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path)
    results = parser.parse_args().results
    print(of_one_text(results[0]) if len(results) == 1 else over_texts(results))


if __name__ == "__main__":
    main()
