"""`python -m kvreplay`: pictures and tables of results without a line of Python."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import kvreplay
import pytest
from conftest import ROOT
from kvreplay.__main__ import PICTURES
from swept_results import plain_sweep, said_sweep

Run = Callable[..., object]
RESULTS = ROOT / "configs" / "experiments" / "real_model.h5"


def attempt(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "kvreplay", *words], check=False, capture_output=True, text=True
    )


@pytest.fixture
def grid_results(kvreplay: Run, tmp_path: Path) -> Path:
    (tmp_path / "grid").mkdir()
    return said_sweep(plain_sweep(kvreplay, tmp_path / "grid"), tmp_path / "grid" / "swept.h5")


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_drawn(name: str, demo_results: Path, tmp_path: Path) -> None:
    picture = PICTURES[name]
    words = ("--point", "DynaKV") if picture.of_one_point else ()
    for suffix, ground in ((".png", ()), (".svg", ("--dark",))):
        out = tmp_path / f"{name}{suffix}"
        done = attempt("plot", name, *[demo_results] * picture.files, "-o", out, *words, *ground)
        assert (done.returncode, done.stderr) == (0, "")
        assert bool(done.stdout) == (name == "pareto")
        assert out.read_bytes().startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_front_is_printed_best_first(grid_results: Path, tmp_path: Path) -> None:
    """By the names of the points; of several seeds, of means over them."""
    done = attempt("plot", "pareto", grid_results, "-o", tmp_path / "a.png", "--x", "dram_total_max")
    with kvreplay.open(grid_results) as data:
        front = kvreplay.pareto(data, "dram_total_max", "output_error_mean")
        names = [data.variant.sel(share=share, capacity=capacity).item() for share, capacity in front]
    assert done.stdout.splitlines() == names and 0 < len(names) < 6


def test_metrics_are_chosen(tmp_path: Path) -> None:
    words = ("plot", "pareto", RESULTS, "-o", tmp_path / "a.svg", "--x", "dram_total_max", "--y")
    assert attempt(*words, "selected_mean=min").returncode == 0
    for metric, what in (
        ("selected_mean", "selected_mean: it is not known what is better"),
        ("selected_mean=up", "'up' is no direction; allowed: min, max"),
        ("selected", "there is no 'selected' in the data"),
    ):
        done = attempt(*words, metric)
        assert done.returncode == 2 and what in done.stderr, metric


def test_what_is_wrong_is_said_and_nothing_written(tmp_path: Path) -> None:
    there = tmp_path / "there.png"
    there.write_bytes(RESULTS.read_bytes())
    for words, what in (
        (("plot", "pareto", RESULTS, "-o", tmp_path / "a.gif"), "allowed: .png, .svg, .pdf"),
        (("plot", "pareto", there, "-o", there), "is an input; give another name"),
        (("plot", "pareto", tmp_path / "no.h5", "-o", tmp_path / "a.png"), "no.h5: no such file"),
        (("plot", "energy_stack", RESULTS, "-o", tmp_path / "a.png"), "there is no 'compute_energy_j'"),
        (("plot", "layer_head_map", RESULTS, "-o", tmp_path / "a.png", "--point", "X"), "no 'X'; there are:"),
        (("parquet", RESULTS, "-o", tmp_path / "t", "--metric", "recal"), "has no steps of 'recal'"),
    ):
        done = attempt(*words)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert done.stderr.startswith("kvreplay: ") and what in done.stderr, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["there.png"]


def test_tables_are_written(tmp_path: Path) -> None:
    assert attempt("parquet", RESULTS, "-o", tmp_path / "t").returncode == 0
    assert sorted(path.stem for path in (tmp_path / "t").iterdir()) == [
        "metrics",
        "points",
        "steps",
        "summary",
    ]
