"""`python -m kvreplay`: pictures and tables of results without a line of Python."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from kvreplay.__main__ import PICTURES

RESULTS = ROOT / "configs" / "experiments" / "real_model.h5"


def attempt(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "kvreplay", *words], check=False, capture_output=True, text=True
    )


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_drawn(name: str, demo_results: Path, tmp_path: Path) -> None:
    picture = PICTURES[name]
    words = ("--point", "DynaKV") if picture.of_one_point else ()
    for suffix, ground in ((".png", ()), (".svg", ("--dark",))):
        out = tmp_path / f"{name}{suffix}"
        done = attempt("plot", name, *[demo_results] * picture.files, "-o", out, *words, *ground)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert out.read_bytes().startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")
    assert len(list(tmp_path.iterdir())) == 2


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
