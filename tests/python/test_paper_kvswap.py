"""The experiments of configs/paper/kvswap in short: that they run, and what is exact in them."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from notebook_runs import run_notebook

EXACT = ("H8",)  # DRAM does not depend on how many steps are replayed, but for the tokens that they add


def table(root: Path, out: Path, *options: str) -> list[list[str]]:
    command = [sys.executable, root / "notebooks" / "kvswap_run.py", "--out", out, *options]
    done = subprocess.run([*map(str, command)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_memory_is_the_papers_and_a_second_run_has_nothing_to_do(kvreplay, project_root, tmp_path) -> None:
    first = table(project_root, tmp_path, "--only", "memory,quality", "--steps", "8")
    held = {row[1]: row[4] for row in first if row[0] in EXACT}
    assert set(held.values()) == {"yes"}, first
    assert len(held) == 2
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.h5")}
    assert len(stamps) == 2
    assert table(project_root, tmp_path, "--only", "memory,quality", "--steps", "8") == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.h5")} == stamps


@pytest.mark.parametrize("name", ["throughput", "context", "reuse", "group_size", "reason"])
def test_every_experiment_is_a_configuration(kvreplay, project_root: Path, name: str) -> None:
    file = project_root / "configs" / "paper" / "kvswap" / f"{name}.yaml"
    assert yaml.safe_load(file.read_text())["name"] == name
    kvreplay("explain", file)


def test_the_notebook_runs_from_top_to_bottom(kvreplay, project_root, tmp_path, monkeypatch) -> None:
    """Over three steps, all experiments that it draws."""
    rows = table(project_root, tmp_path, "--only", "throughput,group_size,quality,memory", "--steps", "3")
    assert {row[0] for row in rows} >= {"H1", "H2", "H3", "H7", "H8", "H9", "H10"}
    run_notebook("kvswap_paper.ipynb", monkeypatch, KVREPLAY_PAPER=tmp_path)
