"""Runs the experiments of configs/paper/kvswap and prints their table; started by scripts/paper-kvswap."""

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from kvswap_paper import ROOT, table

PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))
CONFIGS = ROOT / "configs" / "paper" / "kvswap"
TRACES = ROOT / "results" / "paper" / "kvswap"  # where the configurations look for them
EXPERIMENTS = ("memory", "quality", "group_size", "reuse", "context", "reason", "throughput")
GEOMETRY = ("--layers", "1", "--first-layer", "2", "--kv-heads", "8", "--group", "4", "--head-dim", "128",
            "--clusters", "256")  # fmt: skip
GENERATED = 99  # of the last 100 tokens the first is the prompt's


def call(*arguments: str | Path) -> None:
    subprocess.run([PROGRAM, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def make_trace(name: str, tokens: int) -> None:
    """One layer of Llama-3.1-8B, and the directions of its keys."""
    trace, basis = TRACES / f"{name}.h5", TRACES / f"{name}.basis.h5"
    if not trace.exists():
        call("trace", "synth", trace, *GEOMETRY, "--prompt", tokens - GENERATED - 1, "--steps", GENERATED)
    if not basis.exists():
        call("calibrate", trace, "-o", basis, "--rank", 128)


def stamp_of(experiment: str, settings: list[str]) -> str:
    """All that the results depend on."""
    digest = hashlib.sha256(PROGRAM.read_bytes())
    for file in sorted(ROOT.glob("configs/**/*.yaml")):
        if file.parent != CONFIGS or file.stem in (experiment, "base"):
            digest.update(file.read_bytes())
    digest.update(repr(settings).encode())
    return digest.hexdigest()


def run(experiment: str, settings: list[str], out: Path) -> None:
    results, stamp = out / f"{experiment}.h5", out / f"{experiment}.stamp"
    wanted = stamp_of(experiment, settings)
    if results.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    sets = [word for setting in settings for word in ("--set", setting)]
    call("run", CONFIGS / f"{experiment}.yaml", "-o", results, *sets)
    stamp.write_text(wanted)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/paper-kvswap")
    parser.add_argument("--only", help="experiments, with commas between them")
    parser.add_argument("--steps", type=int, help="decode steps of each point; all by default")
    parser.add_argument(
        "--out", type=Path, default=TRACES, help="a folder for results; results/paper/kvswap by default"
    )
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else list(EXPERIMENTS)
    if unknown := set(chosen) - set(EXPERIMENTS):
        parser.error(
            f"--only: none is called {', '.join(sorted(unknown))}; allowed: {', '.join(EXPERIMENTS)}"
        )
    for folder in (TRACES, options.out):
        folder.mkdir(parents=True, exist_ok=True)
    make_trace("llama-32k", 32_768)
    make_trace("llama-16k", 16_384)
    settings = [f"run.steps={options.steps}"] if options.steps else []
    for experiment in chosen:
        print(f"{experiment} ...", file=sys.stderr, flush=True)
        run(experiment, settings, options.out)
    print(table(options.out))


if __name__ == "__main__":
    main()
