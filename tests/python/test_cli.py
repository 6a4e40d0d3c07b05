"""The command line: what is listed and explained, where it goes, and the exit codes."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from conftest import DEMO, ROOT

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def attempt() -> Run:
    """Runs the program whatever comes of it."""
    program = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], check=False, cwd=ROOT, capture_output=True, text=True)

    return run


@pytest.mark.parametrize("command", ["run", "list", "explain", "schema", "trace", "bench"])
def test_every_command_explains_itself(kvreplay: Run, command: str) -> None:
    assert command in kvreplay("--help").stdout
    assert kvreplay(command, "--help").stdout.strip()


def test_the_version_is_told(kvreplay: Run) -> None:
    assert kvreplay("--version").stdout.startswith("kvreplay ")


def test_list_goes_from_kinds_to_parameters(kvreplay: Run) -> None:
    assert "clustering" in kvreplay("list").stdout
    assert "kmeans" in kvreplay("list", "clustering").stdout
    assert "iterations" in kvreplay("list", "clustering", "kmeans").stdout
    assert "| iterations | integer |" in kvreplay("list", "--markdown").stdout


def test_explain_says_where_a_value_came_from(kvreplay: Run) -> None:
    shown = kvreplay("explain", DEMO, "run.seed", "--set", "run.seed=9").stdout
    assert "run.seed  9  --set run.seed" in shown
    assert "default" in kvreplay("explain", DEMO, "run.first_step").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no command is given; see 'kvreplay --help'"),
        (["lst"], "no such command (lst); did you mean 'list'? allowed: "),
        (["list", "scorr"], "no such kind (scorr); did you mean 'scorer'? allowed: "),
        (["list", "--markdwn"], "kvreplay list: unrecognised option '--markdwn'; see 'kvreplay list --help'"),
        (["run", str(DEMO), "--together", "0"], "--together: 0 is too few; allowed is 1 and more"),
        (["explain"], "kvreplay explain: no configuration is given; see 'kvreplay explain --help'"),
        (["explain", "nowhere.yaml"], "nowhere.yaml: no such file (nowhere.yaml)"),
        (["explain", str(DEMO), "run.sed"], "no such key (run.sed); did you mean 'run.seed'? allowed: "),
    ],
)
def test_wrong_usage_exits_2_and_says_why_on_stderr(attempt: Run, arguments: list[str], message: str) -> None:
    done = attempt(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(message)


def test_a_wrong_configuration_exits_2_with_every_error(attempt: Run, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(f"include: {DEMO}\nrun:\n  threads: 0\n  sed: 1\n")
    lines = attempt("run", config).stderr.splitlines()
    assert len(lines) == 2
    assert lines[0] == f"{config}:3:3: run.threads: is out of range (0); allowed: an integer, 1 to 256"
    assert lines[1].startswith(f"{config}:4:3: run.sed: unknown key (sed); did you mean 'seed'? ")


def test_a_full_output_exits_3() -> None:
    program = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))
    with open("/dev/full", "w") as full:
        done = subprocess.run([program, "list"], check=False, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3
    assert done.stderr == "the standard output cannot be written: No space left on device\n"


def test_points_side_by_side_give_the_results_they_give_one_by_one(kvreplay: Run, tmp_path: Path) -> None:
    simulated = {}
    for together in ("1", "2", "3"):
        out = tmp_path / f"{together}.h5"
        kvreplay("run", DEMO, "-o", out, "--together", together, "--set", "run.steps=5")
        with h5py.File(out) as results:
            simulated[together] = {
                name: data[()].tobytes()
                for name, data in results.items()
                if isinstance(data, h5py.Dataset) and data.dtype.kind == "f"
            }
    assert simulated["1"]
    assert simulated["1"] == simulated["2"] == simulated["3"]


def test_only_what_was_measured_is_validated(attempt: Run) -> None:
    done = attempt("list", "codec", "--validated")
    assert done.returncode == 2
    assert "--validated: is of devices and phones (codec); allowed: kvreplay list device" in done.stderr
