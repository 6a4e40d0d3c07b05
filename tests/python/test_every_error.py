"""What is wrong with a run is told all at once, whichever part finds it, with where it was said."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))
PARTS = f"""\
include: [{ROOT}/configs/phones/oneplus_12.yaml, {ROOT}/configs/devices/ufs40.yaml,
  {ROOT}/configs/systems/kmeans_contiguous_lru.yaml]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sizes = ["--prompt", "64", "--steps", "4", "--head-dim", "8", "--clusters", "2"]
    subprocess.run([PROGRAM, "trace", "synth", tmp_path / "t.h5", *sizes], check=True)
    (tmp_path / "cut.h5").write_bytes((tmp_path / "t.h5").read_bytes()[:-2000])
    return tmp_path


def refused(folder: Path, config: str, *options: str) -> list[str]:
    (folder / "c.yaml").write_text(PARTS + config)
    done = subprocess.run(
        [PROGRAM, "run", "c.yaml", *options], check=False, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    return [line.removeprefix("error: ").strip() for line in done.stderr.splitlines()]


def of(lines: list[str], begin: str) -> str:
    found = [line for line in lines if line.startswith(begin)]
    assert len(found) == 1, f"{begin}: {lines}"
    return found[0]


def test_a_trace_that_is_cut_short_is_named_where_the_configuration_names_it(folder: Path) -> None:
    lines = refused(folder, "trace: {path: cut.h5}\n")
    assert of(lines, "c.yaml:3:9: trace.path: cut.h5: cut short: ")
    assert len(lines) == 1


def test_a_wrong_key_hides_neither_the_trace_nor_the_options(folder: Path) -> None:
    lines = refused(
        folder,
        "trace: {path: cut.h5}\nsystem: {chache: {capacity: 1MiB}}\n",
        "--together",
        "0",
        "-o",
        "c.yaml",
    )
    assert of(lines, "c.yaml:3:9: trace.path: cut.h5: cut short: ")
    assert "chache" in of(lines, "c.yaml:4:10: system.chache: ")
    assert of(lines, "--together: 0 is too few")
    assert of(lines, "--out: c.yaml")


def test_a_wrong_point_hides_no_other(folder: Path) -> None:
    points = """\
trace: {path: t.h5}
points:
  wrong: {run: {seed: first}}
  long: {run: {steps: 400}}
  small: {system: {cache: {capacity: 10B}}, run: {first_step: 9}}
"""
    lines = refused(folder, points)
    assert of(lines, "c.yaml:5:17: run.seed: ")
    assert of(lines, "c.yaml:6:16: run.steps: 400")
    assert of(lines, "c.yaml:7:28: system.cache.capacity: 10 bytes")
    assert of(lines, "c.yaml:7:51: run.first_step: 9")
    assert len(lines) == 4
