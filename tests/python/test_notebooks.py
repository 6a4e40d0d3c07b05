"""The notebooks and the plot run on a results file and are committed without outputs."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from notebook_runs import FOLDER, run_notebook

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_every_notebook_is_run_by_a_test() -> None:
    here, with_the_paper = "read_results.ipynb", "dynakv_paper.ipynb"  # test_paper_dynakv.py
    assert {path.name for path in NOTEBOOKS} == {here, with_the_paper}


def test_the_notebook_of_a_run_runs_from_top_to_bottom(
    demo_results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_notebook("read_results.ipynb", monkeypatch, KVREPLAY_RESULTS=demo_results)


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
