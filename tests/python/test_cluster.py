"""The workflow of configs/cluster, on this machine and on a Slurm of its own: the same results as of one
undivided run, nothing replayed twice whatever ends a job, and what fails is told."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest
from conftest import ROOT
from own_slurm import OwnSlurm, own_slurm, why_not
from sweep_data import is_complete, simulated

SNAKEMAKE = ROOT / ".venv-cluster" / "bin" / "snakemake"
FOLDER = ROOT / "configs" / "cluster"
BASE = f"""
include:
  - {ROOT}/configs/phones/oneplus_12.yaml
  - {ROOT}/configs/devices/ufs40.yaml
  - {ROOT}/configs/models/qwen2.5-1.5b.yaml
  - {ROOT}/configs/systems/kmeans_contiguous_lru.yaml
trace: {{path: {ROOT}/traces/samples/smollm2.h5}}
run: {{threads: 1, steps: 12}}
"""
SWEEP = BASE + "sweep:\n  system.stages.0.budget.share: [0.05, 0.1, 0.2]\n  run.seed: [1, 2]\n"
LONG = (
    BASE.replace("steps: 12", "steps: 150")
    + "sweep:\n  system.stages.0.budget.share: [0.05, 0.1, 0.15, 0.2]\n  run.seed: [1, 2, 3, 4, 5, 6, 7, 8]\n"
)
# What the second point may take is not enough, which only its replay finds out.
FAILING = BASE + "points:\n  a: {}\n  b: {system: {dram: 700kB}}\n  c: {run: {seed: 3}}\n"
# Asked often, and of the controller: there is no accounting.
ASKED = (
    "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1",
    "--seconds-between-status-checks", "1", "--slurm-no-account",
)  # fmt: skip


def refuse_to_skip(reason: str) -> None:
    """Where the project's own checks run, what they need is set up; elsewhere it may be missing."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module", autouse=True)
def snakemake() -> None:
    if not SNAKEMAKE.exists():
        refuse_to_skip(".venv-cluster is not there; scripts/setup --cluster makes it")


@pytest.fixture(scope="module")
def slurm() -> Iterator[OwnSlurm]:
    if reason := why_not():
        refuse_to_skip(reason)
    with own_slurm() as own:
        yield own


class Workflow:
    """One in a folder, which Snakemake is started in."""

    def __init__(self, folder: Path, program: Path, sweep: str, shards: int = 3) -> None:
        self.folder = folder
        self.out = folder / "results" / "r.h5"
        self.parts = folder / "results" / "r.h5.parts"
        (folder / "sweep.yaml").write_text(sweep)
        self.program = program
        self._settings = (
            f"sweep={folder}/sweep.yaml", "out=results/r.h5", f"shards={shards}", f"program={program}",
        )  # fmt: skip

    def command(self, profile: str, *more: str, settings: tuple[str, ...] | None = None) -> list[str | Path]:
        settings = self._settings if settings is None else settings
        options = ASKED if profile == "slurm" else ("--cores", "2")
        return [
            SNAKEMAKE, "--snakefile", FOLDER / "Snakefile", "--profile", FOLDER / "profiles" / profile,
            *options, *more, *(("--config", *settings) if settings else ()),
        ]  # fmt: skip

    def run(
        self,
        profile: str,
        *more: str,
        environment: dict[str, str] | None = None,
        settings: tuple[str, ...] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(profile, *more, settings=settings), capture_output=True, text=True, check=False,
            cwd=self.folder, env=environment, timeout=300,
        )  # fmt: skip

    def start(self, profile: str, environment: dict[str, str] | None) -> subprocess.Popen[str]:
        log = (self.folder / "snakemake.log").open("w")
        return subprocess.Popen(
            self.command(profile), stdout=log, stderr=log, text=True, cwd=self.folder, env=environment
        )

    def records(self) -> dict[Path, int]:
        """When each finished point was written, nanoseconds; not what a killed process left half-written."""
        return {path: path.stat().st_mtime_ns for path in self.parts.glob(f"*.points/??/{'?' * 62}")}

    def finished(self, part: str) -> int:
        """Points of a part."""
        return len([path for path in self.records() if path.parts[-3] == f"{part}.points"])

    def log(self, part: str) -> str:
        return (self.parts / f"{part}.log").read_text()


@pytest.fixture
def workflow(tmp_path: Path, program_path: Path) -> Workflow:
    return Workflow(tmp_path, program_path, SWEEP)


@pytest.fixture(scope="module")
def undivided(kvreplay, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undivided")
    (folder / "sweep.yaml").write_text(SWEEP)
    kvreplay("run", folder / "sweep.yaml", "-o", folder / "r.h5")
    return folder / "r.h5"


def test_on_this_machine_the_parts_are_the_whole(workflow: Workflow, undivided: Path) -> None:
    done = workflow.run("local")
    assert done.returncode == 0, done.stderr
    assert is_complete(workflow.out)
    assert simulated(workflow.out) == simulated(undivided)
    again = workflow.run("local")
    assert "Nothing to be done" in again.stderr
    more = workflow.folder / "more.yaml"
    more.write_text(
        f"compare: {{base: {undivided}, options: --exact}}\n"
        f"plot: {{x: latency_p50, y: recall_mean, python: {sys.executable}}}\n"
    )
    done = workflow.run("local", "--configfile", str(more))
    assert done.returncode == 0, done.stderr
    assert "rule shard" not in done.stderr
    assert "regression" in workflow.out.with_suffix(".compare.md").read_text()
    assert workflow.out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_on_slurm_the_parts_are_the_whole(workflow: Workflow, undivided: Path, slurm: OwnSlurm) -> None:
    before = len(slurm.states())
    done = workflow.run("slurm", environment=slurm.environment)
    assert done.returncode == 0, done.stderr
    assert slurm.states()[before:] == ["COMPLETED"] * 3
    assert is_complete(workflow.out)
    assert simulated(workflow.out) == simulated(undivided)


def wait_for_records(workflow: Workflow, process: subprocess.Popen[str], part: str) -> None:
    """Until a part has finished some of its points."""
    while not workflow.finished(part):
        assert process.poll() is None, (workflow.folder / "snakemake.log").read_text()
        time.sleep(0.02)


def goes_on(workflow: Workflow, profile: str, environment: dict[str, str] | None, part: str) -> None:
    """After one part was ended in the middle: what is finished is not replayed again, and the rest is."""
    assert not workflow.out.exists()
    kept = workflow.records()
    before = workflow.finished(part)
    assert 0 < before < 16
    done = workflow.run(profile, environment=environment)
    assert done.returncode == 0, done.stderr
    assert f"{before} of 16 points were finished before" in workflow.log(part)
    after = workflow.records()
    assert len(after) == 32 and kept.items() <= after.items()
    assert is_complete(workflow.out)


def test_a_job_that_is_cancelled_goes_on_where_it_was(
    tmp_path: Path, program_path: Path, slurm: OwnSlurm
) -> None:
    workflow = Workflow(tmp_path, program_path, LONG, shards=2)
    process = workflow.start("slurm", slurm.environment)
    wait_for_records(workflow, process, "1of2")
    running = slurm.ask("squeue", "-h", "--states=R", "-o", "%i %k")
    (job,) = re.findall(r"^(\d+) .*1of2", running, re.MULTILINE)
    slurm.ask("scancel", job)
    assert process.wait(300) != 0
    goes_on(workflow, "slurm", slurm.environment, "1of2")


def process_of(*words: str) -> int:
    """The process that has these words among its own."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if set(words) <= set((folder / "cmdline").read_text().split("\0")):
                return int(folder.name)
    raise AssertionError(f"no process has {words}")


def test_a_process_that_is_killed_here_goes_on_where_it_was(tmp_path: Path, program_path: Path) -> None:
    workflow = Workflow(tmp_path, program_path, LONG, shards=2)
    process = workflow.start("local", None)
    wait_for_records(workflow, process, "2of2")
    os.kill(process_of(str(program_path), "2/2", str(workflow.folder / "sweep.yaml")), signal.SIGKILL)
    assert process.wait(300) != 0
    assert (workflow.parts / "1of2.done").exists()
    goes_on(workflow, "local", None, "2of2")


def test_a_point_that_fails_is_told_and_stops_no_other(tmp_path: Path, program_path: Path) -> None:
    workflow = Workflow(tmp_path, program_path, FAILING)
    failed = workflow.run("local")
    assert failed.returncode == 1
    assert re.search(
        r"^b: .*system\.dram: 684KiB are less than what must be in DRAM", failed.stderr, re.MULTILINE
    ), failed.stderr
    assert not workflow.out.exists()
    assert sorted(path.name for path in workflow.parts.glob("*.done")) == ["1of3.done", "3of3.done"]
    assert workflow.run("local", "finished").returncode == 0
    with h5py.File(workflow.out.with_suffix(".finished.h5")) as finished:
        assert list(finished["point"].asstr()) == ["a", "c"]
        assert not finished.attrs["complete"]


def test_all_that_is_wrong_is_told_before_anything_runs(workflow: Workflow) -> None:
    wrong = workflow.folder / "wrong.yaml"
    wrong.write_text("sharts: 3\nshards: 0\nset: x\ncompare: {bas: r.h5}\nplot: {x: recall_mean}\n")
    told = workflow.run("local", "--configfile", str(wrong), settings=()).stderr
    for problem in (
        "config: sharts: is no key; allowed: sweep, set, out, shards,",
        "config: shards: 0 is no whole number; allowed: 1 and more",
        "config: set: 'x' is no list of KEY=VALUE",
        "config: compare: {'bas': 'r.h5'} is none of null, {base, options}",
        "config: plot.y: None is no text",
    ):
        assert problem in told
    told = workflow.run(
        "local", settings=("sweep=sweep.yaml", "shards=7", f"program={workflow.program}")
    ).stderr
    assert "shards: 7 of 6 points; allowed: 1 to 6" in told
    told = workflow.run("local", settings=("sweep=sweep.yaml", "program=nowhere")).stderr
    assert "program: nowhere: No such file or directory" in told
    (workflow.folder / "sweep.yaml").write_text(SWEEP.replace("steps", "stebs"))
    assert "run.stebs: " in workflow.run("local").stderr
    assert not workflow.parts.exists()
