"""Runs the program kvreplay."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from .errors import Error

AnyPath = str | os.PathLike[str]
Tolerances = Mapping[str, float | str]
IN_TREE = Path(__file__).resolve().parents[2] / "build" / "release" / "kvreplay"
COLUMNS = (
    "point",
    "summary",
    "unit",
    "verdict",
    "base",
    "new",
    "difference",
    "half_width",
    "base_seeds",
    "new_seeds",
    "first",
)


@dataclass(frozen=True)
class Comparison:
    """What `kvreplay compare` says of two results; docs/compare.md tells what the words mean."""

    regression: bool
    moved: pd.DataFrame = field(repr=False)
    """A row for each point and summary that is not the same, with the columns `point`, `summary`, `unit`,
    `verdict`, `base`, `new`, `difference` (new - base), `half_width` of its 95 % interval (of several seeds),
    `base_seeds`, `new_seeds` and `first`, the first difference in the steps."""
    report: dict[str, Any] = field(repr=False)
    """All of `--json`: also what is the same, what moved in steps alone, what one file lacks, and the keys of
    the configurations that differ."""


def run(config: AnyPath, out: AnyPath, sets: Mapping[str, Any] | None = None, jobs: int = 1) -> Path:
    """Replays every point of a configuration, `jobs` at a time, into the results file `out`; returns that.

    `sets` is laid over the configuration, by dotted key: {"run.steps": 32, "device.heat": "hot"}. A text is
    taken as written, other values as JSON. What was interrupted goes on from there when called again.

    Raises Error with what the program says, where it does not succeed or is not found.
    """
    words = [word for key, value in (sets or {}).items() for word in ("--set", f"{key}={_written(value)}")]
    done = _call("run", os.fspath(config), "--out", os.fspath(out), "--jobs", str(jobs), *words)
    if done.returncode != 0:
        raise Error(_message(done))
    return Path(out)


def compare(
    base: AnyPath,
    new: AnyPath,
    rules: AnyPath | Sequence[Mapping[str, Any]] | None = None,
    *,
    max_drop: Tolerances | None = None,
    max_growth: Tolerances | None = None,
    exact: bool = False,
    partial: bool = False,
    host: bool = False,
    any_trace: bool = False,
    any_configuration: bool = False,
) -> Comparison:
    """Compares two results files.

    `rules` is a YAML file, or its content, [{"metric": "recall", "max_drop": 0.005}]. `max_drop` and
    `max_growth` give tolerances by name, family or pattern, {"latency": "2%"}, and come after the rules. The
    others are the options of the program (docs/compare.md).

    Raises Error with what the program says where it cannot compare, as of another trace.
    """
    words = [
        f"--{name.replace('_', '-')}"
        for name, is_set in (
            ("exact", exact),
            ("partial", partial),
            ("host", host),
            ("any_trace", any_trace),
            ("any_configuration", any_configuration),
        )
        if is_set
    ]
    for option, tolerances in (("--max-drop", max_drop), ("--max-growth", max_growth)):
        words += [
            word for name, amount in (tolerances or {}).items() for word in (option, f"{name}={amount}")
        ]
    with _rules_file(rules) as file:
        words += ["--rules", file] if file else []
        done = _call("compare", os.fspath(base), os.fspath(new), "--json", "-", *words)
    if done.returncode not in (0, 1):
        raise Error(_message(done))
    report = json.loads(done.stdout)
    moved = [row for row in report["summaries"] if row["verdict"] != "same"]
    return Comparison(done.returncode == 1, pd.DataFrame(moved, columns=list(COLUMNS)), report)


def command(*words: AnyPath) -> str:
    """Runs any command of the program and returns what it prints:
    `command("device", "curve", "ufs40", "--json")`.

    Raises Error with what the program says, where it does not succeed or is not found.
    """
    done = _call(*map(os.fspath, words))
    if done.returncode != 0:
        raise Error(_message(done))
    return done.stdout


def program() -> Path:
    """The program: what the environment variable KVREPLAY names, else `kvreplay` on PATH, else the release
    build of the tree that this package lies in. Raises Error where there is none."""
    named = os.environ.get("KVREPLAY")
    if named:
        if not Path(named).is_file():
            raise Error(f"KVREPLAY is {named}: no such file")
        return Path(named)
    on_path = shutil.which("kvreplay")
    if on_path:
        return Path(on_path)
    if IN_TREE.is_file():
        return IN_TREE
    raise Error("the program kvreplay is not found; set KVREPLAY to it, add its folder to PATH, or build it")


def _call(*words: str) -> subprocess.CompletedProcess[str]:
    command = [str(program()), "--quiet", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")


def _message(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.strip() or f"kvreplay ended with {done.returncode} and said nothing"


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@contextmanager
def _rules_file(rules: AnyPath | Sequence[Mapping[str, Any]] | None) -> Iterator[str | None]:
    """A file that has the rules, which are YAML as JSON is."""
    if rules is None or isinstance(rules, str | os.PathLike):
        yield None if rules is None else os.fspath(rules)
        return
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(rules, file)
        file.flush()
        yield file.name
