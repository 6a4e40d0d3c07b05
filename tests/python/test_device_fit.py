"""`kvreplay device fit` on the published figures of a Pixel 4, from fio's JSON to a device that runs."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT

Run = Callable[..., subprocess.CompletedProcess[str]]

VIRTUAL_DISK = ROOT / "tests" / "data" / "fio" / "virtual_disk.json"
PIXEL4 = ROOT / "tests" / "data" / "fio" / "pixel4.json"
DEMO = ROOT / "configs" / "experiments" / "demo.yaml"

ERRORS = re.compile(
    r"^(fitted|held out|threads) +(\d+) +([\d.]+) % +([\d.]+) % +([-+.\d]+) %"
    r" +([\d.]+) % +([\d.]+) % +([-+.\d]+) %$",
    re.M,
)
ROW = re.compile(
    r"^#   (?P<name>rand\w+ \d+k qd\d+ x\d+) +\S+ +\d+ +\d+ +\S+ +(?P<measured>\d+)"
    r" +(?P<analytic>\d+|-) +\S+(?: %)? +(?P<queueing>\d+|-) +\S+(?: %)? +(?P<use>.+)$",
    re.M,
)


@pytest.fixture(scope="module")
def half(kvreplay: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Every second row of one thread's reads held out, with a part of the same class as the base."""
    device = tmp_path_factory.mktemp("fit") / "pixel4.yaml"
    arguments = ["--quiet", "device", "fit", PIXEL4, "-o", device, "--base", "ufs21", "--holdout", "2"]
    return kvreplay(*arguments).stdout, device


def rms(errors: list[float]) -> float:
    return (sum(error * error for error in errors) / len(errors)) ** 0.5


def test_half_of_the_grid_predicts_the_other_half_within_ten_percent(half: tuple[str, Path]) -> None:
    errors = {
        name: (int(rows), float(a), float(q)) for name, rows, _, a, _, _, q, _ in ERRORS.findall(half[0])
    }
    assert errors["fitted"][0] == 5
    assert errors["held out"][0] == 3
    # Measured: 5.2 % and 6.2 %.
    assert errors["held out"][1] <= 10.0
    assert errors["held out"][2] <= 10.0
    # Rows of several threads collapse at 4 and 64 KiB but not at 256 KiB, which neither a factor on every
    # size nor a lock on every command describes: 17 % and 29 % RMS, a limit of the models.
    assert 10.0 < errors["threads"][1] <= 20.0
    assert 20.0 < errors["threads"][2] <= 35.0


def test_the_errors_printed_are_those_of_the_rows_in_the_file(half: tuple[str, Path]) -> None:
    rows = [match.groupdict() for match in ROW.finditer(half[1].read_text())]
    assert len(rows) == len(json.loads(PIXEL4.read_text())["jobs"])
    printed = {
        name: ((float(am), float(a)), (float(qm), float(q)))
        for name, _, am, a, _, qm, q, _ in ERRORS.findall(half[0])
    }
    for use in ("fitted", "held out", "threads"):
        chosen = [row for row in rows if row["use"] == use]
        for model, value in zip(("analytic", "queueing"), printed[use], strict=True):
            errors = [int(row[model]) / int(row["measured"]) - 1 for row in chosen]
            assert 100 * rms(errors) == pytest.approx(value[1], abs=0.1)
            middle = sorted(map(abs, errors))[len(errors) // 2]
            assert 100 * middle == pytest.approx(value[0], abs=0.1)


def test_rows_are_left_out_for_what_they_are(half: tuple[str, Path]) -> None:
    rejected = {
        m["name"]: m["use"] for m in ROW.finditer(half[1].read_text()) if m["use"].startswith("rejected")
    }
    collapse = rejected.pop("randread 64k qd64 x1")
    assert collapse == "rejected: 30 % slower than at depth 16, and no model falls with depth"
    assert sorted(rejected) == [
        "randread 256k qd16 x4",
        "randread 256k qd64 x8",
        "randread 4k qd1 x2",
        "randread 4k qd1 x4",
        "randread 4k qd1 x8",
    ]
    assert all("Little's law" in reason for reason in rejected.values())


def test_the_device_loads_and_runs_at_both_fidelities(
    kvreplay: Run, half: tuple[str, Path], tmp_path: Path
) -> None:
    assert "pixel4" in kvreplay("device", "curve", half[1], "--size", "4KiB", "--depth", "1").stdout
    config = tmp_path / "run.yaml"
    config.write_text(f"include: [{DEMO}, {half[1]}]\n")
    for fidelity in ("analytic", "queueing"):
        settings = ["--set", "run.steps=4", "--set", f"device.type={fidelity}"]
        kvreplay("run", config, "-o", tmp_path / f"{fidelity}.h5", *settings)


def test_the_same_rows_give_the_same_file(kvreplay: Run, half: tuple[str, Path]) -> None:
    before = half[1].read_bytes()
    kvreplay("--quiet", "device", "fit", PIXEL4, "-o", half[1], "--base", "ufs21", "--holdout", "2")
    assert half[1].read_bytes() == before


def test_a_base_of_another_class_is_written_but_not_accepted(kvreplay: Run, tmp_path: Path) -> None:
    device = tmp_path / "far.yaml"
    done = kvreplay("--quiet", "device", "fit", PIXEL4, "-o", device, "--holdout", "2")
    assert "not accepted: " in done.stderr
    assert "not accepted: " in device.read_text()


def test_a_noisy_virtual_disk_is_predicted_within_fifteen_percent_in_the_median(
    kvreplay: Run, tmp_path: Path
) -> None:
    device = tmp_path / "disk.yaml"
    done = kvreplay("--quiet", "device", "fit", VIRTUAL_DISK, "-o", device)
    held_out = next(row for row in ERRORS.findall(done.stdout) if row[0] == "held out")
    # Measured: 16.1 % analytic, 13.8 % queueing. Rows of this disk differ by up to 60 % between passes, which
    # no model can follow, so that by RMS, 22 % and 23 %, it is not accepted.
    assert int(held_out[1]) == 12
    assert float(held_out[2]) <= 20.0
    assert float(held_out[5]) <= 15.0
    assert "not accepted: " in device.read_text()


def test_wrong_usage_is_told_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    program = ROOT / "build" / "release" / "kvreplay"
    device = tmp_path / "device.yaml"
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    command = [
        program,
        "device",
        "fit",
        bad,
        "-o",
        device,
        "--holdout",
        "1",
        "--link",
        "fast",
        "--base",
        "ufs4",
    ]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--holdout 1: nothing would be fitted; allowed: 0, or from 2 on" in done.stderr
    assert "--link fast: no bandwidth; allowed: a number above 0 and one of " in done.stderr
    assert "no such name (ufs4)" in done.stderr
    assert "bad.json: jobs: none; allowed: the JSON that fio writes, with at least one job" in done.stderr
    assert not device.exists()
