"""The tuner's choice against a replay of all that it chose among."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

GRID = (
    "--groups",
    "1,4,16",
    "--entries",
    "64,128",
    "--reuse",
    "1,2",
    "--rank-parts",
    "8,32",
    "--steps",
    "32",
)


def tune(root: Path, device: str, *options: str) -> subprocess.CompletedProcess[str]:
    files = {
        "phone": root / "configs" / "phones" / "oneplus_12.yaml",
        "device": root / "configs" / "devices" / f"{device}.yaml",
        "model": root / "configs" / "models" / "smollm2-135m.yaml",
        "trace": root / "traces" / "samples" / "smollm2.h5",
    }
    named = [word for part, file in files.items() for word in (f"--{part}", file)]
    command = [sys.executable, root / "notebooks" / "kvswap_tuner.py", *named, *GRID, *options]
    return subprocess.run([*map(str, command)], check=False, capture_output=True, text=True, cwd=root)


@pytest.mark.parametrize("device", ["emmc51", "ufs40"])
@pytest.mark.parametrize("batch", ["1", "8"])
def test_the_choice_is_within_five_per_cent_of_the_best_that_was_possible(
    kvreplay, project_root: Path, device: str, batch: str
) -> None:
    done = tune(project_root, device, "--batch", batch, "--dram", "100MiB", "--max-loss", "0.1", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    share = re.search(r"the choice has ([0-9.]+) % of its tokens/s", done.stdout)
    assert share is not None
    assert float(share[1]) >= 95.0
    assert "bound by" in done.stdout


def test_less_dram_is_kept_to(kvreplay, project_root: Path) -> None:
    loose = tune(project_root, "ufs40", "--dram", "100MiB", "--max-loss", "0.5")
    tight = tune(project_root, "ufs40", "--dram", "3MiB", "--max-loss", "0.5")
    for done, limit in ((loose, 100.0), (tight, 3.0)):
        assert done.returncode == 0, done.stderr
        taken = re.search(r"chosen: .*? ([0-9.]+) MiB", done.stdout)
        assert taken is not None
        assert float(taken[1]) <= limit
    assert loose.stdout != tight.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dram", "1KiB"], "nothing fits; the least is"),
        (["--dram", "much"], "argument --dram: is no size (much)"),
        (["--dram", "1MiB", "--max-loss", "nan"], "argument --max-loss: is no share (nan)"),
        (["--dram", "1MiB", "--max-loss", "-1"], "argument --max-loss: is no share (-1)"),
        (["--dram", "1MiB", "--batch", "0"], "argument --batch: is no count (0)"),
        (["--dram", "1MiB", "--groups", "3", "--entries", "64"], "none is a multiple of one of --groups"),
        (["--dram", "1MiB", "--steps", "99999"], "run.steps: "),
        (["--dram", "1MiB", "--trace", "nowhere.h5"], "argument --trace: no such file (nowhere.h5)"),
        (["--dram", "1MiB", "--trace", "README.md"], "README.md: "),
    ],
)
def test_what_cannot_be_is_told(kvreplay, project_root: Path, options: list[str], message: str) -> None:
    done = tune(project_root, "ufs40", *options)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "tuner.yaml" not in done.stderr


def test_what_is_given_twice_counts_once(kvreplay, project_root: Path) -> None:
    options = (
        "--dram",
        "100MiB",
        "--groups",
        "4,4",
        "--entries",
        "64,64",
        "--reuse",
        "1",
        "--rank-parts",
        "8",
    )
    done = tune(project_root, "ufs40", *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 candidates, 1 within")
