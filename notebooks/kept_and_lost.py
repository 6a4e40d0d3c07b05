"""Prints what evictions keep of the KV cache and what of the attention that loses, as a Markdown table.

    python notebooks/kept_and_lost.py RESULTS.h5

Means over steps, with 95 % intervals over layers and KV heads, drawn as of many that might have been
(paired.py). What is the same in all of them has no interval.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import kvreplay
import numpy as np
import xarray as xr
from paired import Estimate, estimate
from paper_run import markdown

Figure = Callable[[xr.Dataset], xr.DataArray]
COLUMNS: list[tuple[str, Figure]] = [
    ("kept of the prompt", lambda data: data.retained.isel(step=0)),
    ("kept", lambda data: data.retained.mean("step")),
    ("attention mass of what is kept", lambda data: data.retained_mass.mean("step")),
    ("error of the attention output", lambda data: data.output_error.mean("step")),
]
RUNGS = "head_profile.rung"


def systems(data: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """Each point by its name."""
    for i, name in enumerate(data["point"].values):
        yield str(name).replace(",", ", "), data.isel(point=i)


def share(value: Estimate) -> str:
    """As per cent, with half of the interval's width."""
    half = 50 * (value.high - value.low)
    return f"{100 * value.mean:.1f} %" + (f" ± {half:.1f}" if value.has_interval else "")


def heads_by_rung(data: xr.Dataset) -> str:
    """How many heads keep special tokens / and punctuation / and frequent ones / and local ones / all."""
    if RUNGS not in data or data[RUNGS].isnull().all():
        return ""
    rungs = data[RUNGS].isel(step=0).values.astype(int)
    return " / ".join(str(count) for count in np.bincount(rungs.ravel(), minlength=5))


def table(path: Path) -> str:
    """A row a system, of a results file with values by step."""
    with kvreplay.open(path, stack=True) as data:
        profiled = RUNGS in data
        rows = [
            [name, *(share(estimate(figure(part))) for _, figure in COLUMNS)]
            + ([heads_by_rung(part)] if profiled else [])
            for name, part in systems(data)
        ]
    return markdown(["", *(name for name, _ in COLUMNS), *(["heads by rung"] if profiled else [])], rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="results file of kvreplay run, with values by step")
    print(table(parser.parse_args().results))
