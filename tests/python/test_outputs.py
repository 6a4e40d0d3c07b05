"""What a command may write to, found out before it runs: a new name or a regular file that is no input."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT

Attempt = Callable[..., subprocess.CompletedProcess[str]]

PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))
CONFIG = f"""\
include:
  - part.yaml
  - {ROOT}/configs/devices/ufs40.yaml
  - {ROOT}/configs/models/qwen2.5-1.5b.yaml
  - {ROOT}/configs/systems/kmeans_contiguous_lru.yaml
trace: {{path: t.h5}}
run: {{steps: 2}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration with an included file, its trace, a file of fio's, and things that are no files."""
    (tmp_path / "part.yaml").write_text(f"include: {ROOT}/configs/phones/oneplus_12.yaml\n")
    (tmp_path / "c.yaml").write_text(CONFIG)
    shutil.copy(ROOT / "tests" / "data" / "fio" / "pixel4.json", tmp_path / "fio.json")
    sizes = ["--prompt", "64", "--steps", "4", "--head-dim", "8", "--clusters", "2"]
    subprocess.run([PROGRAM, "trace", "synth", tmp_path / "t.h5", *sizes], check=True)
    os.mkfifo(tmp_path / "pipe")
    if os.geteuid() == 0:
        os.mknod(tmp_path / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    (tmp_path / "folder").mkdir()
    (tmp_path / "hard").hardlink_to(tmp_path / "t.h5")
    (tmp_path / "soft").symlink_to("t.h5")
    (tmp_path / "circle").symlink_to("circle")
    return tmp_path


@pytest.fixture
def attempt(folder: Path) -> Attempt:
    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([PROGRAM, *arguments], check=False, cwd=folder, capture_output=True, text=True)

    return run


def contents(folder: Path) -> dict[str, bytes | int]:
    """Every name below `folder` with what it holds, or its kind where that is no file."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else path.lstat().st_mode
        for path in folder.rglob("*")
    }


COMMANDS = {
    "run": ["run", "c.yaml", "--quiet", "-o"],
    "timeline": ["run", "c.yaml", "--quiet", "--timeline"],
    "curve": ["device", "curve", f"{ROOT}/configs/devices/ufs40.yaml", "--quiet", "-o"],
    "fit": ["device", "fit", "fio.json", "--quiet", "-o"],
    "probe": ["device", "probe", "folder/p", "--quick", "--quiet", "--size-limit", "1MiB", "-o"],
    "synth": ["trace", "synth"],
    "bench": ["bench", "--only", "kernels", "--json"],
    "report": ["report", f"{ROOT}/tests/golden/systems.h5", "--quiet", "-o"],
}
KINDS = {
    "pipe": "is a pipe; allowed: a new name or a regular file",
    "device": "is a character device; allowed: a new name or a regular file",
    "folder": "is a folder; allowed: a new name or a regular file",
    "": "is empty; allowed: a new name or a regular file",
    "circle": "its symbolic links lead in a circle",
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("out", KINDS)
def test_an_output_is_a_new_name_or_a_regular_file(
    folder: Path, attempt: Attempt, command: str, out: str
) -> None:
    if out == "device" and os.geteuid() != 0:
        pytest.skip("device nodes can be made by root alone")
    before = contents(folder)
    done = attempt(*COMMANDS[command], out)
    assert done.returncode == 2, done.stderr
    assert KINDS[out] in done.stderr
    assert done.stdout == ""
    assert contents(folder) == before


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("out", ["nowhere/x.h5", "c.yaml/x.h5", f"{'n' * 240}.h5"])
def test_what_the_file_system_refuses_exits_3(folder: Path, attempt: Attempt, command: str, out: str) -> None:
    before = contents(folder)
    done = attempt(*COMMANDS[command], out)
    assert done.returncode == 3, done.stderr
    assert out in done.stderr
    assert contents(folder) == before


@pytest.mark.parametrize("option", ["-o", "--timeline"])
@pytest.mark.parametrize("out", ["c.yaml", "part.yaml", "t.h5", "hard", "soft", "folder/../t.h5"])
def test_a_run_overwrites_nothing_that_it_reads(
    folder: Path, attempt: Attempt, option: str, out: str
) -> None:
    before = contents(folder)
    done = attempt("run", "c.yaml", option, out)
    assert done.returncode == 2, done.stderr
    assert f"{out}: is an input (" in done.stderr
    assert contents(folder) == before


def test_a_fit_overwrites_nothing_that_it_reads(folder: Path, attempt: Attempt) -> None:
    (folder / "base.yaml").write_text(f"include: {ROOT}/configs/devices/ufs40.yaml\n")
    for out in ("fio.json", "base.yaml"):
        done = attempt("device", "fit", "fio.json", "--base", "base.yaml", "-o", out)
        assert (done.returncode, "is an input" in done.stderr) == (2, True), done.stderr


def test_a_curve_overwrites_nothing_that_it_reads(folder: Path, attempt: Attempt) -> None:
    (folder / "device.h5").write_text(f"include: {ROOT}/configs/devices/ufs40.yaml\n")
    (folder / "phone.h5").write_text(f"include: {ROOT}/configs/phones/oneplus_12.yaml\n")
    for out in ("device.h5", "phone.h5"):
        done = attempt("device", "curve", "./device.h5", "--phone", "./phone.h5", "-o", out)
        assert (done.returncode, "is an input" in done.stderr) == (2, True), done.stderr


def test_a_bench_overwrites_no_configuration_that_it_replays(folder: Path, attempt: Attempt) -> None:
    config = folder / "sources" / "configs" / "bench" / "sample.yaml"
    config.parent.mkdir(parents=True)
    config.write_text((folder / "c.yaml").read_text().replace("part.yaml", str(folder / "part.yaml")))
    done = attempt("bench", "--only", "replay", "--source", "sources", "--json", config)
    assert (done.returncode, "is an input" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("other", ["x", "./folder/../x", "link"])
def test_two_outputs_are_two_files(folder: Path, attempt: Attempt, other: str) -> None:
    (folder / "link").symlink_to("x")
    done = attempt("run", "c.yaml", "-o", "x", "--timeline", other)
    assert done.returncode == 2
    assert done.stderr == f"--timeline: {other}: is the file of --out too; allowed: one of its own\n"
    assert not (folder / "x").exists()


def test_what_is_measured_is_not_what_is_written(folder: Path, attempt: Attempt) -> None:
    done = attempt("device", "probe", "p", "--quick", "--size-limit", "1MiB", "-o", "p")
    assert (done.returncode, "is the file of" in done.stderr) == (2, True), done.stderr


def test_a_symbolic_link_stays_and_its_target_is_written(folder: Path, attempt: Attempt) -> None:
    for link, target in (("latest.h5", "folder/r.h5"), ("again.h5", "latest.h5")):
        (folder / link).symlink_to(target)
        done = attempt("run", "c.yaml", "--quiet", "-o", link)
        assert done.returncode == 0, done.stderr
        assert (folder / link).is_symlink()
        assert not (folder / "folder" / "r.h5").is_symlink()
        assert (folder / "folder" / "r.h5").stat().st_size > 0
        assert [path.name for path in (folder / "folder").iterdir()] == ["r.h5"]


def test_an_empty_file_and_an_older_result_are_replaced(folder: Path, attempt: Attempt) -> None:
    (folder / "r.h5").touch()
    for _ in range(2):
        assert attempt("run", "c.yaml", "--quiet", "-o", "r.h5").returncode == 0
        assert (folder / "r.h5").stat().st_size > 0


def test_every_wrong_output_is_told_with_what_else_is_wrong(folder: Path, attempt: Attempt) -> None:
    (folder / "c.yaml").write_text(CONFIG + "seed: 1\n")
    done = attempt(
        "run", "c.yaml", "-o", "pipe", "--timeline", "folder", "--timeline-steps", "x", "--together", "0"
    )
    assert done.returncode == 2
    for told in ("--out: pipe", "--timeline: folder", "--timeline-steps", "--together", "c.yaml:8:1: seed"):
        assert told in done.stderr


def test_a_timeline_of_steps_that_are_not_replayed_is_refused(folder: Path, attempt: Attempt) -> None:
    done = attempt("run", "c.yaml", "--timeline", "t.json", "--timeline-steps", "1-2")
    assert done.returncode == 2
    assert done.stderr == (
        "--timeline-steps: 1-2 goes past the end; 2 steps are replayed, allowed is 0 to 1\n"
    )
    assert not (folder / "t.json").exists()
    alone = attempt("run", "c.yaml", "--timeline-steps", "0-1")
    assert alone.returncode == 2
    assert "--timeline-steps: there is no timeline" in alone.stderr


def test_leavings_of_dead_processes_are_removed_and_no_others(folder: Path, attempt: Attempt) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    litter = folder / f"r.h5.partial-{dead.pid}"
    kept = [
        folder / f"r.h5.partial-{os.getpid()}",
        folder / f"s.h5.partial-{dead.pid}",
        folder / "r.h5.partial-x",
    ]
    for path in (litter, *kept):
        path.touch()
    assert attempt("run", "c.yaml", "--quiet", "-o", "r.h5").returncode == 0
    assert not litter.exists()
    assert all(path.exists() for path in kept)
