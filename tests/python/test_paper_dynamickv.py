"""DynamicKV's experiments on a few steps of the shipped sample: every row comes out, what is compared keeps
as much, and what is certain of an eviction is so."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from conftest import ROOT
from notebook_runs import run_notebook

sys.path.insert(0, str(ROOT / "notebooks"))

from dynamickv_paper import (
    EVERY_STEP,
    EXPERIMENTS,
    ONCE,
    OURS,
    SHARES,
    budgets_of,
    curves,
    of_trace,
    page,
    rows,
    verdict,
)
from dynamickv_run import CONFIGS, SAMPLE, run_all, steps_of, zips
from paired import Estimate
from paper_run import Row, call, markdown

STEPS = 16
BUDGETS = [4, 16, 18, 32, 64, 128, 192]  # entries of a head, of the sample's 256
CHECKED = ("run.check=every_step",)


@pytest.fixture(scope="module")
def folder(kvreplay, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("dynamickv")
    run_all(SAMPLE, out, STEPS, CHECKED)
    return out


@pytest.fixture(scope="module")
def data(folder: Path) -> xr.Dataset:
    return of_trace(folder)


@pytest.fixture(scope="module")
def found(folder: Path) -> list[Row]:
    return rows({SAMPLE: folder})


def test_budgets_are_shares_of_the_prompt() -> None:
    assert budgets_of(SAMPLE) == BUDGETS


def test_every_row_comes_out(folder: Path, found: list[Row]) -> None:
    assert [row.name for row in found] == ["D1"] * 8 + ["D2", "D3", "D4"] + ["D6"] * 4
    for row in found:
        assert "nan" not in row.here, row
        assert row.verdict in ("yes", "no", "undecided"), row
    printed = page({SAMPLE: folder})
    assert "nan" not in printed
    assert "All are at equal entries." in printed
    for system in ("full", *ONCE, *EVERY_STEP):
        assert f"| {system} |" in printed


def test_what_is_compared_keeps_as_many_entries(data: xr.Dataset) -> None:
    mean = data.kept.mean(["layer", "kv_head"])
    for system in (*ONCE, *EVERY_STEP):
        off = np.abs(mean.sel(system=system).values - BUDGETS)
        # PyramidKV's mean moves by whole numbers, of which one more in every layer is one more in the mean.
        assert (off <= np.maximum(0.01 * np.array(BUDGETS), 0.5 if system == "PyramidKV" else 0.1)).all(), (
            system
        )


def test_evictions_after_the_prompt_keep_the_answer(data: xr.Dataset) -> None:
    grown = (data.entries - data.kept).sel(system=list(ONCE))
    np.testing.assert_allclose(grown, (STEPS + 1) / 2)
    constant = (data.entries - data.kept).sel(system=list(EVERY_STEP))
    np.testing.assert_allclose(constant, 1)


def test_full_misses_nothing(data: xr.Dataset) -> None:
    full = data.sel(system="full")
    np.testing.assert_allclose(full.mass, 1, atol=1e-6)
    np.testing.assert_allclose(full.error, 0, atol=1e-5)
    assert (full.kept == 256).all()


def test_mass_does_not_fall_with_the_budget_where_what_is_kept_only_grows(data: xr.Dataset) -> None:
    # From the second budget on all have the same window: more entries are those of fewer and the next best.
    for system in ("SnapKV", "SnapKV unpooled", "StreamingLLM once"):
        mass = data.mass.sel(system=system).isel(budget=slice(1, None))
        assert (mass.diff("budget") >= -1e-6).all(), system


def test_layers_share_the_whole_pool(data: xr.Dataset) -> None:
    for system in (OURS, "DynamicKV faithful", "DynamicKV unpooled"):
        mean = data.quota.sel(system=system).mean("layer")
        windows = np.minimum(8, np.array(BUDGETS) // 2)
        assert mean.values == pytest.approx(BUDGETS - windows), system


def test_configurations_have_the_samples_lists(tmp_path: Path, kvreplay) -> None:
    for name, values in zips(SAMPLE, tmp_path, BUDGETS).items():
        assert yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()).get("zip", {}) == values, name
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == {"base", *EXPERIMENTS}


def test_what_is_there_is_not_run_again(folder: Path, monkeypatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError(arguments)

    known = zips(SAMPLE, folder, BUDGETS)
    monkeypatch.setattr("dynamickv_run.zips", lambda trace, out, budgets: known)
    monkeypatch.setattr("paper_run.call", refuse)
    run_all(SAMPLE, folder, STEPS, CHECKED)
    with pytest.raises(AssertionError):
        run_all(SAMPLE, folder, STEPS - 1, CHECKED)


def test_another_trace_has_budgets_and_rows_of_its_own(folder: Path, kvreplay, tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    kvreplay("trace", "synth", other, "--layers", "2", "--prompt", "512", "--steps", "8")
    # A synthetic trace has no attention of its prompt, which H2O needs.
    budgets = budgets_of(other)
    assert budgets == [round(share * 512) for share in SHARES.values()]
    assert steps_of(other) == 8
    asked = zips(other, tmp_path, budgets)
    assert asked["streaming"]["system.stages.0.pins.recent"] == [max(b - 4, b - b // 2) for b in budgets]
    for name in ("window", "streaming", "pyramid"):
        sets = (f"trace.path={other}", f"run.steps={steps_of(other)}", f"zip={json.dumps(asked[name])}")
        out = tmp_path / f"{name}.h5"
        call("run", CONFIGS / f"{name}.yaml", "-o", out, *(word for each in sets for word in ("--set", each)))
        kept = curves(out, len(budgets)).kept.mean(["layer", "kv_head"])
        assert (np.abs(kept - budgets) <= np.maximum(0.01 * np.array(budgets), 0.5)).all()


def test_two_traces_have_one_table(folder: Path, found: list[Row]) -> None:
    again = folder / "again.h5"
    again.symlink_to(SAMPLE)
    both = rows({SAMPLE: folder, again: folder})
    means = [row.here.split(" ± ")[0] for row in both if row.name not in ("D4", "D5")]
    assert means == [row.here.split(" ± ")[0] for row in found if row.name != "D4"]
    assert [row.here for row in both if row.name == "D5"] == ["up to 1.00x"]


def test_the_page_has_every_row(found: list[Row]) -> None:
    held = (CONFIGS / "README.md").read_text()
    for row in found:
        assert f"| {row.name} | {row.what} | {row.paper} | " in held, row


def test_a_verdict_is_that_of_the_whole_interval() -> None:
    assert verdict(Estimate(1.0, 0.5, 1.5)) == "yes"
    assert verdict(Estimate(1.0, -0.5, 2.5)) == "undecided"
    assert verdict(Estimate(-1.0, -1.5, -0.5)) == "no"
    assert verdict(Estimate(89.0, 88.0, 90.0), 88.8) == "undecided"
    assert verdict(Estimate.exact(0.0)) == "no"
    assert verdict(Estimate.exact(100.0), 90.0) == "yes"


def test_markdown_has_as_many_cells_in_every_line() -> None:
    assert markdown(["", "a"], [[1, "x y"]]) == "| | a |\n| --- | --- |\n| 1 | x y |"


def test_the_plot_is_a_picture(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "dynamickv.png"
    command = [sys.executable, ROOT / "notebooks" / "plot_dynamickv.py", folder, out]
    subprocess.run(command, check=True, capture_output=True)
    assert out.read_bytes().startswith(b"\x89PNG")


def test_the_notebook_runs_from_top_to_bottom(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_notebook("dynamickv_paper.ipynb", monkeypatch, KVREPLAY_PAPER=folder, KVREPLAY_TRACE=SAMPLE)
