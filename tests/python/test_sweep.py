"""Sweeps: what is finished is never lost nor done again, whatever ends the run; jobs, shards and stores."""

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import h5py
import kvreplay
import numpy as np
import pytest
import xarray as xr
from conftest import ROOT, heed_interrupts
from sweep_data import is_complete, simulated

PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))
BASE = f"""
include:
  - {ROOT}/configs/phones/oneplus_12.yaml
  - {ROOT}/configs/devices/ufs40.yaml
  - {ROOT}/configs/models/qwen2.5-1.5b.yaml
  - {ROOT}/configs/systems/kmeans_contiguous_lru.yaml
trace: {{path: {ROOT}/traces/samples/smollm2.h5}}
run: {{steps: 12}}
"""
SWEEP = BASE + "sweep:\n  system.stages.0.budget.share: [0.05, 0.1, 0.2]\n  run.seed: [1, 2]\n"
# What the second point may take is not enough, which only its replay finds out.
FAILING = BASE + "points:\n  a: {}\n  b: {system: {dram: 700kB}}\n  c: {run: {seed: 3}}\n"


def command(config: Path, *more: str | Path) -> list[str | Path]:
    return [PROGRAM, "run", config, "--set", "run.threads=1", *more]


def run(config: Path, *more: str | Path, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(config, *more), capture_output=True, text=True, check=False, cwd=ROOT, timeout=timeout
    )


def merge(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "result", "merge", *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )


def written(folder: Path, text: str) -> Path:
    path = folder / "c.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run(written(folder, SWEEP), "-o", folder / "r.h5")
    assert done.returncode == 0, done.stderr
    return folder / "r.h5"


@pytest.mark.parametrize(("jobs", "together"), [("1", "1"), ("2", "4"), ("3", "1"), ("9", "2")])
def test_jobs_change_no_bit(tmp_path: Path, undisturbed: Path, jobs: str, together: str) -> None:
    out = tmp_path / "r.h5"
    done = run(written(tmp_path, SWEEP), "-o", out, "-j", jobs, "--together", together)
    assert done.returncode == 0, done.stderr
    assert simulated(out) == simulated(undisturbed)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.yaml", "r.h5"]


def test_a_run_that_is_killed_at_any_moment_goes_on_to_the_same_bytes(
    tmp_path: Path, undisturbed: Path
) -> None:
    seed = 16
    print(f"seed {seed}")
    moments = random.Random(seed)
    config = written(tmp_path, SWEEP)
    begin = time.monotonic()
    run(config, "-o", tmp_path / "r.h5", "-j", "2", "--together", "1")
    whole_s = time.monotonic() - begin
    kept = 0
    for trial in range(30):
        out = tmp_path / f"{trial}.h5"
        process = subprocess.Popen(
            command(config, "-o", out, "-j", str(1 + trial % 2), "--together", "1", "--quiet"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT,
        )  # fmt: skip
        time.sleep(moments.uniform(0.0, whole_s))
        process.kill()
        process.wait()
        again = run(config, "-o", out, "--quiet")
        assert again.returncode == 0, again.stderr
        before = re.search(r"(\d) of 6 points were finished before", again.stderr)
        kept += int(before.group(1)) if before else 0
        assert is_complete(out)
        assert simulated(out) == simulated(undisturbed), f"trial {trial}"
        assert not out.with_suffix(".h5.points").exists()
    assert kept > 0, "no kill came between two points"


def test_no_finished_point_is_run_again(tmp_path: Path) -> None:
    config = written(tmp_path, SWEEP.replace("steps: 12", "steps: 300"))
    process = subprocess.Popen(
        command(config, "-o", tmp_path / "r.h5", "--together", "1"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, preexec_fn=heed_interrupts,
    )  # fmt: skip
    for line in process.stderr:
        if "2 of 6 points" in line:
            break
    process.send_signal(signal.SIGINT)
    table, messages = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    finished = re.search(r"interrupted: (\d) of 6 points are finished and kept in .*r\.h5\.points", messages)
    assert finished, messages
    assert "share=0.05" in table
    assert not is_complete(tmp_path / "r.h5")
    with h5py.File(tmp_path / "r.h5") as results:
        assert results.attrs["points_planned"] == 6
        assert results["point"].shape == (int(finished.group(1)),)
    again = run(config, "-o", tmp_path / "r.h5")
    assert f"{finished.group(1)} of 6 points were finished before" in again.stderr
    assert is_complete(tmp_path / "r.h5")


def test_a_point_that_fails_stops_no_other(tmp_path: Path) -> None:
    config = written(tmp_path, FAILING)
    for jobs in ("1", "2"):
        out = tmp_path / f"{jobs}.h5"
        done = run(config, "-o", out, "-j", jobs)
        assert done.returncode == 2, done.stderr
        assert len(re.findall("^b: ", done.stderr, re.MULTILINE)) == 1, done.stderr
        assert not is_complete(out)
        with h5py.File(out) as results:
            assert list(results["point"].asstr()) == ["a", "c"]
            assert list(results["provenance/number"]) == [0, 2]
        assert (tmp_path / f"{jobs}.h5.points").is_dir()
        assert "2 of 3 points were finished before" in run(config, "-o", out, "-j", jobs).stderr


def children(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(child) for child in listed]


def test_a_process_that_dies_costs_its_point_alone(tmp_path: Path) -> None:
    config = written(tmp_path, SWEEP.replace("steps: 12", "steps: 400"))
    process = subprocess.Popen(
        command(config, "-o", tmp_path / "r.h5", "-j", "2", "--together", "1", "--quiet"),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    while len(children(process.pid)) < 2:
        time.sleep(0.01)
    time.sleep(0.1)
    os.kill(children(process.pid)[0], signal.SIGSEGV)
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 70
    assert messages.count("the process that replayed it was ended by signal 11") == 1, messages
    with h5py.File(tmp_path / "r.h5") as results:
        assert results["point"].shape == (5,)
    assert run(config, "-o", tmp_path / "r.h5").returncode == 0
    assert is_complete(tmp_path / "r.h5")


def test_two_runs_into_one_file_are_refused(tmp_path: Path) -> None:
    config = written(tmp_path, SWEEP.replace("steps: 12", "steps: 400"))
    first = subprocess.Popen(
        command(config, "-o", tmp_path / "r.h5", "--quiet"), stdout=subprocess.DEVNULL, cwd=ROOT
    )
    while not (tmp_path / "r.h5.points" / "lock").exists():
        time.sleep(0.01)
    second = run(config, "-o", tmp_path / "r.h5")
    assert second.returncode == 3
    assert "another run keeps its points there" in second.stderr
    assert first.wait(120) == 0
    assert is_complete(tmp_path / "r.h5")


def interrupted_store(tmp_path: Path) -> Path:
    """A store of two points that a failing third one left."""
    config = written(tmp_path, FAILING)
    assert run(config, "-o", tmp_path / "r.h5").returncode == 2
    return config


def test_points_of_another_configuration_are_lost_with_force_alone(tmp_path: Path) -> None:
    interrupted_store(tmp_path)
    other = tmp_path / "other.yaml"
    other.write_text(SWEEP.replace("steps: 12", "steps: 11"))
    refused = run(other, "-o", tmp_path / "r.h5")
    assert refused.returncode == 2
    assert "r.h5.points: has finished points of another configuration, trace or program (2)" in refused.stderr
    assert len(list((tmp_path / "r.h5.points").glob("??/*"))) == 2
    assert run(other, "-o", tmp_path / "r.h5", "--force").returncode == 0
    assert not (tmp_path / "r.h5.points").exists()


def test_a_damaged_record_is_told_and_replayed_again(tmp_path: Path) -> None:
    config = interrupted_store(tmp_path)
    records = sorted((tmp_path / "r.h5.points").glob("??/*"))
    damaged = bytearray(records[0].read_bytes())
    damaged[len(damaged) // 2] ^= 1
    records[0].write_bytes(damaged)
    again = run(config, "-o", tmp_path / "r.h5")
    assert "is damaged: its sha256 is another; the point is replayed again" in again.stderr
    assert "1 of 3 points were finished before" in again.stderr


def sealed(record: bytes, body: bytes) -> bytes:
    """A record with that body, and the sha256 of it."""
    magic = len(b"kvreplay point 1\n")
    return record[:magic] + hashlib.sha256(body).hexdigest().encode() + body


@pytest.mark.parametrize("what", ["nonsense", "a pipe", "a folder", "a link to itself"])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_is_no_record_is_told_and_the_point_replayed_again(
    tmp_path: Path, undisturbed: Path, what: str, jobs: str
) -> None:
    """Also where its sha256 is right, and nobody waits for the other end of a pipe."""
    config = written(tmp_path, SWEEP)
    store = tmp_path / "store"
    assert run(config, "--store", store).returncode == 0
    record = sorted(store.glob("??/*"))[3]
    whole = record.read_bytes()
    record.unlink()
    if what == "nonsense":
        body = whole[len(b"kvreplay point 1\n") + 64 :]
        key = body[: 8 + 64]  # which it must have
        record.write_bytes(sealed(whole, key + b"\xff" * (len(body) - len(key))))
    elif what == "a pipe":
        os.mkfifo(record)
    elif what == "a folder":
        record.mkdir()
    else:
        record.symlink_to(record)
    again = run(config, "--store", store, "-j", jobs, "-o", tmp_path / "r.h5", timeout=120)
    assert again.returncode == 0, again.stderr
    assert f"{record}: is " in again.stderr and "the point is replayed again" in again.stderr
    assert "5 of 6 points were finished before" in again.stderr
    assert simulated(tmp_path / "r.h5") == simulated(undisturbed)
    assert record.read_bytes() == whole or len(record.read_bytes()) == len(whole)


def test_points_that_are_replayed_together_say_how_far_they_are(tmp_path: Path) -> None:
    config = written(tmp_path, SWEEP)
    together = run(config, "--together", "6").stderr
    assert re.search(r"c: \d+ %, 0 of 6 points, 6 at hand, \d+ of their 72 steps, ", together), together
    singly = run(config, "--together", "1").stderr
    assert re.search(r"c: \d+ %, 3 of 6 points, 1 at hand, \d+ of their 12 steps, ", singly), singly
    alone = run(written(tmp_path, BASE)).stderr
    assert re.search(r": 50 %, 6 of 12 steps, ", alone), alone
    jobs = run(
        written(tmp_path, SWEEP.replace("steps: 12", "steps: 60")), "--together", "3", "-j", "2"
    ).stderr
    assert re.search(
        r"c: \d+ %, \d of 6 points, (6 at hand, \d+ of their 360|3 at hand, \d+ of their 180) steps, ", jobs
    ), jobs


def test_a_store_of_ones_own_is_kept_and_grows(tmp_path: Path, undisturbed: Path) -> None:
    store = tmp_path / "store"
    small = written(tmp_path, SWEEP.replace("[0.05, 0.1, 0.2]", "[0.05, 0.2]"))
    assert run(small, "--store", store).returncode == 0
    large = tmp_path / "large.yaml"
    large.write_text(SWEEP)
    done = run(large, "--store", store, "-o", tmp_path / "r.h5", "-j", "2")
    assert "4 of 6 points were finished before" in done.stderr
    assert simulated(tmp_path / "r.h5") == simulated(undisturbed)
    assert len(list(store.glob("??/*"))) == 6


def test_a_folder_that_may_not_be_written_is_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "r.h5.points").write_text("mine")
    done = run(written(tmp_path, SWEEP), "-o", tmp_path / "r.h5")
    assert done.returncode == 2
    assert "r.h5.points: is no folder" in done.stderr
    assert (tmp_path / "r.h5.points").read_text() == "mine"


def test_shards_are_the_whole(tmp_path: Path, undisturbed: Path) -> None:
    config = written(tmp_path, SWEEP)
    with h5py.File(undisturbed) as whole:
        names = list(whole["point"].asstr())
        recall = whole["recall"][:]
    parts = [tmp_path / f"{shard}.h5" for shard in range(4)]
    for shard, out in enumerate(parts):
        assert run(config, "-o", out, "--shard", f"{shard + 1}/4").returncode == 0
        with h5py.File(out) as part:
            assert part.attrs["complete"] == 0
            assert part.attrs["points_planned"] == 6
            assert list(part["point"].asstr()) == names[shard::4]
            np.testing.assert_array_equal(part["recall"][:], recall[shard::4])
    merged = tmp_path / "merged.h5"
    assert merge(*parts[::-1], "-o", merged).returncode == 0
    assert is_complete(merged)
    assert simulated(merged) == simulated(undisturbed)
    assert merge(*parts[:2], "-o", tmp_path / "half.h5").returncode == 0
    with h5py.File(tmp_path / "half.h5") as half:
        assert (half.attrs["complete"], half.attrs["points_planned"]) == (0, 6)
        assert list(half["provenance/number"]) == [0, 1, 4, 5]
    twice = merge(parts[0], parts[1], parts[0], "-o", tmp_path / "twice.h5")
    assert twice.returncode == 2
    assert "has the point share=0.05,seed=1, as" in twice.stderr
    other = tmp_path / "other.h5"
    config.write_text(BASE)
    assert run(config, "-o", other).returncode == 0
    apart = merge(parts[0], other, tmp_path / "c.yaml")
    assert apart.returncode == 2
    assert "--out: is not given" in apart.stderr
    assert "c.yaml: " in apart.stderr
    assert "sweep_sha256 differs" in merge(parts[0], other, "-o", tmp_path / "x.h5").stderr


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (["--shard", "0/2"], "--shard: '0/2' is not I/N"),
        (["--shard", "3/2"], "--shard: '3/2' is not I/N"),
        (["--shard", "x"], "--shard: 'x' is not I/N"),
        (["--shard", "7/9"], "--shard: 7/9 of 6 points is none; allowed: up to 6/N"),
        (["-j", "0"], "--jobs: 0 is not allowed; allowed is 1 to 1024"),
        (["-j", "2", "--timeline", "t.json"], "--timeline: is drawn by one process; allowed: --jobs 1"),
        (["--force"], "--force: there is no OUT.points"),
    ],
)
def test_what_is_wrong_with_options_is_told(tmp_path: Path, option: list[str], told: str) -> None:
    done = run(written(tmp_path, SWEEP), *option)
    assert done.returncode == 2
    assert told in done.stderr


def test_what_is_swept_is_a_coordinate_of_its_type(tmp_path: Path) -> None:
    text = BASE + (
        "points: {a: {}, b: {}}\n"
        "sweep:\n"
        "  device: [ufs40, emmc51]\n"
        "  system.stages.0.budget.share: [0.05, 0.1]\n"
        "  system.clustering.entries_per_cluster: {values: [16, 32], name: size, when: {device: ufs40}}\n"
        "  run.steps: [3]\n"
    )
    folder = ROOT / "configs"
    config = tmp_path / "configs.yaml"
    (tmp_path / "devices").symlink_to(folder / "devices")
    config.write_text(text)
    assert run(config, "-o", tmp_path / "r.h5").returncode == 0
    data = xr.open_dataset(tmp_path / "r.h5", engine="h5netcdf")
    assert set(data.coords) >= {"device", "share", "size", "steps", "variant", "seed"}
    assert list(data.device.values[:3]) == [b"ufs40", b"ufs40", b"ufs40"] or data.device.values[0] == "ufs40"
    np.testing.assert_array_equal(
        data.share.values, np.tile(np.repeat([0.05, 0.1, 0.05, 0.1], [2, 2, 1, 1]), 2)
    )
    np.testing.assert_array_equal(data["size"].values, np.tile([16, 32, 16, 32, np.nan, np.nan], 2))
    assert data.steps.dtype == np.int64
    assert data.share.attrs["key"] == "system.stages.0.budget.share"
    assert data["size"].attrs["axis"] == 2
    assert str(data.point.values[4]).strip("b'") == "a,device=emmc51,share=0.05,steps=3"


def test_the_axes_of_the_page_run_and_are_coordinates(tmp_path: Path) -> None:
    config = ROOT / "configs/experiments/axes.yaml"
    text = config.read_text()
    assert text[text.index("sweep:") :] in (ROOT / "docs" / "sweeps.md").read_text()
    assert run(config, "--set", "run.steps=2", "-j", "2", "-o", tmp_path / "r.h5").returncode == 0
    data = kvreplay.open(tmp_path / "r.h5")
    assert data.sizes["point"] == 9
    where = (data.device == "ufs40") & (data.system == "clusterkv") & (data.dram == "small")
    assert data.heat.values[where].tolist() == ["cold", "hot"]
    assert set(data.heat.values[data.device == "emmc51"]) == {""}
    whole = run(config, "--set", "run.steps=2", "--set", "sweep.system.dram=null",
                "--set", "sweep.device.heat=null", "-o", tmp_path / "w.h5")  # fmt: skip
    assert whole.returncode == 0, whole.stderr
    cube = kvreplay.open(tmp_path / "w.h5")
    assert dict(cube.sizes) | {"device": 2, "system": 2} == dict(cube.sizes)
    assert "point" not in cube.sizes


def test_an_interrupted_run_replaces_no_result_that_has_more(tmp_path: Path) -> None:
    config = written(tmp_path, SWEEP.replace("steps: 12", "steps: 200"))
    out = tmp_path / "r.h5"
    assert run(config, "-o", out, "-j", "2").returncode == 0
    whole = out.read_bytes()
    process = subprocess.Popen(
        command(config, "-o", out, "--together", "1"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, preexec_fn=heed_interrupts,
    )  # fmt: skip
    for line in process.stderr:
        if "2 of 6 points" in line:
            break
    process.send_signal(signal.SIGTERM)
    _, messages = process.communicate(timeout=60)
    assert "r.h5 stays as it was: it has no fewer points" in messages
    assert out.read_bytes() == whole
    assert "of 6 points were finished before" in run(config, "-o", out).stderr
    assert is_complete(out)


def test_records_that_changed_places_are_replayed_again(tmp_path: Path, undisturbed: Path) -> None:
    config = written(tmp_path, SWEEP)
    store = tmp_path / "store"
    assert run(config, "--store", store).returncode == 0
    one, other = sorted(store.glob("??/*"))[:2]
    held = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(held)
    again = run(config, "--store", store, "-o", tmp_path / "r.h5")
    assert again.stderr.count("is of another point; the point is replayed again") == 2
    assert "4 of 6 points were finished before" in again.stderr
    assert simulated(tmp_path / "r.h5") == simulated(undisturbed)


def test_merged_tiers_keep_their_order(tmp_path: Path) -> None:
    tiers = "{{tiers: [{{name: first}}, {{name: {0}, bandwidth: 25GB/s, latency: 10us}}]}}"
    names = ("dram", "cxl", "zz")
    points = "".join(f"  {name}: {{system: {tiers.format(name)}}}\n" for name in names)
    config = written(tmp_path, BASE.replace("steps: 12", "steps: 3") + "points:\n" + points)
    parts = [tmp_path / f"{shard}.h5" for shard in (1, 2)]
    for shard, part in enumerate(parts, 1):
        done = run(config, "-o", part, "--shard", f"{shard}/2")
        assert done.returncode == 0, done.stderr
    assert run(config, "-o", tmp_path / "w.h5").returncode == 0
    assert merge(*parts, "-o", tmp_path / "m.h5").returncode == 0
    assert simulated(tmp_path / "m.h5") == simulated(tmp_path / "w.h5")


def test_summaries_as_json_are_those_of_the_file(tmp_path: Path) -> None:
    out = tmp_path / "r.h5"
    done = run(written(tmp_path, SWEEP), "--json", "-o", out, "--quiet")
    printed = json.loads(done.stdout)
    assert (printed["complete"], printed["points_planned"]) == (True, 6)
    with h5py.File(out) as results:
        for number, point in enumerate(printed["points"]):
            assert point["name"] == results["point"].asstr()[number]
            assert point["axes"]["share"] == results["share"][number]
            for name, value in point["summaries"].items():
                stored = results[name][number]
                assert value == stored or (value is None and np.isnan(stored)), name
    shown = subprocess.run(
        [PROGRAM, "result", "show", out, "--json"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    for point, same in zip(printed["points"], json.loads(shown.stdout)["points"], strict=True):
        assert same.items() <= point.items()
    nothing = run(written(tmp_path, FAILING), "--json", "--quiet", "--set", "system.dram=1kB")
    assert (nothing.returncode, json.loads(nothing.stdout)["points"]) == (2, [])
