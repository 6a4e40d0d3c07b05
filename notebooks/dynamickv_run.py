"""Runs the experiments of configs/paper/dynamickv and prints the tables; started by scripts/paper-dynamickv.

Budgets are of a head and the same shares of every trace's prompt. A trace has some of the model's layers, and
over those PyramidKV's mean is not the one asked for: what to ask for is found by replaying one step.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import h5py
from dynamickv_paper import SHARES, budgets_of, curves, page
from paper_run import ROOT, call, run

CONFIGS = ROOT / "configs" / "paper" / "dynamickv"
SAMPLE = ROOT / "traces" / "samples" / "smollm2.h5"
OUT = ROOT / "results" / "paper" / "dynamickv"
STEPS = 128  # of an answer
WINDOW = 8  # queries that rank, in DynamicKV's runs
SINKS = 4  # of StreamingLLM
PROBES = 4  # the first is off by some entries, the others by one or two

Zip = dict[str, list[int]]  # values of settings, one for each budget [entries of a head]


def windows(budgets: Sequence[int]) -> list[int]:
    """As many recent entries as have their queries asked; no more than half of what is kept."""
    return [min(WINDOW, budget // 2) for budget in budgets]


def of_window(budgets: Sequence[int], kept: Sequence[int]) -> Zip:
    """`kept` entries besides the window: where all layers get as many, those that the budget leaves."""
    window = windows(budgets)
    return {
        "system.stages.0.budget.entries": list(kept),
        "system.stages.0.pins.recent": window,
        "system.stages.0.scorer.window": window,
    }


def besides_window(budgets: Sequence[int]) -> list[int]:
    return [budget - window for budget, window in zip(budgets, windows(budgets), strict=True)]


def of_h2o(budgets: Sequence[int]) -> Zip:
    """Half for what got most attention, half for what is recent."""
    return {
        "system.stages.0.budget.entries": [budget // 2 for budget in budgets],
        "system.stages.0.pins.recent": [budget - budget // 2 for budget in budgets],
    }


def of_streaming(budgets: Sequence[int]) -> Zip:
    sinks = [min(SINKS, budget // 2) for budget in budgets]
    return {
        "system.stages.0.pins.sinks": sinks,
        "system.stages.0.pins.recent": [budget - sink for budget, sink in zip(budgets, sinks, strict=True)],
    }


def pyramid_asks(trace: Path, out: Path, budgets: Sequence[int]) -> list[int]:
    """What to ask of PyramidKV, besides the window, so that heads of the trace's layers keep nearest to the
    budgets on average: in proportion to what came of the last, at least one more or less."""
    wanted = besides_window(budgets)
    asked, nearest = wanted, [(float("inf"), ask) for ask in wanted]
    probe = out / "probe.h5"
    for _ in range(PROBES):
        sets = [f"trace.path={trace}", "run.steps=1", f"zip={json.dumps(of_window(budgets, asked))}"]
        call(
            "run", CONFIGS / "pyramid.yaml", "-o", probe, *(word for each in sets for word in ("--set", each))
        )
        kept = curves(probe, len(budgets)).kept.mean(["layer", "kv_head"]).sel(system="PyramidKV").values
        got = [float(one) - window for one, window in zip(kept, windows(budgets), strict=True)]
        nearest = [
            min(best, (abs(one - want), ask))
            for best, one, want, ask in zip(nearest, got, wanted, asked, strict=True)
        ]
        asked = [corrected(ask, one, want) for ask, one, want in zip(asked, got, wanted, strict=True)]
    probe.unlink()
    return [ask for _, ask in nearest]


def corrected(ask: int, got: float, wanted: int) -> int:
    """The next to ask for, where `ask` has brought so much."""
    if got == wanted:
        return ask
    proportional = round(ask * wanted / max(got, 1.0))
    return proportional if proportional != ask else ask + (1 if got < wanted else -1)


def zips(trace: Path, out: Path, budgets: Sequence[int]) -> dict[str, Zip]:
    """Of every experiment, the settings that go with the budgets."""
    window = of_window(budgets, besides_window(budgets))
    return {
        "full": {},
        "window": window,
        "unpooled": window,
        "pyramid": of_window(budgets, pyramid_asks(trace, out, budgets)),
        "h2o": of_h2o(budgets),
        "streaming": of_streaming(budgets),
    }


def steps_of(trace: Path) -> int:
    """Those of an answer, or all where the trace has fewer."""
    with h5py.File(trace) as file:
        return min(STEPS, int(file.attrs["seq_len"]) - int(file.attrs["prefill_len"]))


def run_all(trace: Path, out: Path, steps: int, settings: Sequence[str] = ()) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for experiment, values in zips(trace, out, budgets_of(trace)).items():
        print(f"{trace.stem}: {experiment} ...", file=sys.stderr, flush=True)
        zipped = [f"zip={json.dumps(values)}"] if values else []
        sets = [f"trace.path={trace}", f"run.steps={steps}", *zipped, *settings]
        run(CONFIGS / f"{experiment}.yaml", out / f"{experiment}.h5", sets, [trace])


def count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"is no number of steps ({text}); allowed: 1 and more")
    return int(text)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="scripts/paper-dynamickv")
    parser.add_argument("traces", metavar="TRACE", type=Path, nargs="*", help="the sample unless given")
    parser.add_argument("--steps", type=count, help=f"decode steps of each point; {STEPS} by default")
    options = parser.parse_args(arguments)
    traces = [trace.resolve() for trace in options.traces] or [SAMPLE]
    for trace in traces:
        if not trace.is_file():
            parser.error(f"there is no trace '{trace}'")
        call("trace", "validate", trace)
        if min(budgets := budgets_of(trace)) < 2 or len(set(budgets)) < len(SHARES):
            parser.error(f"'{trace}' has too short a prompt: budgets would be {budgets} entries")
    if len({trace.stem for trace in traces}) < len(traces):
        parser.error("traces need different names: their results lie in folders of these names")
    for trace in traces:
        run_all(trace, OUT / trace.stem, options.steps or steps_of(trace))
    print(page({trace: OUT / trace.stem for trace in traces}))


if __name__ == "__main__":
    main(sys.argv[1:])
