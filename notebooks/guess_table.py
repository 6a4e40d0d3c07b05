"""Prints how often guesses are right, and what a step takes with them, as a Markdown table.

    python notebooks/guess_table.py RESULTS.h5

Results with values by step and seeds, of configs/paper/seeds/cxl_speckv.yaml or with points named alike.
What a step takes is held against the point `nothing`, or `dense, nothing`, of the same seed. 95 % intervals
over seeds, layers and KV heads, drawn as of many that might have been (paired.py); what nothing moves has
none.
"""

import argparse
import re
from itertools import groupby
from pathlib import Path

import kvreplay
import xarray as xr
from paired import Estimate, estimate
from paper_run import markdown

HEADS = ["", "guesses right", "misses guessed", "moved up a step", "of fp16", "a step takes", "to no guess"]
DENSE = "dense, "


def by_name(data: xr.Dataset) -> dict[str, xr.Dataset]:
    """The points of each name, along `seed`; those of one name follow one another."""
    names = [str(name).rsplit(",seed=", 1)[0] for name in data.point.values]
    found = groupby(range(len(names)), key=lambda i: names[i])
    return {name: data.isel(point=list(points)).swap_dims(point="seed") for name, points in found}


def ratio(data: xr.Dataset, part: xr.DataArray, whole: xr.DataArray) -> Estimate | None:
    """Of sums over steps, a mean over seeds, layers and heads; none where nothing is guessed."""
    if not data.guessed_bytes.any():
        return None
    return estimate(part.sum("step") / whole.sum("step"))


def text(value: Estimate | None, scale: float, unit: str, digits: int, sign: str = "") -> str:
    if value is None:
        return "-"
    half = scale * (value.high - value.low) / 2
    said = f"{scale * value.mean:{sign}.{digits}f}{unit}"
    return f"{said} ± {half:.{digits}f}" if value.has_interval else said


def row(name: str, data: xr.Dataset, base: xr.Dataset) -> list[str]:
    right, missed = data.rightly_guessed_bytes, data.demanded_bytes - data.hit_bytes
    latency, before = (one.latency_s.mean("step") for one in (data, base))
    last = data.tier_down_bytes.isel(tier=-1).mean(), base.tier_down_bytes.isel(tier=-1).mean()
    up = data.tier_up_bytes.sum("tier").mean("step")
    return [
        re.sub(r",\b", ", ", name),
        text(ratio(data, right, data.guessed_bytes), 100, " %", 1),
        text(ratio(data, right, missed), 100, " %", 1),
        text(estimate(up), 1e-6, " MB", 2),
        f"{float(last[0] / last[1]):.3f}",
        text(estimate(latency), 1e3, " ms", 3),
        text(estimate(latency / before - 1), 100, " %", 1, "+"),
    ]


def table(path: Path) -> str:
    with kvreplay.open(path, stack=True) as data:
        found = by_name(data)
        rows = [
            row(name, one, found[DENSE + "nothing" if name.startswith(DENSE) else "nothing"])
            for name, one in found.items()
        ]
    return markdown(HEADS, rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="results file of kvreplay run, with values by step")
    print(table(parser.parse_args().results))
