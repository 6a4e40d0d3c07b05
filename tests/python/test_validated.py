"""`kvreplay list device --validated`: errors of the shipped devices, as files and README have them."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

DEVICES = sorted(path.stem for path in (ROOT / "configs" / "devices").glob("*.yaml"))
PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))


@pytest.fixture(scope="module")
def printed(kvreplay) -> str:
    return kvreplay("list", "device", "--validated").stdout


def table(text: str) -> list[list[str]]:
    """The cells of the table's rows, without its heading."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def figures(text: str, device: str, rows: str) -> list[list[str]]:
    found = [row for row in table(text) if row[0] == device and row[1].startswith(rows)]
    assert found, (device, rows)
    return found


def percent(cell: str) -> float:
    return float(cell.split("%")[0])


def test_readme_holds_what_is_printed(printed: str) -> None:
    page = (ROOT / "models" / "flash" / "README.md").read_text()
    begin, end = "<!-- kvreplay list device --validated -->\n", "<!-- end -->\n"
    assert page[page.index(begin) + len(begin) : page.index(end)] == printed


@pytest.mark.parametrize("device", DEVICES)
def test_every_device_states_its_errors(kvreplay, device: str) -> None:
    lines = kvreplay("list", "device", device, "--validated").stdout
    assert lines in (ROOT / "configs" / "devices" / f"{device}.yaml").read_text()


def test_pixel_4_reads_and_tails(printed: str) -> None:
    (reads,) = figures(printed, "ufs21_pixel4", "reads, fitted")
    assert reads[2] == "24"
    assert percent(reads[3]) <= 10
    assert percent(reads[5]) <= 12
    median, span = reads[7].split(", ")
    least, most = (float(one) for one in span.split(" to "))
    assert 1 / 3 <= float(median) <= 3
    assert 1 / 6 <= least <= most <= 6


def test_cards_whose_queue_does_not_help(printed: str) -> None:
    for rows in ("reads, fitted", "reads with queue_depth=1, checked"):
        (reads,) = figures(printed, "sd_a2_serial", rows)
        assert reads[2] == "18"
        assert max(percent(reads[3]), percent(reads[5])) <= 15


def test_every_device_is_named(printed: str) -> None:
    for device in DEVICES:
        assert re.search(rf"\b{device}\b", printed), device


def test_rows_on_a_slower_bus_do_not_count_and_say_so(printed: str) -> None:
    apart = [line for line in printed.splitlines() if line.startswith("- emmc51_nocmdq")]
    assert len(apart) == 4
    assert all("slower bus" in line for line in apart)


def attempt(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "list", *arguments], check=False, cwd=folder, capture_output=True, text=True
    )


def test_rows_of_ones_own(tmp_path: Path) -> None:
    measured = tmp_path / "configs" / "measured"
    measured.mkdir(parents=True)
    heading = "device,op,pattern,size,depth,threads,range,MB_per_s,p99_us,use,settings,note\n"
    good = "ufs40,read,random,4KiB,32,1,64GiB,450,500,checked,,mine\n"
    (measured / "mine.csv").write_text("# a phone\n" + heading + good)
    done = attempt(tmp_path, "device", "ufs40", "--validated")
    assert done.returncode == 0
    assert "reads, checked (mine.csv), 1 row:" in done.stdout
    bad = "ufs40,raed,random,4,0,1,64GiB,fast,-1,checked,,mine\n"
    (measured / "mine.csv").write_text(heading + bad + "ufs40,read\n")
    done = attempt(tmp_path, "device", "ufs40", "--validated")
    assert done.returncode == 2
    for place in (
        "2:7: op",
        "2:19: size",
        "2:21: depth",
        "2:31: MB_per_s",
        "2:36: p99_us",
        "3:1: has 2 cells",
    ):
        assert place in done.stderr, place


def test_the_median_of_two_tails_lies_between_them(tmp_path: Path) -> None:
    measured = tmp_path / "configs" / "measured"
    measured.mkdir(parents=True)
    heading = "device,op,pattern,size,depth,threads,range,MB_per_s,p99_us,use,settings,note\n"
    rows = "".join(f"ufs40,read,random,4KiB,32,1,64GiB,450,{p99},checked,,\n" for p99 in (100, 300))
    (measured / "mine.csv").write_text(heading + rows)
    done = attempt(tmp_path, "device", "ufs40", "--validated")
    tails = re.search(r"median and all: ([\d.]+), ([\d.]+) to ([\d.]+)", done.stdout)
    median, least, most = map(float, tails.groups())
    assert most == pytest.approx(3 * least, rel=0.02)
    assert median == pytest.approx((least + most) / 2, abs=0.011)


def test_only_devices_and_phones_are_validated() -> None:
    assert attempt(ROOT, "codec", "--validated").returncode == 2
    assert attempt(ROOT, "phone", "roofline", "--validated").returncode == 2
    assert attempt(ROOT, "--validated").returncode == 2
    assert attempt(ROOT, "device", "no_such", "--validated").returncode == 2
