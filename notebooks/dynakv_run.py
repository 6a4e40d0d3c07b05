"""Runs the experiments of configs/paper/dynakv on one or more traces; started by scripts/paper-dynakv."""

import argparse
import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import NamedTuple

import h5py
import yaml
from dynakv_results import MODEL, ROOT

PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))
SAMPLE = ROOT / "traces" / "samples" / "smollm2.h5"
OUT = ROOT / "results" / "paper" / "dynakv"
EXPERIMENTS = Path("paper") / "dynakv"  # in a folder of configurations
RIG = "t6_rig"  # on traces that are not shipped; its results are
SOURCES = ("sim", "policies", "models", "traces")  # of the program, beside CMakeLists.txt
NOT_RUN = ("experiments", "measured", "digest", f"{RIG}.*", "*.md", "*.csv")  # of configs/
TOGETHER = 32  # points side by side: what does not depend on a policy is computed once for so many


def experiment_files(configs: Path) -> list[Path]:
    """What has a name is an experiment; the others are included by those."""
    files = sorted((configs / EXPERIMENTS).glob("*.yaml"))
    return [path for path in files if path.stem != RIG and "name" in yaml.safe_load(path.read_text())]


class Task(NamedTuple):
    """One experiment on one trace."""

    config: Path
    trace: Path
    out: Path
    settings: tuple[str, ...]

    @property
    def results(self) -> Path:
        return self.out / f"{self.config.stem}.h5"

    @property
    def stamp(self) -> Path:
        return self.out / f"{self.config.stem}.stamp.json"

    def cost(self) -> int:
        """In proportion to the time it takes: points, seeds aside, and tokens."""
        config = yaml.safe_load(self.config.read_text())
        swept = math.prod(len(values) for values in config.get("sweep", {}).values())
        zipped = max((len(values) for values in config.get("zip", {}).values()), default=1)
        return max(1, len(config.get("points", {}))) * swept * zipped * tokens_of(self.trace)

    def state(self) -> dict[str, object]:
        """All that the results depend on."""
        configs = self.config.parents[2]
        others = {path for path in experiment_files(configs) if path != self.config}
        texts = (path for path in configs.rglob("*.yaml") if path not in others)
        return {
            "settings": list(self.settings),
            "trace": digest([self.trace], self.trace.parent),
            "configurations": digest(texts, configs),
            "program": digest(sources(), ROOT),
        }

    def is_done(self) -> bool:
        if not (self.results.exists() and self.stamp.exists()):
            return False
        return json.loads(self.stamp.read_text()) == self.state()


def sources() -> list[Path]:
    found = [
        path for folder in SOURCES for path in (ROOT / folder).rglob("*") if path.suffix in (".cpp", ".hpp")
    ]
    return [ROOT / "CMakeLists.txt", *found]


def digest(files: Iterable[Path], root: Path) -> str:
    """Of names and contents."""
    hashed = hashlib.sha256()
    for path in sorted(files):
        hashed.update(f"{path.relative_to(root)}\0{path.stat().st_size}\0".encode())
        hashed.update(path.read_bytes())
    return hashed.hexdigest()


def tokens_of(trace: Path) -> int:
    with h5py.File(trace) as file:
        return int(file.attrs["seq_len"])


def scaled(text: str, factor: float) -> str:
    """A configuration with DRAM and caches, in KiB, so many times larger."""

    def larger(match: re.Match[str]) -> str:
        return re.sub(r"\d+(?=KiB)", lambda size: str(int(int(size[0]) * factor)), match[0])

    return re.sub(r"\b(?:capacity|dram): *(?:\[[^\]]*\]|\d+KiB)", larger, text)


def of_models(text: str, models: Sequence[str]) -> str:
    """A configuration without points of other models, which are named `MODEL / SYSTEM`."""
    config = yaml.safe_load(text)
    points = config.get("points", {})
    known = {path.stem for path in (ROOT / "configs" / "models").glob("*.yaml")}
    dropped = [name for name in points if " / " in name and name.split(" / ")[0] in known - set(models)]
    if not dropped:
        return text
    config["points"] = {name: point for name, point in points.items() if name not in dropped}
    return yaml.safe_dump(config, sort_keys=False)


def copy_configs(trace: Path, out: Path, models: Sequence[str] | None) -> Path:
    """The configurations as they are run on a trace, beside its results."""
    configs = out / "configs"
    shutil.rmtree(configs, ignore_errors=True)
    shutil.copytree(ROOT / "configs", configs, ignore=shutil.ignore_patterns(*NOT_RUN))
    factor = tokens_of(trace) / tokens_of(SAMPLE)
    if factor != 1:
        for folder in (configs / EXPERIMENTS, configs / "systems"):
            for path in folder.rglob("*.yaml"):
                path.write_text(scaled(path.read_text(), factor))
    if models:
        for path in experiment_files(configs):
            path.write_text(of_models(path.read_text(), models))
    return configs


def folder_of(trace: Path) -> Path:
    return OUT if trace == SAMPLE else OUT / trace.stem


def run(task: Task, stopped: Event) -> bool:
    """Whether the results are there; they appear whole or not at all."""
    name = f"{task.trace.stem} {task.config.stem}"
    if stopped.is_set():
        return False
    if task.is_done():
        say(f"{name}: is there")
        return True
    say(f"{name}: runs")
    began, state, partial = time.monotonic(), task.state(), task.out / f".{task.config.stem}.partial.h5"
    sets = [word for setting in (f"trace.path={task.trace}", *task.settings) for word in ("--set", setting)]
    command = [PROGRAM, "--quiet", "run", task.config, "-o", partial, "--together", str(TOGETHER), *sets]
    with open(task.out / f"{task.config.stem}.txt", "w") as printed:
        done = subprocess.run(
            command, check=False, cwd=ROOT, stdout=printed, stderr=subprocess.PIPE, text=True
        )
    if done.returncode != 0:
        stopped.set()
        say(f"{name}: exit {done.returncode}\n{done.stderr}")
        return False
    task.stamp.unlink(missing_ok=True)
    partial.replace(task.results)
    task.stamp.write_text(json.dumps(state, indent=1) + "\n")
    say(f"{name}: done in {time.monotonic() - began:.0f} s")
    return True


def run_all(tasks: Sequence[Task]) -> bool:
    """The longest first, one on each core; the first that fails is the last that starts."""
    stopped = Event()
    longest_first = sorted(tasks, key=Task.cost, reverse=True)
    with ThreadPoolExecutor(os.cpu_count()) as cores:
        try:
            return all(list(cores.map(lambda task: run(task, stopped), longest_first)))
        except KeyboardInterrupt:
            stopped.set()
            raise


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def show(folders: Sequence[Path]) -> None:
    """The notebook of every trace, and the tables over all."""
    for folder in folders:
        curve = [
            PROGRAM,
            "--quiet",
            "device",
            "curve",
            "ufs40",
            "--depth",
            "32",
            "-o",
            folder / "f3b_curve.h5",
        ]
        subprocess.run(curve, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        notebook = [
            Path(sys.executable).parent / "jupyter-execute",
            ROOT / "notebooks" / "dynakv_paper.ipynb",
        ]
        environment = os.environ | {"KVREPLAY_PAPER": str(folder)}
        subprocess.run([*notebook, "--output", folder / "dynakv_paper"], check=True, env=environment)
        say(f"{folder / 'dynakv_paper.ipynb'} holds the figures, {folder / 'comparison.csv'} the table")
    table = [sys.executable, ROOT / "notebooks" / "dynakv_table.py", *folders, "--into", OUT / "digest"]
    subprocess.run(table, check=True)
    say(f"{OUT / 'digest'} holds the tables over {len(folders)} traces")


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/paper-dynakv", description=__doc__)
    parser.add_argument(
        "traces", metavar="TRACE", type=Path, nargs="*", help="the shipped sample unless given"
    )
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], dest="settings")
    parser.add_argument("--models", metavar="MODEL,...", type=lambda text: text.split(","))
    parser.add_argument("--only", metavar="EXPERIMENT,...", type=lambda text: text.split(","))
    options = parser.parse_args(arguments)
    known = [path.stem for path in experiment_files(ROOT / "configs")]
    for trace in options.traces:
        if not trace.is_file():
            parser.error(f"there is no trace '{trace}'")
    if options.models and MODEL not in options.models:
        parser.error(f"--models: most figures are of {MODEL}, which has to be among them")
    if unknown := set(options.only or []) - set(known):
        parser.error(f"--only: no experiment {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return options


def main(arguments: Sequence[str]) -> int:
    options = parsed(arguments)
    traces = [trace.resolve() for trace in options.traces] or [SAMPLE]
    tasks = []
    for trace in traces:
        out = folder_of(trace)
        out.mkdir(parents=True, exist_ok=True)
        for config in experiment_files(copy_configs(trace, out, options.models)):
            if not options.only or config.stem in options.only:
                tasks.append(Task(config, trace, out, tuple(options.settings)))
    if not run_all(tasks):
        return 3
    if not options.only:
        show([folder_of(trace) for trace in traces])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
