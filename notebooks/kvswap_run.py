"""Runs the experiments of configs/paper/kvswap and prints their table; started by scripts/paper-kvswap."""

import argparse
import sys
from pathlib import Path

from kvswap_paper import table
from paper_run import ROOT, call, run

CONFIGS = ROOT / "configs" / "paper" / "kvswap"
TRACES = ROOT / "results" / "paper" / "kvswap"  # where the configurations look for them
SAMPLE = ROOT / "traces" / "samples" / "smollm2.h5"
EXPERIMENTS = ("memory", "quality", "group_size", "reuse", "context", "reason", "throughput")
GEOMETRY = ("--layers", "1", "--first-layer", "2", "--kv-heads", "8", "--group", "4", "--head-dim", "128",
            "--clusters", "256")  # fmt: skip
GENERATED = 99  # of the last 100 tokens the first is the prompt's


def make_trace(name: str, tokens: int) -> None:
    """One layer of Llama-3.1-8B, and the directions of its keys."""
    trace, basis = TRACES / f"{name}.h5", TRACES / f"{name}.basis.h5"
    if not trace.exists():
        call("trace", "synth", trace, *GEOMETRY, "--prompt", tokens - GENERATED - 1, "--steps", GENERATED)
    if not basis.exists() or basis.stat().st_mtime_ns < trace.stat().st_mtime_ns:
        call("calibrate", trace, "-o", basis, "--rank", 128)


def count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= GENERATED):
        raise argparse.ArgumentTypeError(f"is no number of steps ({text}); allowed: 1 to {GENERATED}")
    return int(text)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/paper-kvswap")
    parser.add_argument("--only", help="experiments, with commas between them")
    parser.add_argument("--steps", type=count, help="decode steps of each point; all by default")
    parser.add_argument(
        "--out", type=Path, default=TRACES, help="a folder for results; results/paper/kvswap by default"
    )
    options = parser.parse_args()
    chosen = list(EXPERIMENTS) if options.only is None else options.only.split(",")
    if unknown := set(chosen) - set(EXPERIMENTS):
        named = ", ".join(map(repr, sorted(unknown)))
        parser.error(f"--only: none is called {named}; allowed: {', '.join(EXPERIMENTS)}")
    if options.out.exists() and not options.out.is_dir():
        parser.error(f"--out: is no folder ({options.out})")
    for folder in (TRACES, options.out):
        folder.mkdir(parents=True, exist_ok=True)
    make_trace("llama-32k", 32_768)
    make_trace("llama-16k", 16_384)
    settings = [f"run.steps={options.steps}"] if options.steps else []
    inputs = [SAMPLE, *sorted(TRACES.glob("llama-*k*.h5"))]
    for experiment in chosen:
        print(f"{experiment} ...", file=sys.stderr, flush=True)
        run(CONFIGS / f"{experiment}.yaml", options.out / f"{experiment}.h5", settings, inputs)
    print(table(options.out, chosen))


if __name__ == "__main__":
    main()
