"""The notebooks and the plot run on a results file and are committed without outputs."""

import subprocess
import sys
from pathlib import Path

import h5py
import nbformat
import pytest
from conftest import ROOT
from notebook_runs import FOLDER, run_notebook

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_every_notebook_is_run_by_a_test() -> None:
    with_papers = {f"{paper}_paper.ipynb" for paper in ("dynakv", "dynamickv", "kvswap")}  # test_paper_*.py
    assert {path.name for path in NOTEBOOKS} == {
        "01_quick_start.ipynb",
        "02_sweep_and_pareto.ipynb",
        "03_device_curves.ipynb",
        "04_anatomy_of_a_policy.ipynb",
        "read_results.ipynb",
        "seeds.ipynb",
        "zoo.ipynb",
        *with_papers,
    }  # test_zoo.py


def test_the_notebook_of_a_run_runs_from_top_to_bottom(
    demo_results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_notebook("read_results.ipynb", monkeypatch, KVREPLAY_RESULTS=demo_results)


@pytest.mark.parametrize("name", ["01_*", "02_*", "03_*", "04_*", "seeds"])
def test_the_notebooks_that_run_the_program_run_from_top_to_bottom(
    name: str, program_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = FOLDER.glob(f"{name}.ipynb")
    run_notebook(path.name, monkeypatch, KVREPLAY=program_path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_committed_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_the_plot_is_a_picture_of_the_size_asked_for(demo_results: Path, tmp_path: Path) -> None:
    out = tmp_path / "recall_latency.png"
    command = [sys.executable, FOLDER / "plot_recall_latency.py", demo_results, out]
    subprocess.run(command, check=True, capture_output=True)
    header = out.read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    assert int.from_bytes(header[16:20]) == 8 * 160


def summary_table(results: Path) -> str:
    command = [sys.executable, FOLDER / "summary_table.py", results]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def test_the_page_of_the_real_model_holds_the_table_that_is_printed() -> None:
    results = Path("configs/experiments/real_model.h5")
    page = (ROOT / "configs" / "experiments" / "real_model.md").read_text()
    begin = f"<!-- python notebooks/summary_table.py {results} -->\n"
    assert page.split(begin)[1].split("<!-- end -->\n")[0] == summary_table(results)


def test_the_table_has_a_column_per_point_and_a_dash_where_nothing_was_recorded(
    demo_results: Path, tmp_path: Path
) -> None:
    less = tmp_path / "less.h5"
    less.write_bytes(demo_results.read_bytes())
    with h5py.File(less, "r+") as file:
        points = list(file["point"].asstr()[:])
        latency = file["latency_mean"][:]
        del file["recall_mean"]
        file["mass_mean"][0] = float("nan")
    lines = [line.strip("| ").split(" | ") for line in summary_table(less).splitlines()]
    rows = {line[0]: line[1:] for line in lines[2:]}
    assert lines[0] == points
    assert rows["recall of the best entries"] == ["-"] * len(points)
    assert [cell == "-" for cell in rows["attention mass"]] == [True] + [False] * (len(points) - 1)
    assert rows["mean latency"] == [f"{1e3 * value:.1f} ms" for value in latency]
