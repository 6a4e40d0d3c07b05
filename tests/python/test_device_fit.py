"""`kvreplay device fit` on the published figures of a Pixel 4, from fio's JSON to a device that runs."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

Run = Callable[..., subprocess.CompletedProcess[str]]

PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))
VIRTUAL_DISK = ROOT / "tests" / "data" / "fio" / "virtual_disk.json"
PIXEL4 = ROOT / "tests" / "data" / "fio" / "pixel4.json"
DEMO = ROOT / "configs" / "experiments" / "demo.yaml"

# Not accepted as a whole: rows of several threads and writes are far off.
HALF = ["--base", "ufs21", "--holdout", "2", "--force"]

ERRORS = re.compile(
    r"^(fitted|held out|threads|writes) +(\d+) +([\d.]+) % +([\d.]+) % +([-+.\d]+) %"
    r" +([\d.]+) % +([\d.]+) % +([-+.\d]+) %$",
    re.M,
)
ROW = re.compile(
    r"^#   (?P<name>rand\w+ \d+k qd\d+ x\d+) +\S+ +\d+ +\d+ +\S+ +(?P<measured>\d+)"
    r" +(?P<analytic>\d+|-) +\S+(?: %)? +(?P<queueing>\d+|-) +\S+(?: %)? +(?P<use>.+)$",
    re.M,
)


@pytest.fixture(scope="module")
def half(kvreplay: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, str]:
    """Every second row of one thread's reads held out, with a part of the same class as the base."""
    device = tmp_path_factory.mktemp("fit") / "pixel4.yaml"
    arguments = ["--quiet", "device", "fit", PIXEL4, "-o", device, *HALF]
    done = kvreplay(*arguments)
    return done.stdout, device, done.stderr


def rms(errors: list[float]) -> float:
    return (sum(error * error for error in errors) / len(errors)) ** 0.5


def test_half_of_the_grid_predicts_the_other_half_within_ten_percent(half: tuple[str, Path, str]) -> None:
    errors = {
        name: (int(rows), float(a), float(q)) for name, rows, _, a, _, _, q, _ in ERRORS.findall(half[0])
    }
    assert errors["fitted"][0] == 5
    assert errors["held out"][0] == 3
    # Measured: 6.0 % and 6.2 %.
    assert errors["held out"][1] <= 10.0
    assert errors["held out"][2] <= 10.0
    # Rows of several threads collapse at 4 and 64 KiB but not at 256 KiB, which neither a factor on every
    # size nor a lock on every command describes: 18 % and 30 % RMS, a limit of the models.
    assert 10.0 < errors["threads"][1] <= 20.0
    assert 20.0 < errors["threads"][2] <= 35.0


def test_the_errors_printed_are_those_of_the_rows_in_the_file(half: tuple[str, Path, str]) -> None:
    rows = [match.groupdict() for match in ROW.finditer(half[1].read_text())]
    assert len(rows) == len(json.loads(PIXEL4.read_text())["jobs"])
    printed = {
        name: ((float(am), float(a)), (float(qm), float(q)))
        for name, _, am, a, _, qm, q, _ in ERRORS.findall(half[0])
    }
    for use in ("fitted", "held out", "threads", "writes"):
        chosen = [row for row in rows if row["use"] == use]
        for model, value in zip(("analytic", "queueing"), printed[use], strict=True):
            errors = [int(row[model]) / int(row["measured"]) - 1 for row in chosen]
            # Rates are printed as whole numbers, those of writes with three digits.
            assert 100 * rms(errors) == pytest.approx(value[1], abs=0.1, rel=0.005)
            middle = sorted(map(abs, errors))[len(errors) // 2]
            assert 100 * middle == pytest.approx(value[0], abs=0.1, rel=0.005)


def test_rows_are_left_out_for_what_they_are(half: tuple[str, Path, str]) -> None:
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
    kvreplay: Run, half: tuple[str, Path, str], tmp_path: Path
) -> None:
    assert "pixel4" in kvreplay("device", "curve", half[1], "--size", "4KiB", "--depth", "1").stdout
    config = tmp_path / "run.yaml"
    config.write_text(f"include: [{DEMO}, {half[1]}]\n")
    for fidelity in ("analytic", "queueing"):
        settings = ["--set", "run.steps=4", "--set", f"device.type={fidelity}"]
        kvreplay("run", config, "-o", tmp_path / f"{fidelity}.h5", *settings)


def test_the_same_rows_give_the_same_file(kvreplay: Run, half: tuple[str, Path, str]) -> None:
    before = half[1].read_bytes()
    kvreplay("--quiet", "device", "fit", PIXEL4, "-o", half[1], *HALF)
    assert half[1].read_bytes() == before


def run_fit(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, "--quiet", "device", "fit", *arguments]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)


def test_an_unaccepted_fit_is_written_and_marked_and_exits_1_unless_forced(
    half: tuple[str, Path, str], tmp_path: Path
) -> None:
    device = tmp_path / "far.yaml"
    done = run_fit(PIXEL4, "-o", device, "--base", "ufs21", "--holdout", "2")
    assert done.returncode == 1
    doubt = done.stderr.strip().split(": ", 1)[1]
    assert doubt.startswith("not accepted: analytic is off by ")
    assert "on threads (10)" in doubt
    assert "on writes (11)" in doubt
    assert f"# {doubt}." in device.read_text()
    assert half[2].strip().split(": ", 1)[1] == doubt


@pytest.mark.parametrize("options", [["--holdout", "0"], []], ids=["asked for", "two rows"])
def test_a_fit_that_no_row_tested_says_so(tmp_path: Path, options: list[str]) -> None:
    jobs = [fio_job("q1", {}, 9000.0, 0), fio_job("q4", {"iodepth": "4"}, 30_000.0, 1)]
    device = tmp_path / "device.yaml"
    done = run_fit(write_fio(tmp_path / "rows.json", jobs), "-o", device, *options)
    assert done.returncode == 0, done.stderr
    untested = (
        "not tested: no read of one queue was held out (--holdout), 2 fitted, "
        "so that how far off other reads are is not known"
    )
    assert done.stderr == f"{device}: {untested}\n"
    assert device.read_text().splitlines()[2] == f"# {untested}."


def test_a_fit_that_rows_tested_says_nothing_of_it(half: tuple[str, Path, str]) -> None:
    assert "not tested" not in half[2] + half[1].read_text()


def fio_job(name: str, options: dict[str, str], rate: float, group: int) -> dict[str, Any]:
    job = {"rw": "randread", "bs": "4k", "size": "8g", "direct": "1", "ioengine": "libaio", **options}
    outstanding = int(job.get("iodepth", "1")) * int(job.get("numjobs", "1"))
    figures = {"iops": rate, "lat_ns": {"mean": outstanding / rate * 1e9}}
    return {"jobname": name, "groupid": group, "error": 0, "job options": job, "read": figures}


def write_fio(path: Path, jobs: list[dict[str, Any]], before: str = "") -> Path:
    path.write_text(before + json.dumps({"fio version": "fio-3.36", "jobs": jobs}, indent=1))
    return path


def test_rows_that_no_model_describes_are_rejected_with_the_reason(tmp_path: Path) -> None:
    jobs = [
        fio_job("q1", {}, 9000.0, 0),
        fio_job("q4", {"iodepth": "4"}, 30_000.0, 1),
        fio_job("split", {"iodepth": "4", "bsrange": "4k-64k"}, 12_000.0, 2),
        fio_job("zipf", {"iodepth": "4", "random_distribution": "zipf:1.2"}, 60_000.0, 3),
        fio_job("a", {}, 233.0, 4),
        fio_job("b", {"iodepth": "16"}, 3367.0, 4),
    ]
    note = "note: both iodepth >= 1 and synchronous I/O engine are selected\n"
    file = write_fio(tmp_path / "rows.json", jobs, note)
    done = run_fit(file, "-o", tmp_path / "device.yaml", "--holdout", "0", "--force")
    assert done.returncode == 0, done.stderr
    rejected = dict(re.findall(r"^(\w+) .* rejected: (.*)$", done.stdout, re.M))
    assert rejected == {
        "split": "block sizes vary (bsrange=4k-64k)",
        "zipf": "offsets are neither uniform nor in sequence (random_distribution=zipf:1.2)",
        "a": "ran at the same time as 'b', with no stonewall between them",
        "b": "ran at the same time as 'a', with no stonewall between them",
    }


def test_the_range_of_a_whole_device_is_asked_for_and_taken(tmp_path: Path) -> None:
    jobs = [
        fio_job("whole", {"filename": "/dev/sdX"}, 9000.0, 0),
        fio_job("share", {"size": "50%"}, 9000.0, 1),
    ]
    del jobs[0]["job options"]["size"]
    file = write_fio(tmp_path / "rows.json", jobs)
    arguments = [file, "-o", tmp_path / "device.yaml", "--holdout", "0"]
    missing = run_fit(*arguments)
    assert missing.returncode == 2
    for problem in ("jobs[0].job options.size: missing", "jobs[1].job options.size: '50%'"):
        assert f"{problem}; allowed: a size, or the option --range with that of the file or device" in (
            missing.stderr
        )
    given = run_fit(*arguments, "--range", "500GB", "--force")
    assert given.returncode == 0, given.stderr
    assert re.findall(r"^(?:whole|share) +4KiB +1 +1 +(\S+)", given.stdout, re.M) == ["500GB", "250GB"]
    for wrong in ("all", "0GB", "500"):
        refused = run_fit(*arguments, "--range", wrong)
        assert refused.returncode == 2
        assert f"--range {wrong}: no size; allowed: " in refused.stderr


def test_a_slow_part_without_a_row_of_depth_1_is_fitted(kvreplay: Run, tmp_path: Path) -> None:
    file = write_fio(tmp_path / "slow.json", [fio_job("deep", {"iodepth": "4"}, 1000.0, 0)])
    device = tmp_path / "slow.yaml"
    kvreplay("--quiet", "device", "fit", file, "-o", device, "--holdout", "0")
    assert re.search(r"^  latency: .*# assumed: no random reads at depth 1", device.read_text(), re.M)
    kvreplay("device", "curve", device, "--size", "4KiB", "--depth", "4", "--range", "8GiB")


def test_the_pixel4s_rows_of_synchronous_threads_are_rows_of_a_depth(kvreplay: Run, tmp_path: Path) -> None:
    document = json.loads(PIXEL4.read_text())
    document["global options"]["ioengine"] = "psync"
    document["jobs"] = [
        job for job in document["jobs"] if job["job options"]["iodepth"] == "1" and "read" in job
    ]
    file = tmp_path / "psync.json"
    file.write_text(json.dumps(document))
    device = tmp_path / "device.yaml"
    done = kvreplay("--quiet", "device", "fit", file, "-o", device, "--base", "ufs21", "--force")
    uses = [match["use"] for match in ROW.finditer(device.read_text())]
    assert len(uses) == 12
    assert uses.count("threads") == 0
    assert [use for use in uses if use.startswith("rejected")] == [
        "rejected: Little's law: rate x latency is 3.315, -17.1 % off 4 outstanding"
    ]
    held_out = next(row for row in ERRORS.findall(done.stdout) if row[0] == "held out")
    # Measured: 20.4 % analytic, of which 35 % at 256 KiB and depth 1 are nearly all, and 6.8 % queueing.
    assert int(held_out[1]) == 3
    assert float(held_out[3]) <= 25.0
    assert float(held_out[6]) <= 10.0


def test_a_noisy_virtual_disk_is_predicted_within_fifteen_percent_in_the_median(
    kvreplay: Run, tmp_path: Path
) -> None:
    device = tmp_path / "disk.yaml"
    done = kvreplay("--quiet", "device", "fit", VIRTUAL_DISK, "-o", device, "--force")
    held_out = next(row for row in ERRORS.findall(done.stdout) if row[0] == "held out")
    # Measured: 8.4 % analytic, 8.5 % queueing. Rows of this disk differ by up to 60 % between passes, which
    # no model can follow, so that by RMS, 15 % at both, it is not accepted.
    assert int(held_out[1]) == 13
    assert float(held_out[2]) <= 15.0
    assert float(held_out[5]) <= 15.0
    assert "not accepted: " in device.read_text()


def test_wrong_usage_is_told_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    device = tmp_path / "device.yaml"
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    command = [
        PROGRAM,
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
