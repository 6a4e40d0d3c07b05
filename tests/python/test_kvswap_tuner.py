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
    return subprocess.run([*map(str, command)], check=False, capture_output=True, text=True)


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


def test_what_cannot_be_is_told(kvreplay, project_root: Path) -> None:
    done = tune(project_root, "ufs40", "--dram", "1KiB")
    assert done.returncode == 2
    assert "nothing fits; the least is" in done.stderr
    done = tune(project_root, "ufs40", "--dram", "much")
    assert done.returncode == 2
    assert "is no size" in done.stderr
