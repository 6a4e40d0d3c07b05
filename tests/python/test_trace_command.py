"""`kvreplay trace`: what it prints, what it refuses, and how it leaves."""

import os
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))
TINY = [
    "--layers",
    "2",
    "--kv-heads",
    "2",
    "--group",
    "2",
    "--head-dim",
    "8",
    "--prompt",
    "40",
    "--steps",
    "6",
    "--clusters",
    "4",
    "--seed",
    "5",
]


def trace_command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, "trace", *arguments], check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("trace") / "tiny.h5"
    done = trace_command("synth", path, *TINY)
    assert done.returncode == 0, done.stderr
    return path


def test_a_synthetic_trace_is_valid(tiny):
    done = trace_command("validate", tiny)
    assert (done.returncode, done.stderr) == (0, "")
    assert "valid" in done.stdout


def test_info_names_geometry_and_lengths(tiny):
    text = trace_command("info", tiny).stdout
    words = {line.split("  ")[0].strip(): line for line in text.splitlines()}
    assert "4 (2 per KV head)" in words["query heads"]
    assert "46 (40 prompt, 6 decode steps)" in words["tokens"]


def test_head_prints_the_entries_of_the_file(tiny):
    text = trace_command(*f"head {tiny} --layer 1 --head 1 --field values --begin 3 --count 2".split()).stdout
    with h5py.File(tiny) as f:
        expected = f["layers/1/values"][1, 3:5].astype(np.float32)
    numbers = [[float(x) for x in line.split()[-8:]] for line in text.splitlines() if line[:1].isdigit()]
    np.testing.assert_allclose(numbers, expected, rtol=2e-3, atol=2e-4)


def test_the_same_seed_gives_the_same_values(tiny, tmp_path):
    again = tmp_path / "again.h5"
    trace_command("synth", again, *TINY)
    with h5py.File(tiny) as a, h5py.File(again) as b:
        for name in ("layers/0/keys", "layers/1/queries", "tokens"):
            assert a[name].attrs["checksum"] == b[name].attrs["checksum"]


def test_a_truncated_file_is_named(tiny, tmp_path):
    cut = tmp_path / "cut.h5"
    cut.write_bytes(tiny.read_bytes()[:-2000])
    done = trace_command("validate", cut)
    assert done.returncode == 2
    assert str(cut) in done.stderr and "truncated" in done.stderr


def test_every_problem_is_reported_at_once(tiny, tmp_path):
    broken = tmp_path / "broken.h5"
    broken.write_bytes(tiny.read_bytes())
    with h5py.File(broken, "r+") as f:
        f["layers/0/keys"][1, 7, 0] = np.nan
        f["tokens"][3] = 1
        f["query_positions"].attrs["checksum"] = "sha256:0"
    done = trace_command("validate", broken)
    assert done.returncode == 2
    for word in ("/layers/0/keys", "/tokens", "/query_positions"):
        assert word in done.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["info", "nowhere.h5"], "nowhere.h5"),
        (["synth", "x.h5", "--head-dim", "7"], "head-dim"),
        (["synth", "x.h5", "--steps", "-1", "--clusters", "0"], "clusters"),
        (["frobnicate"], "frobnicate"),
        (["head"], "no trace is given"),
    ],
)
def test_wrong_use_is_exit_2_and_one_clear_message(arguments, word):
    done = trace_command(*arguments)
    assert done.returncode == 2
    assert word in done.stderr
    assert not Path("x.h5").exists()
