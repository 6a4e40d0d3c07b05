"""The command line: what is listed and explained, where it goes, and the exit codes."""

import json
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


# Every command with words that it takes, and an option of it that takes a value; "": it has none such.
COMMANDS = {
    "run": (["c.yaml"], "--together"),
    "list": (["scorer", "centroid"], ""),
    "explain": (["c.yaml", "run.seed"], "--set"),
    "schema": ([], ""),
    "compare": (["a.h5", "b.h5"], "--rules"),
    "report": (["r.h5"], "--timeline"),
    "inspect": (["r.h5"], "--step"),
    "result show": (["r.h5"], "--point"),
    "result export": (["r.h5"], "--csv"),
    "result merge": (["r.h5", "-o", "m.h5"], ""),
    "trace info": (["t.h5"], ""),
    "trace validate": (["t.h5"], ""),
    "trace synth": (["t.h5"], "--clusters"),
    "trace head": (["t.h5"], "--begin"),
    "trace stats": (["t.h5"], "--threads"),
    "device curve": (["ufs40"], "--phone"),
    "device fit": (["fio.json"], "--holdout"),
    "device probe": (["file"], "--engine"),
    "bench": ([], "--only"),
    "calibrate": (["t.h5", "-o", "b.h5"], "--rank"),
}
WITH_VALUES = [command for command, (_, option) in COMMANDS.items() if option]
# May be repeated.
LISTS = ("--set", "--only")


def refusals(attempt: Run, command: str, *words: str) -> list[str]:
    """What the program says of wrong words, all of which must name the command."""
    done = attempt(*command.split(), *words)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    lines = done.stderr.splitlines()
    assert all(line.startswith(f"kvreplay {command}: ") for line in lines), lines
    return [line.removeprefix(f"kvreplay {command}: ") for line in lines]


def test_no_command_is_missed(kvreplay: Run) -> None:
    def names(*group: str) -> list[str]:
        commands = kvreplay(*group, "--help").stdout.split("\n\n")[1]
        return [line.split()[0] for line in commands.splitlines()]

    groups = ("result", "trace", "device")
    found = [name for name in names() if name not in groups]
    found += [f"{group} {name}" for group in groups for name in names(group)]
    assert sorted(found) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(kvreplay: Run, command: str) -> None:
    for options in (["--help"], ["-h"], [*COMMANDS[command][0], "--help"]):
        assert kvreplay(*command.split(), *options).stdout.startswith(f"usage: kvreplay {command} ")


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_is_not_guessed_from_its_beginning(attempt: Run, command: str) -> None:
    words, option = COMMANDS[command]
    option = option or "--help"
    (line,) = refusals(attempt, command, *words, option[:-1])
    assert line.startswith(f"unknown option ({option[:-1]}); did you mean '{option}'? allowed: --help")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_unknown_option_is_named(attempt: Run, command: str) -> None:
    lines = refusals(attempt, command, "--frobnicate", *COMMANDS[command][0], "-x", "--gargle=3", "4")
    assert [line.split(";")[0] for line in lines] == [
        f"unknown option ({word})" for word in ("--frobnicate", "-x", "--gargle")
    ]
    assert all("; allowed: --help" in line for line in lines)


@pytest.mark.parametrize("command", WITH_VALUES)
def test_a_value_that_is_missing_is_asked_for(attempt: Run, command: str) -> None:
    words, option = COMMANDS[command]
    for given in ([*words, option], [option, "--", *words]):
        assert refusals(attempt, command, *given) == [
            f"{option}: has no value; see 'kvreplay {command} --help'"
        ]


@pytest.mark.parametrize("command", WITH_VALUES)
def test_an_option_is_given_once_unless_it_is_a_list(attempt: Run, command: str) -> None:
    words, option = COMMANDS[command]
    again = [option, "1", f"{option}=2", option, "3"]
    expected = [] if option in LISTS else [f"{option}: is given twice; allowed: once"]
    assert refusals(attempt, command, *words, *again, "--frobnicate")[:-1] == expected


@pytest.mark.parametrize(
    "command", [one for one in COMMANDS if one not in ("device fit", "calibrate", "result merge")]
)
def test_an_argument_too_many_is_refused(attempt: Run, command: str) -> None:
    words = COMMANDS[command][0]
    lines = refusals(attempt, command, *words, "more", "--", "--still")
    usage = lines[0].split("; ")[1]
    assert usage.startswith(f"usage: kvreplay {command}")
    assert lines == [f"unexpected argument ({word}); {usage}" for word in ("more", "--still")]


@pytest.mark.parametrize("command", [one for one, (words, _) in COMMANDS.items() if words and one != "list"])
def test_an_argument_that_is_missing_is_asked_for(attempt: Run, command: str) -> None:
    lines = refusals(attempt, command)
    assert len(lines) == (2 if command == "compare" else 1)
    for line in lines:
        assert line.startswith("no ") and line.endswith(f" is given; see 'kvreplay {command} --help'")


def test_everything_that_is_wrong_is_told_at_once(attempt: Run) -> None:
    assert refusals(attempt, "trace stats", "--json=3", "--steps", "x", "--seed", "--threads", "2.5") == [
        "--json: takes no value (3); see 'kvreplay trace stats --help'",
        "--steps: is not an integer (x); see 'kvreplay trace stats --help'",
        "--seed: has no value; see 'kvreplay trace stats --help'",
        "--threads: is not an integer (2.5); see 'kvreplay trace stats --help'",
        "no trace is given; see 'kvreplay trace stats --help'",
    ]
    assert refusals(attempt, "run", "-o", "--set", "a=b", "--timeline=a", "--timeline=b", "--tog", "1") == [
        "--out: has no value; see 'kvreplay run --help'",
        "--timeline: is given twice; allowed: once",
        "unknown option (--tog); did you mean '--together'? allowed: --help, --set, --out, --jobs, "
        "--shard, --store, --force, --json, --timeline, --timeline-steps, --together",
    ]


@pytest.mark.parametrize("words", [["-o", "r.h5"], ["-or.h5"], ["--out", "r.h5"], ["--out=r.h5"]])
def test_a_value_may_stand_in_four_ways(attempt: Run, words: list[str]) -> None:
    assert attempt("run", "nowhere.yaml", *words).stderr == "nowhere.yaml: no such file (nowhere.yaml)\n"


def test_a_bench_is_written_as_json(kvreplay: Run, tmp_path: Path) -> None:
    kvreplay("bench", "--only", "devices", "--json", tmp_path / "bench.json")
    written = json.loads((tmp_path / "bench.json").read_text())
    assert list(written) == ["context", "replays", "start_up", "devices", "kernels"]
    assert written["context"]["compiler"]
    assert {device["name"] for device in written["devices"]}
    assert all(device["cpu"]["median_s"] > 0 for device in written["devices"])


def test_a_bench_holds_sweeps_against_their_points(kvreplay: Run, attempt: Run, tmp_path: Path) -> None:
    told = kvreplay("bench", "--only", "sweep", "--brief", "--json", tmp_path / "bench.json").stdout
    sweep = json.loads((tmp_path / "bench.json").read_text())["sweep"]
    runs = [sweep[name] for name in ("usual", "two_jobs", "one_by_one", "unwritten")]
    assert [(run["points"], run["steps"]) for run in runs] == [(25, 4)] * 4
    assert [(run["points"], run["steps"]) for run in sweep["growing"]] == [(25, 2), (50, 2), (75, 2)]
    assert all(run["cpu"]["median_s"] > 0 and run["wall"]["median_s"] > 0 for run in runs)
    without = sweep["own_cpu"]["median_s"] + sweep["exact_pass_cpu"]["median_s"]
    assert sweep["overhead"] == pytest.approx(sweep["usual"]["cpu"]["median_s"] / without)
    assert sweep["overhead_met"] == (sweep["overhead"] <= 1.2)
    speedup = sweep["usual"]["wall"]["median_s"] / sweep["two_jobs"]["wall"]["median_s"]
    assert sweep["speedup_of_two_jobs"] == pytest.approx(speedup)
    for number in ("overhead", "speedup_of_two_jobs", "growth_per_point"):
        assert f" {sweep[number]:.3g} x" in told
    refused = attempt("bench", "--only", "devices", "--brief")
    assert (refused.returncode, "--brief: is of the section sweep" in refused.stderr) == (2, True)


def test_the_version_is_told(kvreplay: Run) -> None:
    assert kvreplay("--version").stdout.startswith("kvreplay ")


def test_list_goes_from_kinds_to_parameters(kvreplay: Run) -> None:
    kinds = kvreplay("list").stdout
    assert "clustering" in kinds and "kvreplay list systems [NAME]" in kinds
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
        ([], "kvreplay: no command is given; see 'kvreplay --help'"),
        (["lst"], "kvreplay: no such command (lst); did you mean 'list'? allowed: "),
        (["list", "scorr"], "no such kind (scorr); did you mean 'scorer'? allowed: "),
        (["list", "sytems"], "no such kind (sytems); did you mean 'systems'? allowed: "),
        (["--versoin"], "kvreplay: unknown option (--versoin); did you mean '--version'? allowed: --help, "),
        (
            ["device", "--hel"],
            "kvreplay device: unknown option (--hel); did you mean '--help'? allowed: --help",
        ),
        (["--quiet", "list", "--quiet"], "kvreplay: --quiet: is given twice; allowed: once"),
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
