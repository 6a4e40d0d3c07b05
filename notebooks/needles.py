"""Which evictions keep what an answer needs: facts planted at depths of prompts of several lengths.

    python notebooks/needles.py FOLDER [--png FILE]

FOLDER has the traces that traces/workloads/record_depths.py recorded, each with its list of facts. They are
replayed through the systems of configs/paper/dynamickv at equal entries of a head; results are kept in
results/paper/dynamickv/needles. Of the true attention that a fact's tokens get while its number is answered,
the tables have the share that goes to entries which are there and attended to: their sum over layers, heads,
steps and facts, over the same sum of all of it. Intervals are of 95 %, over facts, layers and heads.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import matplotlib as mpl
import numpy as np
import xarray as xr
from dynamickv_run import CONFIGS, OUT, Zip, besides_window, of_h2o, of_streaming, of_window, pyramid_asks
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from paired import Estimate, estimate
from paper_run import markdown, run

BUDGETS = (64, 256)  # entries of a head; the paper's needles are found with 64
SYSTEMS = ("StreamingLLM once", "StreamingLLM every step", "H2O once", "H2O every step",
           "SnapKV", "PyramidKV", "AdaKV", "DynamicKV")  # fmt: skip
EXPERIMENTS = ("full", "window", "pyramid", "h2o", "streaming")
TOGETHER = 64  # points that share the truth
WHITE_ABOVE = 65  # percent; letters on dark ground


class Needle(NamedTuple):
    """A fact and what attention it gets while it is answered: [layer, head], sums over the steps."""

    trace: str
    length: int  # tokens of the prompt
    depth: float
    in_prompt: bool
    system: str
    budget: int
    true_mass: xr.DataArray
    mass: xr.DataArray
    steps: int


Facts = Sequence[dict[str, float]]


def facts_of(trace: Path) -> Facts:
    """The fact that the prompt asks for. Where that is the first or the last of them, also those asked for
    after it: two traces of a length have all, and so many steps in every trace would take far longer."""
    facts = json.loads(trace.with_suffix(".json").read_text())
    at_an_end = facts[0]["in_prompt"] or facts[-1]["in_prompt"]
    return [fact for fact in facts if fact["in_prompt"] or at_an_end]


def repeated(values: Zip, facts: Facts) -> Zip:
    """What goes with the budgets, for every fact."""
    spans = {f"record.span.{key}": [int(fact[key]) for fact in facts] for key in ("first", "tokens")}
    budgets = len(next(iter(values.values()))) if values else 1
    return {
        **{key: [value for value in given for _ in facts] for key, given in values.items()},
        **{key: given * budgets for key, given in spans.items()},
    }


def run_all(trace: Path, out: Path, budgets: Sequence[int] = BUDGETS) -> None:
    out.mkdir(parents=True, exist_ok=True)
    facts = facts_of(trace)
    window = of_window(budgets, besides_window(budgets))
    zips: dict[str, Callable[[], Zip]] = {
        "full": dict,
        "window": lambda: window,
        "pyramid": lambda: of_window(budgets, pyramid_asks(trace, out, budgets)),
        "h2o": lambda: of_h2o(budgets),
        "streaming": lambda: of_streaming(budgets),
    }
    steps = max(int(fact["step"] + fact["steps"]) for fact in facts)
    for experiment, values in zips.items():
        print(f"{trace.stem}: {experiment} ...", file=sys.stderr, flush=True)
        zipped = json.dumps(repeated(values(), facts))
        settings = [f"trace.path={trace}", f"run.steps={steps}", f"zip={zipped}"]
        run(CONFIGS / f"{experiment}.yaml", out / f"{experiment}.h5", settings, [trace], TOGETHER)


def needles_of(trace: Path, out: Path, budgets: Sequence[int] = BUDGETS) -> Iterable[Needle]:
    facts = facts_of(trace)
    with h5py.File(trace) as file:
        prompt = int(file.attrs["prefill_len"])
    for experiment in EXPERIMENTS:
        with h5py.File(out / f"{experiment}.h5") as file:
            names = [name.split(",")[0] for name in file["point"].asstr()[:]]
            places = {name: file[name][:] for name in ("layer", "kv_head")}
            of_system = len(names) // len(set(names))
            for point, system in enumerate(names):
                budget, number = divmod(point % of_system, len(facts))
                fact = facts[number]
                steps = slice(int(fact["step"]), int(fact["step"] + fact["steps"]))
                true_mass, mass = (
                    xr.DataArray(file[name][point, steps].sum(axis=0), places, ("layer", "kv_head"))
                    for name in ("span_true_mass", "span_mass")
                )
                yield Needle(trace.stem, prompt, fact["depth"], bool(fact["in_prompt"]), system,
                             budgets[budget], true_mass, mass, steps.stop - steps.start)  # fmt: skip


def stacked(needles: Iterable[Needle], name: str) -> xr.DataArray:
    return xr.concat([getattr(one, name) for one in needles], "trace")


def survives(needles: Sequence[Needle]) -> Estimate:
    """The share of the facts' attention that is attended to [%]: a ratio of sums, with the interval of its
    linear part."""
    true_mass, mass = (stacked(needles, name) for name in ("true_mass", "mass"))
    share = float(mass.sum() / true_mass.sum())
    return estimate(100 * (share + (mass - share * true_mass) / float(true_mass.mean())))


def true_share(needles: Sequence[Needle]) -> Estimate:
    """What facts get of all attention while they are answered [%]."""
    return estimate(100 * stacked(needles, "true_mass") / needles[0].steps)


def brief(found: Estimate, digits: int = 0) -> str:
    if not found.has_interval:
        return f"{found.mean:.{digits}f}"
    return f"{found.mean:.{digits}f} ± {found.high - found.mean:.{digits}f}"


# Of needles those that a column is of.
Columns = dict[str, Callable[[Sequence[Needle]], list[Needle]]]


def by_depth(needles: Sequence[Needle]) -> Columns:
    depths = sorted({one.depth for one in needles})
    return {f"depth {depth:.1f}": lambda of, depth=depth: [one for one in of if one.depth == depth]
            for depth in depths}  # fmt: skip


def about(length: int) -> int:
    """The power of two next to it."""
    return 2 ** round(np.log2(length))


def by_length(needles: Sequence[Needle]) -> Columns:
    lengths = sorted({about(one.length) for one in needles})
    return {f"about {length:,} tokens": lambda of, length=length: [n for n in of if about(n.length) == length]
            for length in lengths}  # fmt: skip


def by_layer(needles: Sequence[Needle]) -> Columns:
    def of_layer(one: Needle, layer: int) -> Needle:
        at = {"layer": [layer]}
        return one._replace(true_mass=one.true_mass.sel(at), mass=one.mass.sel(at))

    return {f"layer {layer}": lambda of, layer=layer: [of_layer(one, layer) for one in of]
            for layer in needles[0].mass.layer.values}  # fmt: skip


def table(needles: Sequence[Needle], columns: Columns) -> str:
    """Rows of systems and budgets; the first is what facts get of all attention."""
    everything = [one for one in needles if one.system == "full"]
    whole = [brief(true_share(of(everything)), 2) for of in columns.values()]
    lines = [["the fact's part of all attention", "", *whole]]
    for system in SYSTEMS:
        for budget in sorted({one.budget for one in needles}):
            chosen = [one for one in needles if one.system == system and one.budget == budget]
            lines.append([system, budget, *(brief(survives(of(chosen))) for of in columns.values())])
    return markdown(["of a fact's attention, attended to [%]", "entries", *columns], lines)


def page(needles: Sequence[Needle]) -> str:
    parts = []
    for in_prompt, title in ((True, "Asked for in the prompt"), (False, "Asked for after the prompt")):
        asked = [one for one in needles if one.in_prompt == in_prompt]
        facts = len({(one.trace, one.depth) for one in asked})
        parts += [f"{title}, {facts} answers:", table(asked, by_depth(asked) | by_length(asked))]
    between = [one for one in needles if one.in_prompt and 0.0 < one.depth < 1.0]
    if between:
        facts = len({one.trace for one in between})
        parts += [f"Asked for in the prompt and told between its ends, {facts} answers:",
                  table(between, by_layer(between))]  # fmt: skip
    return "\n\n".join(parts)


def draw(needles: Sequence[Needle], budget: int = BUDGETS[0]) -> Figure:
    """Depth over length for each system, asked for in the prompt above and after it below."""
    figure, rows = plt.subplots(2, len(SYSTEMS), figsize=(15, 4.6), layout="constrained", sharey="row")
    for axes_of_row, in_prompt in zip(rows, (True, False), strict=True):
        for axes, system in zip(axes_of_row, SYSTEMS, strict=True):
            chosen = [
                one
                for one in needles
                if (one.system, one.budget, one.in_prompt) == (system, budget, in_prompt)
            ]
            depths, lengths = by_depth(chosen), by_length(chosen)
            shares = [
                [survives(long(deep(chosen))).mean for long in lengths.values()] for deep in depths.values()
            ]
            image = axes.imshow(shares, vmin=0, vmax=100, cmap="YlGn", aspect="auto")
            axes.set_xticks(range(len(lengths)), [name.split()[1] for name in lengths], fontsize=8)
            axes.set_yticks(range(len(depths)), [name.split()[1] for name in depths], fontsize=8)
            for (row, column), value in np.ndenumerate(shares):
                colour = "white" if value > WHITE_ABOVE else "black"
                axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8, color=colour)
            if in_prompt:
                axes.set_title(system.replace(" ", "\n", 1), fontsize=9)
        axes_of_row[0].set_ylabel(f"asked for {'in' if in_prompt else 'after'} the prompt\ndepth", fontsize=9)
    figure.supxlabel("tokens of the prompt, about", fontsize=9)
    figure.colorbar(image, ax=rows, label=f"of the fact's attention, attended to\nat {budget} entries [%]")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="traces and lists of facts")
    parser.add_argument("--png", type=Path, help="a picture to draw")
    options = parser.parse_args()
    traces = sorted(
        path.resolve() for path in options.folder.glob("*.h5") if path.with_suffix(".json").exists()
    )
    if not traces:
        parser.error(f"there is no trace with a list of facts in '{options.folder}'")
    needles = []
    for trace in traces:
        run_all(trace, OUT / "needles" / trace.stem)
        needles += needles_of(trace, OUT / "needles" / trace.stem)
    print(page(needles))
    if options.png:
        mpl.use("agg")
        draw(needles).savefig(options.png, dpi=100)


if __name__ == "__main__":
    main()
