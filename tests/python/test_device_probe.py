"""`kvreplay device probe`: a quick run on a real file, the JSON it writes, and what it refuses."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import heed_interrupts

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))


def probe(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs the command and returns how it ended."""
    return subprocess.run(
        [PROGRAM, "device", "probe", *arguments], check=False, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def disk(tmp_path_factory) -> Path:
    """A folder beside the program, which is on a disk where temporary folders may be in memory."""
    folder = PROGRAM.parent / tmp_path_factory.mktemp("probe").name
    folder.mkdir(exist_ok=True)
    yield folder
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@pytest.fixture(scope="module")
def report(disk) -> dict:
    """What a quick probe wrote, with windows long enough for Little's law."""
    out = disk / "probe.json"
    done = probe(disk, "--quick", "--size-limit", "64MiB", "--seconds", "0.1", "-o", out)
    if done.returncode == 2 and "O_DIRECT" in done.stderr:
        pytest.skip(f"no direct I/O here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert "jobs of" in done.stderr
    assert [path.name for path in disk.iterdir()] == ["probe.json"]
    return json.loads(out.read_text())


def figures(job: dict) -> dict:
    """The half of a job that was measured."""
    return job["write" if "write" in job["job options"]["rw"] else "read"]


def outstanding(job: dict) -> int:
    """Requests that the job keeps outstanding."""
    return int(job["job options"]["iodepth"]) * int(job["job options"]["numjobs"])


def test_the_layout_is_that_of_fio(report):
    """Every key that a reader of fio's files asks for is there, with fio's types."""
    assert report["fio version"].startswith("kvreplay-probe 1")
    assert len({job["jobname"] for job in report["jobs"]}) == len(report["jobs"])
    for job in report["jobs"]:
        assert set(job["job options"]) == {"rw", "bs", "iodepth", "size", "numjobs", "direct"}
        assert all(isinstance(value, str) for value in job["job options"].values())
        measured = figures(job)
        assert measured["iops"] > 0
        size = job["job options"]["bs"]
        scale = {"k": 1 << 10, "M": 1 << 20}[size[-1]]
        assert measured["bw_bytes"] == pytest.approx(measured["iops"] * int(size[:-1]) * scale, abs=1)
        for part in ("lat_ns", "clat_ns", "slat_ns"):
            assert measured[part]["min"] <= measured[part]["mean"] <= measured[part]["max"] + 1
            assert measured[part]["N"] == measured["total_ios"]
        assert measured["lat_ns"]["mean"] == pytest.approx(
            measured["clat_ns"]["mean"] + measured["slat_ns"]["mean"]
        )
        percentiles = measured["clat_ns"]["percentile"]
        assert percentiles["50.000000"] <= percentiles["99.000000"]
    assert report["host"]["kernel"].startswith("Linux")
    assert {"cpu", "block_device", "scheduler", "nr_requests", "max_sectors_kb", "date"} <= set(
        report["host"]
    )


def test_the_jobs_span_sizes_depths_ranges_threads_and_writes(report):
    """What a fit needs is in the plan, within the size of the file."""
    options = [job["job options"] for job in report["jobs"]]
    random = [one for one in options if one["rw"] == "randread"]
    assert {one["bs"] for one in random} >= {
        "4k",
        "8k",
        "16k",
        "24k",
        "32k",
        "64k",
        "128k",
        "256k",
        "512k",
        "1M",
    }
    assert {one["iodepth"] for one in random} >= {"1", "2", "4", "8", "16", "24", "32"} - (
        {"2", "4"} if report["global options"]["ioengine"] == "psync" else set()
    )
    assert {one["rw"] for one in options} == {"read", "randread", "write", "randwrite"}
    assert {one["size"] for one in options} == {"64M"}
    assert {int(one["numjobs"]) for one in options} >= {1, 2, 4}


def test_littles_law_holds_for_most_rows(report):
    """Rate times latency is the number outstanding; a busy machine may spoil a few short windows."""
    off = [
        abs(figures(job)["iops"] * figures(job)["lat_ns"]["mean"] * 1e-9 - outstanding(job))
        / outstanding(job)
        for job in report["jobs"]
    ]
    off.sort()
    assert off[len(off) // 2] < 0.05


def test_threads_stand_for_depth_where_io_uring_is_not_used(disk):
    """With blocking threads the depth is 1 and the threads are as many as the depth was."""
    out = disk / "threads.json"
    limits = ["--size-limit", "16MiB", "--seconds", "0.02", "--depth-limit", "4"]
    done = probe(disk / "file", *limits, "--engine", "threads", "-o", out)
    if done.returncode == 2 and "O_DIRECT" in done.stderr:
        pytest.skip(f"no direct I/O here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    written = json.loads(out.read_text())
    assert written["global options"]["ioengine"] == "psync"
    assert {job["job options"]["iodepth"] for job in written["jobs"]} == {"1"}
    assert max(outstanding(job) for job in written["jobs"]) == 4


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_probe_leaves_nothing(disk, ending):
    """Neither the file that it measured nor half a result, however it is ended."""
    out = disk / "killed.json"
    before = set(disk.iterdir())
    limits = ["--quick", "--size-limit", "64MiB", "--seconds", "60"]
    command = [PROGRAM, "device", "probe", disk / "scratch", *limits, "-o", out]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=heed_interrupts
    ) as process:
        time.sleep(0.5)
        process.send_signal(ending)
        _, errors = process.communicate(timeout=60)
    if process.returncode == 2:
        pytest.skip(f"no direct I/O here: {errors.decode()}")
    assert process.returncode == -ending
    assert set(disk.iterdir()) == before


def test_wrong_usage_names_every_problem(disk):
    """Exit 2, one line for each problem, and no file."""
    mine = disk / "mine"
    mine.write_text("precious")
    arguments = ["--seconds", "0", "--size-limit", "lots", "--depth-limit", "0", "--engine", "aio"]
    done = probe(mine, *arguments, "-o", disk / "no" / "x.json")
    assert done.returncode == 2
    for word in ("exists", "--seconds", "--size-limit", "--depth-limit", "--engine", "--out"):
        assert sum(word in line for line in done.stderr.splitlines()) == 1, (word, done.stderr)
    assert mine.read_text() == "precious"
    mine.unlink()


def test_without_a_path_it_says_so():
    """The path has no default."""
    done = probe("--quick")
    assert done.returncode == 2
    assert "no path is given" in done.stderr
