"""What the workflow's configuration asks for, checked, and the commands that follow from it."""

import hashlib
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

KEYS = ("sweep", "set", "out", "shards", "processes", "program", "compare", "plot")


@dataclass(frozen=True)
class Plot:
    """A picture of two metrics, by a Python that has the package `kvreplay`."""

    x: str
    y: str
    python: str


@dataclass(frozen=True)
class Compare:
    """Results to hold the sweep's against, and options of `kvreplay compare`."""

    base: str
    options: str


@dataclass(frozen=True)
class Order:
    """A sweep in parts."""

    sweep: str
    sets: tuple[str, ...]
    out: str
    shards: int
    processes: int
    program: str
    compare: Compare | None
    plot: Plot | None

    @property
    def parts(self) -> str:
        """The folder of all that is kept of parts."""
        return f"{self.out}.parts"

    @property
    def names(self) -> list[str]:
        """Of the parts: 1of3. Another number of them has names, and so stores, of its own."""
        return [f"{shard}of{self.shards}" for shard in range(1, self.shards + 1)]

    def part(self, name: str) -> str:
        return f"{self.parts}/{name}.h5"

    def run(self, name: str) -> str:
        """The command of a part. Its store stays, so that a part that is run again takes what it has."""
        command = [self.program, "--quiet", "run", self.sweep, *self._set_options]
        command += ["--shard", name.replace("of", "/"), "-j", str(self.processes)]
        command += ["--store", f"{self.parts}/{name}.points", "-o", self.part(name)]
        return shlex.join(command)

    def merge(self, out: str, files: list[str]) -> str:
        return shlex.join([self.program, "result", "merge", *files, "-o", out])

    def compare_with(self, compare: Compare, report: str) -> str:
        files = [self.program, "compare", compare.base, self.out, "--markdown", report]
        return f"{shlex.join(files)} {compare.options}"

    @cached_property
    def resolved(self) -> str:
        """What `kvreplay explain` says of the sweep: key, value and where that stands, of every point."""
        command = [self.program, "explain", self.sweep, *self._set_options]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise ValueError(f"program: {self.program}: {error.strerror}") from None
        if done.returncode != 0:
            raise ValueError(done.stderr.strip())
        return done.stdout

    @property
    def points(self) -> int:
        return max(1, len(re.findall("^# ", self.resolved, re.MULTILINE)))

    @property
    def sha256(self) -> str:
        """Of the sweep with all that it includes: parts of another are not taken for its own."""
        return hashlib.sha256(self.resolved.encode()).hexdigest()

    @property
    def files(self) -> list[str]:
        """That values name: traces, and what else points read."""
        values = set(re.findall(r"^\S+ +(\S.*?)  +\S", self.resolved, re.MULTILINE))
        return sorted(value for value in values if Path(value).is_file())

    def check(self) -> None:
        """Raises ValueError where the sweep cannot be had, or not in so many parts."""
        if self.shards > self.points:
            raise ValueError(f"shards: {self.shards} of {self.points} points; allowed: 1 to {self.points}")

    @property
    def _set_options(self) -> list[str]:
        return [word for setting in self.sets for word in ("--set", setting)]


def read_order(config: Mapping[str, Any], name: str = "config") -> Order:
    """Raises ValueError with everything that is wrong with the configuration."""
    problems = [f"{key}: is no key; allowed: {', '.join(KEYS)}" for key in config if key not in KEYS]

    def text(of: Mapping[str, Any], key: str, path: str, default: str | None = None) -> str:
        value = of.get(key, default)
        if not isinstance(value, str) or (not value and default is None):
            problems.append(f"{path}: {value!r} is no text")
            return ""
        return value

    def count(key: str) -> int:
        value = config.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            problems.append(f"{key}: {value!r} is no whole number; allowed: 1 and more")
            return 1
        return value

    def section(key: str, *keys: str) -> Mapping[str, Any] | None:
        value = config.get(key)
        if value is None:
            return None
        if not isinstance(value, Mapping) or not set(value) <= set(keys):
            problems.append(f"{key}: {value!r} is none of null, {{{', '.join(keys)}}}")
            return None
        return value

    sets = config.get("set") or []
    if not isinstance(sets, list) or not all(isinstance(setting, str) for setting in sets):
        problems.append(f"set: {sets!r} is no list of KEY=VALUE")
        sets = []
    compare = section("compare", "base", "options")
    plot = section("plot", "x", "y", "python")
    order = Order(
        sweep=text(config, "sweep", "sweep"),
        sets=tuple(sets),
        out=text(config, "out", "out"),
        shards=count("shards"),
        processes=count("processes"),
        program=text(config, "program", "program"),
        compare=compare
        and Compare(text(compare, "base", "compare.base"), text(compare, "options", "compare.options", "")),
        plot=plot
        and Plot(
            text(plot, "x", "plot.x"),
            text(plot, "y", "plot.y"),
            text(plot, "python", "plot.python", ".venv/bin/python"),
        ),
    )
    if problems:
        raise ValueError("\n".join(f"{name}: {problem}" for problem in problems))
    return order
