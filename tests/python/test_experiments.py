"""Every experiment of configs/experiments runs, in a few steps, whatever else replays it."""

from pathlib import Path

import h5py
import pytest
from conftest import ROOT

FOLDER = ROOT / "configs" / "experiments"
EXPERIMENTS = sorted(path.name for path in FOLDER.glob("*.yaml"))
SHORT = ["--set", "run.steps=2"]
OTHERWISE = {
    "turns.yaml": [],  # its turns say how many steps
    "real_model.yaml": [*SHORT, "--set", "trace.path=traces/samples/smollm2.h5"],  # its own is not committed
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_runs(kvreplay, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out.h5"
    sets = OTHERWISE.get(name, SHORT)
    kvreplay("run", FOLDER / name, "-o", out, *sets, "--set", "run.seeds=1", "--together", "8")
    with h5py.File(out) as file:
        assert file.attrs["complete"]
        assert len(file["point"]) == file.attrs["points_planned"] > 1
