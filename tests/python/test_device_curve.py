"""`kvreplay device curve`: what it prints, draws and stores, against formulas and published anchors."""

import json
import os
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr
from conftest import ROOT

UFS40 = ROOT / "configs" / "devices" / "ufs40.yaml"
SLOW_CORE = ("--phone", "oneplus_12", "--set", "phone.host_clock=2.2GHz")
POINT_KEYS = {
    "size_bytes", "depth", "threads", "range_bytes", "kind", "pattern", "bandwidth_bytes_per_s", "iops",
    "latency_us", "p50_us", "p99_us", "requests",
}  # fmt: skip


@pytest.fixture
def points(kvreplay) -> Callable[..., list[dict]]:
    """The points of a curve as JSON."""
    return lambda *arguments: json.loads(kvreplay("device", "curve", *arguments, "--json").stdout)["points"]


@pytest.fixture
def attempt() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a curve whatever its exit code."""
    program = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))

    def run(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        command = [program, "device", "curve", *arguments]
        return subprocess.run(command, check=False, cwd=cwd, capture_output=True, text=True)

    return run


def test_json_has_every_point_and_satisfies_little(kvreplay) -> None:
    done = kvreplay(
        "device", "curve", "ufs40", "--size", "4KiB,24KiB", "--depth", "1,32", "--threads", "1,4", "--json"
    )
    curve = json.loads(done.stdout)
    assert (curve["device"], curve["type"], curve["heat"], curve["seed"]) == ("ufs40", "queueing", "cold", 1)
    assert curve["host"]["name"] == "fit of ufs40"
    assert curve["host"]["per_command_us"] == pytest.approx(4.0)
    assert len(curve["points"]) == 8
    for point in curve["points"]:
        assert set(point) == POINT_KEYS
        assert point["range_bytes"] == 64 * 2**30
        assert point["bandwidth_bytes_per_s"] == pytest.approx(point["iops"] * point["size_bytes"])
        outstanding = point["depth"] * point["threads"]
        # Requests under way when counting begins and ends leave Little's law an edge, at most their share.
        share = outstanding / point["requests"]
        assert point["iops"] * point["latency_us"] * 1e-6 == pytest.approx(outstanding, rel=share)
        assert point["p50_us"] <= point["p99_us"]


def test_the_same_command_prints_the_same_bytes(kvreplay) -> None:
    command = ("device", "curve", "ufs40", "--size", "4KiB", "--depth", "8", "--json", "--seed")
    assert kvreplay(*command, "3").stdout == kvreplay(*command, "3").stdout
    assert kvreplay(*command, "3").stdout != kvreplay(*command, "4").stdout


@pytest.mark.parametrize("device_type", ["analytic", "queueing"])
@pytest.mark.parametrize(
    ("arguments", "megabytes_per_s", "tolerance"),
    [
        # PowerInfer-2 (arXiv 2406.06282), random and sequential reads; tolerances as for the models' anchors.
        (("--size", "4KiB"), 450, 0.10),
        (("--size", "4KiB", "--range", "128MiB"), 1000, 0.12),
        (("--size", "4KiB", "--range", "128MiB", *SLOW_CORE), 760, 0.10),
        (("--size", "512KiB"), 3500, 0.15),
        (("--size", "512KiB", "--sequential"), 4000, 0.05),
    ],
)  # fmt: skip
def test_ufs40_meets_its_anchors(points, device_type, arguments, megabytes_per_s, tolerance) -> None:
    (point,) = points("ufs40", "--type", device_type, "--depth", "32", *arguments)
    assert point["bandwidth_bytes_per_s"] / 1e6 == pytest.approx(megabytes_per_s, rel=tolerance)


def test_formulas_have_no_percentiles_and_keep_little_exactly(points) -> None:
    for point in points("ufs40", "--type", "analytic", "--depth", "1,64", "--size", "4KiB,1MiB"):
        assert point["p50_us"] is None
        assert point["iops"] * point["latency_us"] * 1e-6 == pytest.approx(point["depth"])


def test_writes_of_the_formulas_follow_the_pool(points) -> None:
    # configs/devices/ufs40.yaml: 1650 MB/s into the pool, without one 641 MB/s over an amplification of 1.1.
    command = ("ufs40", "--type", "analytic", "--write", "--size", "512KiB", "--depth", "32")
    assert points(*command)[0]["bandwidth_bytes_per_s"] == pytest.approx(1650e6)
    sustained = points(*command, "--set", "device.slc_pool=0B")[0]["bandwidth_bytes_per_s"]
    assert sustained == pytest.approx(641e6 / 1.1, rel=1e-3)


def test_a_hot_part_keeps_its_share_of_the_bandwidth(points) -> None:
    command = ("ufs40", "--type", "analytic", "--size", "1MiB", "--depth", "32")
    cold, hot = (points(*command, *more)[0]["bandwidth_bytes_per_s"] for more in ((), ("--hot",)))
    assert hot / cold == pytest.approx(0.67, rel=0.02)


def test_the_table_has_a_block_for_each_range_and_a_row_for_each_size(kvreplay) -> None:
    done = kvreplay(
        "--quiet", "device", "curve", "ufs40", "--type", "analytic", "--size", "4KiB,24KiB",
        "--depth", "1,32", "--range", "64GiB,128MiB",
    )  # fmt: skip
    lines = done.stdout.splitlines()
    title = "ufs40 (analytic, cold), random reads over {}, 1 thread; host: fit of ufs40"
    assert [line for line in lines if line.startswith("ufs40")] == [
        title.format("64GiB"),
        title.format("128MiB"),
    ]
    rows = [line.split() for line in lines if line.lstrip().startswith(("4KiB", "24KiB"))]
    assert [row[0] for row in rows] == ["4KiB", "24KiB"] * 2
    assert {len(row) for row in rows} == {5}
    assert len({len(line) for line in lines if "KiB  " in line}) == 1  # aligned
    assert lines[-1].startswith("Closed formulas: ")
    assert done.stderr == ""


def test_the_picture_is_svg_with_a_line_for_each_depth_in_two_panels(kvreplay, tmp_path) -> None:
    out = tmp_path / "curve.svg"
    kvreplay("device", "curve", "ufs40", "--type", "analytic", "--depth", "1,8,32", "-o", out)
    root = ET.parse(out).getroot()
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{space}svg"
    lines = root.findall(f"{space}polyline")
    assert len(lines) == 2 * 3
    assert {len(line.get("points").split()) for line in lines} == {10}
    texts = {text.text for text in root.findall(f"{space}text")}
    assert {"bandwidth (MB/s)", "mean latency (µs)", "request size", "depth per thread", "4KiB"} <= texts


def test_a_picture_of_one_point_is_drawn(kvreplay, tmp_path) -> None:
    out = tmp_path / "curve.svg"
    kvreplay("device", "curve", "ufs40", "--type", "analytic", "--depth", "1", "--size", "4KiB", "-o", out)
    assert "nan" not in out.read_text()
    assert "inf" not in out.read_text()


def test_the_file_opens_in_xarray_with_units_names_and_provenance(kvreplay, points, tmp_path) -> None:
    out = tmp_path / "curve.h5"
    command = ("ufs40", "--size", "4KiB,64KiB", "--depth", "1,4", "--range", "1GiB,128MiB")
    kvreplay("device", "curve", *command, "-o", out)
    data = xr.open_dataset(out, engine="h5netcdf")
    assert dict(data.sizes) == {"range_bytes": 2, "threads": 1, "depth": 2, "size_bytes": 2}
    for name in data.variables:
        assert data[name].attrs["units"]
        assert data[name].attrs["long_name"]
    for point in points(*command):
        place = {key: point[key] for key in ("range_bytes", "threads", "depth", "size_bytes")}
        stored = data.sel(place)
        assert float(stored.bandwidth_bytes_per_s) == point["bandwidth_bytes_per_s"]
        assert float(stored.iops) == point["iops"]
        assert float(stored.latency_s) * 1e6 == pytest.approx(point["latency_us"])
        assert float(stored.latency_p99_s) * 1e6 == pytest.approx(point["p99_us"])
        assert float(stored.requests) == point["requests"] == 4000
    provenance = xr.open_dataset(out, engine="h5netcdf", group="provenance").attrs
    assert "queue_depth: 32" in provenance["device"]
    assert provenance["submitting_host"] == "fit of ufs40"
    assert provenance["seed"] == 1
    assert list(tmp_path.iterdir()) == [out]


def test_a_device_file_may_be_given_and_names_are_found_from_anywhere(attempt, tmp_path) -> None:
    device = tmp_path / "mine.yaml"
    device.write_text(f"include: {UFS40}\ndevice: {{name: mine, queue_depth: 1}}\n")
    options = ("--type", "analytic", "--depth", "32", "--size", "4KiB")
    mine = attempt(device, *options, "--json", cwd=tmp_path)
    assert mine.returncode == 0, mine.stderr
    assert json.loads(mine.stdout)["device"] == "mine"
    # One slot: 4 KiB of L = 52 us + (1 - 0.4 GB / 64 GiB) * 41 us.
    latency_s = 52e-6 + (1 - 400e6 / (64 * 2**30)) * 41e-6
    assert json.loads(mine.stdout)["points"][0]["iops"] == pytest.approx(1 / latency_s, rel=0.01)
    by_name = attempt("ufs40", *options, cwd=tmp_path)
    assert by_name.returncode == 0, by_name.stderr


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ((), ["kvreplay device curve: no device is given"]),
        (("ufs4",), ["configs/devices: no such name (ufs4); did you mean 'ufs40'? allowed: emmc51, "]),
        (
            ("ufs40", "--depth", "0,2,2", "--size", "6KiB,x", "--range", "4KiB", "--threads", "9999"),
            [
                "--depth: is given twice (2); allowed: once",
                "--depth: is out of range (0); allowed: an integer, 1 to 65536",
                "--size: is not an integer (x); allowed: ",
                "--threads: is out of range (9999); allowed: an integer, 1 to 1024",
                "--size: 6KiB is no multiple of the block of ufs40; allowed: multiples of 4KiB",
                "--range: 4KiB is smaller than a request of 6KiB; allowed: at least 6KiB",
            ],
        ),
        (("ufs40", "--size", "4"), ["--size: has no unit (4); allowed: "]),
        (
            ("ufs40", "--depth", "65536", "--threads", "1024"),
            ["--threads: 1024 threads of depth 65536 keep "],
        ),
        (
            ("ufs40", "--size", "4096TiB", "--range", "4096TiB", "--depth", "1"),
            ["--size: 1 requests of 4096TiB are more than 1048576 commands at once; "],
        ),
        (("ufs40", "--type", "quene"), ["--type: no such device type (quene); "]),
        (("ufs40", "--type", "file"), ["--type: file serves a batch at a time"]),
        (("ufs40", "--set", "run.seed=1"), ["--set run.seed=1: sets neither the device nor the phone; "]),
        (("ufs40", "--set", "phone.host_clock=1GHz"), ["--set phone.host_clock=1GHz: no phone is given; "]),
        (
            ("ufs40", "--set", "device.blok=4KiB", "--phone", "oneplus_13"),
            [
                "--set device.blok: device.blok: unknown key (blok); did you mean 'block'? ",
                "configs/phones: no such name (oneplus_13); did you mean 'oneplus_12'? ",
            ],
        ),
        (
            ("ufs40", "-o", "/no/such/curve.png"),
            [
                "--out: /no/such/curve.png has no known extension; ",
                "--out: /no/such/curve.png: there is no folder ",
            ],
        ),
    ],
)
def test_wrong_input_exits_2_with_every_problem(attempt, arguments, messages) -> None:
    done = attempt(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == len(messages), done.stderr
    for line, message in zip(lines, messages, strict=True):
        assert line.startswith(message), line


def test_problems_of_a_device_file_name_their_place(attempt, tmp_path) -> None:
    device = tmp_path / "mine.yaml"
    device.write_text("device:\n  type: analytic\n  queue_depth: 0\n  blok: 4KiB\nphone: roofline\n")
    done = attempt(device)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"{device}:3:3: device.queue_depth: is out of range (0); ")
    assert lines[1].startswith(f"{device}:4:3: device.blok: unknown key (blok); did you mean 'block'? ")
    assert lines[2].startswith(f"{device}:5:1: phone: unknown key (phone); ")


def test_parameters_that_contradict_each_other_name_their_place(attempt, tmp_path) -> None:
    device = tmp_path / "mine.yaml"
    device.write_text(f"include: {UFS40}\ndevice:\n  max_transfer: 6KiB\n")
    (line,) = attempt(device).stderr.splitlines()
    assert line.startswith(f"{device}:3:3: device.max_transfer: ")


def test_help_says_that_depth_is_per_thread(kvreplay) -> None:
    assert "per thread" in " ".join(kvreplay("device", "curve", "--help").stdout.split())
    assert "curve" in kvreplay("device", "--help").stdout
