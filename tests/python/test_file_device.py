"""`kvreplay run` on a real file: what the results say of the device and of the models beside it."""

import os
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, str]:
    """Eight steps of the demo's captured layers on a small file beside the program: results and summary."""
    folder = tmp_path_factory.mktemp("file_device")
    scratch = PROGRAM.parent / f"{folder.name}.scratch"
    settings = ["device.type=file", f"device.path={scratch}", "device.size=48MiB", "model.layers=4"]
    options = [word for setting in (*settings, "run.steps=8") for word in ("--set", setting)]
    command = [PROGRAM, "run", ROOT / "configs/experiments/demo.yaml", "-o", folder / "out.h5", *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode == 2 and "O_DIRECT" in done.stderr:
        pytest.skip(f"no direct I/O here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert not scratch.exists()
    return folder / "out.h5", done.stdout


def test_the_results_hold_the_errors_of_the_models(run):
    """Point by model, with the statistics in order."""
    with h5py.File(run[0]) as file:
        group = file["device/model_errors"]
        models = [name.decode() for name in group["model"][()]]
        assert "analytic" in models
        shape = (len(file["point"]), len(models))
        values = {name: group[name][()] for name in ("batches", "median", "p95", "p99", "total_time")}
        assert all(value.shape == shape for value in values.values())
        assert np.all(values["batches"] > 0)
        assert np.all(values["median"] <= values["p95"])
        assert np.all(values["p95"] <= values["p99"])
        assert group["median"].dims[1][0].name == "/device/model_errors/model"


def test_notes_and_summary_say_that_times_were_measured(run):
    """Nobody must take these latencies for the phone's."""
    out, summary = run
    with h5py.File(out) as file:
        notes = [text.decode() for text in file["provenance/notes"][()]]
    assert all("measured on this machine" in note and "O_DIRECT checked" in note for note in notes)
    assert "measured on this machine" in summary
    assert "model against device" in summary
