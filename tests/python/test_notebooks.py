"""The notebooks and the plot run on a results file and are committed without outputs."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_from_top_to_bottom(
    path: Path, demo_results: Path, paper_results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVREPLAY_RESULTS", str(demo_results))
    monkeypatch.setenv("KVREPLAY_PAPER", str(paper_results))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(FOLDER)}}).execute()
    errors = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stderr"
    ]
    assert not errors


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
