"""The experiments of CORM, FastGen and DBudgetKV in short: that they run, what their table holds, and what is
certain of them at any length."""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from conftest import ROOT

sys.path.insert(0, str(ROOT / "notebooks"))

import kvreplay as package
from kept_and_lost import systems, table

SEEDS = ROOT / "configs" / "paper" / "seeds"
STEPS = 12


@pytest.fixture(scope="module")
def results(kvreplay, tmp_path_factory):
    made: dict[str, Path] = {}

    def run(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("seeds") / f"{name}.h5"
            sets = ("--set", f"run.steps={STEPS}", "--set", "run.check=every_step")
            kvreplay("run", SEEDS / f"{name}.yaml", "-o", made[name], "--together", "8", *sets)
        return made[name]

    return run


def kept_by(path: Path, metric: str) -> dict[str, xr.DataArray]:
    """Of each system's points, means over steps: [layer, kv_head]."""
    with package.open(path, stack=True) as data:
        return {name: part[metric].mean("step").load() for name, part in systems(data)}


def named(values: dict[str, xr.DataArray], *words: str) -> list[xr.DataArray]:
    return [value for name, value in values.items() if all(word in name for word in words)]


@pytest.mark.parametrize(("name", "rows"), [("corm", 10), ("fastgen", 8), ("dbudgetkv", 12)])
def test_every_row_comes_out(name: str, rows: int, results) -> None:
    lines = table(results(name)).splitlines()
    assert len(lines) == 2 + rows
    assert all("%" in line for line in lines[2:])
    assert lines[0].count("|") == (7 if name == "fastgen" else 6)


def test_a_longer_window_of_queries_keeps_more_when_the_prompt_has_been_read(results) -> None:
    with package.open(results("corm"), stack=True) as data:
        kept = [part.retained.isel(step=0) for name, part in systems(data) if name.startswith("CORM")]
    assert len(kept) == 4
    for few, more in pairwise(kept):
        assert (few.values <= more.values).all()
    assert (kept[0].values < kept[-1].values).any()


def test_more_to_recover_keeps_no_less_and_rungs_are_counted(results) -> None:
    path = results("fastgen")
    with package.open(path, stack=True) as data:
        kept = [part.retained.isel(step=0) for name, part in systems(data) if name.startswith("FastGen")]
    assert len(kept) == 5
    for few, more in pairwise(kept):
        assert (few.values <= more.values).all()
    rungs = [line.split("|")[-2] for line in table(path).splitlines()[2:7]]
    assert all(sum(map(int, one.split("/"))) == 12 for one in rungs)


def test_a_larger_drop_keeps_less_and_all_heads_of_a_layer_as_much(results) -> None:
    kept = kept_by(results("dbudgetkv"), "retained")
    for order in ("attention", "last queries", "position"):
        strict, usual, loose = named(kept, f"by {order}")
        assert (strict.values >= usual.values).all() and (usual.values >= loose.values).all()
        assert np.ptp(usual.values, axis=1) == pytest.approx(0, abs=1e-12)
