"""Which evictions keep what an answer needs: facts planted at depths of prompts of several lengths.

    python notebooks/needles.py FOLDER [--png FILE]

FOLDER has the traces that traces/workloads/record_depths.py recorded, each with its list of facts. They are
replayed through the systems of configs/paper/dynamickv at equal entries of a head; results are kept in
results/paper/dynamickv/needles. Of the true attention that a fact's tokens get while its number is answered,
the tables have the share that goes to entries which are there and attended to: their sum over layers, heads,
steps and answers, over the same sum of all of it. They have the mean over facts (least to most); how many
these are stands in the head of a column. Differences are of the same facts: the mean, its 95 % interval over
facts where they are 6 or more, and (of how many facts it is positive).
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
from dynamickv_run import CONFIGS, OUT, Zip, zips
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from paired import estimate
from paper_run import markdown, run

BUDGETS = (64, 256)  # entries of a head; the paper's needles are found with 64
SYSTEMS = ("StreamingLLM once", "StreamingLLM every step", "H2O once", "H2O every step",
           "SnapKV", "PyramidKV", "AdaKV", "DynamicKV")  # fmt: skip
EXPERIMENTS = ("full", "window", "pyramid", "h2o", "streaming")
PAIRED = ("DynamicKV", "AdaKV")  # those that are set beside all others
SHARING = ("PyramidKV", "DynamicKV")  # among layers
ENOUGH = 6  # facts; of fewer no interval is given
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
    kept: xr.DataArray  # entries after the prompt: [layer, head]


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
    values = zips(trace, out, budgets)
    steps = max(int(fact["step"] + fact["steps"]) for fact in facts)
    for experiment in EXPERIMENTS:
        print(f"{trace.stem}: {experiment} ...", file=sys.stderr, flush=True)
        zipped = json.dumps(repeated(values[experiment], facts))
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
            entries = file["attended_entries"][:, 0] - 1  # without the one that is decoded
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
                             budgets[budget], true_mass, mass, steps.stop - steps.start,
                             xr.DataArray(entries[point], places, ("layer", "kv_head")))  # fmt: skip


def by_fact(needles: Iterable[Needle]) -> list[Needle]:
    """Sums over the answers of a fact. Prompts of a length are one text up to the question: what two of them
    have in common is one fact."""
    groups: dict[tuple, list[Needle]] = {}
    for one in needles:
        groups.setdefault((one.system, one.budget, one.in_prompt, place(one)), []).append(one)
    return [
        same[0]._replace(true_mass=sum(one.true_mass for one in same), mass=sum(one.mass for one in same),
                         steps=sum(one.steps for one in same))
        for same in groups.values()
    ]  # fmt: skip


def survives(fact: Needle) -> float:
    """The share of its attention that is attended to [%]."""
    return 100 * float(fact.mass.sum() / fact.true_mass.sum())


def true_share(fact: Needle) -> float:
    """What it gets of all attention while it is answered [%], mean over layers and heads."""
    return 100 * float(fact.true_mass.mean()) / fact.steps


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Mean, least and most."""
    mean, least, most = (f"{of(values):.{digits}f}" for of in (np.mean, np.min, np.max))
    return mean if least == most else f"{mean} ({least} to {most})"


def difference(facts: Sequence[Needle], others: Sequence[Needle]) -> str:
    """Of pairs, the first less the second [points]."""
    pairs = {place(one): one for one in others}
    each = [survives(one) - survives(pairs[place(one)]) for one in facts]
    found = estimate(xr.DataArray(each, dims="trace"))
    if len(each) < ENOUGH:
        return spread(each)
    width = f" ± {found.high - found.mean:.0f}" if found.has_interval else ""
    return f"{round(found.mean):+d}{width} ({sum(one > 0 for one in each)})"


def place(fact: Needle) -> tuple[int, float]:
    return about(fact.length), fact.depth


def chosen(facts: Iterable[Needle], **wanted: object) -> list[Needle]:
    return [one for one in facts if all(getattr(one, key) == value for key, value in wanted.items())]


# Of facts those that a column is of.
Columns = dict[str, Callable[[Sequence[Needle]], list[Needle]]]


def by_depth(facts: Sequence[Needle]) -> Columns:
    return {f"depth {depth:.1f}": lambda of, depth=depth: chosen(of, depth=depth)
            for depth in sorted({one.depth for one in facts})}  # fmt: skip


def about(length: int) -> int:
    """The power of two next to it."""
    return 2 ** round(np.log2(length))


def by_length(facts: Sequence[Needle]) -> Columns:
    lengths = sorted({about(one.length) for one in facts})
    return {f"{length:,} tokens": lambda of, length=length: [n for n in of if about(n.length) == length]
            for length in lengths}  # fmt: skip


def between_ends(facts: Sequence[Needle]) -> list[Needle]:
    return [one for one in facts if 0.0 < one.depth < 1.0]


def by_length_between_ends(facts: Sequence[Needle]) -> Columns:
    """Those between the ends, all of them and for each length; none where there are none."""
    lengths = {
        f"in {name}": lambda of, long=long: long(between_ends(of))
        for name, long in by_length(between_ends(facts)).items()
    }
    return {"between the ends": between_ends} | lengths if lengths else {}


def by_layer(facts: Sequence[Needle]) -> Columns:
    def of_layer(one: Needle, layer: int) -> Needle:
        at = {"layer": [layer]}
        return one._replace(true_mass=one.true_mass.sel(at), mass=one.mass.sel(at))

    return {f"layer {layer}": lambda of, layer=layer: [of_layer(one, layer) for one in of]
            for layer in facts[0].mass.layer.values}  # fmt: skip


def budgets_of(facts: Iterable[Needle]) -> list[int]:
    return sorted({one.budget for one in facts})


def table(facts: Sequence[Needle], columns: Columns) -> str:
    """Rows of systems and budgets; the first is what facts get of all attention."""
    everything = chosen(facts, system="full")
    whole = [spread([*map(true_share, of(everything))], 2) for of in columns.values()]
    lines = [["the fact's part of all attention", "", *whole]]
    for system in SYSTEMS:
        for budget in budgets_of(facts):
            of_row = chosen(facts, system=system, budget=budget)
            lines.append([system, budget, *(spread([*map(survives, of(of_row))]) for of in columns.values())])
    heads = [f"{name}, {len(of(everything))}" for name, of in columns.items()]
    return markdown(["of a fact's attention, attended to [%]", "entries", *heads], lines)


def pairs_table(facts: Sequence[Needle]) -> str:
    """What one system keeps more than another of the same facts."""
    columns = {
        f"{where} the prompt, {budget} entries": {"in_prompt": where == "in", "budget": budget}
        for where in ("in", "after")
        for budget in budgets_of(facts)
    }
    lines = []
    for number, system in enumerate(PAIRED):
        for other in SYSTEMS:
            if other in PAIRED[: number + 1]:
                continue
            each = [
                difference(chosen(facts, system=system, **at), chosen(facts, system=other, **at))
                for at in columns.values()
            ]
            lines.append([f"{system} over {other}", *each])
    return markdown(["[points]", *columns], lines)


def asking_table(facts: Sequence[Needle]) -> str:
    """What a system keeps more of the same facts where they are asked for after the prompt."""
    lines = []
    for system in SYSTEMS:
        each = []
        for budget in budgets_of(facts):
            of_row = chosen(facts, system=system, budget=budget)
            each.append(difference(chosen(of_row, in_prompt=False), chosen(of_row, in_prompt=True)))
        lines.append([system, *each])
    return markdown(["[points]", *(f"{budget} entries" for budget in budgets_of(facts))], lines)


def layers_table(needles: Sequence[Needle], facts: Sequence[Needle]) -> str:
    """Where the facts' attention is, and what the systems that share among layers give a head there."""
    everything = chosen(facts, system="full")
    places = everything[0].true_mass
    shares = [100 * one.true_mass / float(one.true_mass.sum()) for one in everything]
    columns = [(system, budget) for budget in budgets_of(facts) for system in SHARING]
    lines = []
    for layer in places.layer.values:
        here = [one.sel(layer=layer) for one in shares]
        of_heads = [spread([float(one.sel(kv_head=head)) for one in here]) for head in places.kv_head.values]
        kept = [
            spread(
                [float(one.kept.sel(layer=layer).mean()) for one in chosen(needles, system=name, budget=of)]
            )
            for name, of in columns
        ]
        lines.append([layer, spread([float(one.sum()) for one in here]), *of_heads, *kept])
    heads = [f"KV head {head} [%]" for head in places.kv_head.values]
    entries = [f"{system}, {budget} entries" for system, budget in columns]
    return markdown(["layer", "of the facts' attention [%]", *heads, *entries], lines)


def page(needles: Sequence[Needle]) -> str:
    facts = by_fact(needles)
    parts = []
    for in_prompt, title in (
        (True, "Asked for in the prompt"),
        (False, "Asked for after the prompt, deeper ones later"),
    ):
        asked = chosen(facts, in_prompt=in_prompt)
        parts += [f"{title}, {len({place(one) for one in asked})} facts:",
                  table(asked, by_depth(asked) | by_length_between_ends(asked))]  # fmt: skip
    within = between_ends(facts)
    asked = chosen(within, in_prompt=True)
    both = {place(one) for one in asked} & {place(one) for one in chosen(within, in_prompt=False)}
    if both:
        prompts = [one for one in needles if one.in_prompt]
        traces = len({one.trace for one in prompts})
        within = [one for one in within if place(one) in both]
        parts += [
            f"Differences between systems, of {len(both)} facts between the ends:", pairs_table(within),
            f"After the prompt over in it, of {len(both)} facts between the ends:", asking_table(within),
            f"Asked for in the prompt, between the ends, {len(both)} facts by layer:",
            table(asked, by_layer(asked)),
            f"Where the attention of these is, and entries of a head after {traces} prompts:",
            layers_table(prompts, asked),
        ]  # fmt: skip
    return "\n\n".join(parts)


def draw(needles: Sequence[Needle], budget: int = BUDGETS[0]) -> Figure:
    """Depth over length for each system, asked for in the prompt above and after it below; a square is a
    fact."""
    facts = by_fact(needles)
    figure, rows = plt.subplots(2, len(SYSTEMS), figsize=(15, 4.6), layout="constrained", sharey="row")
    for axes_of_row, in_prompt in zip(rows, (True, False), strict=True):
        for axes, system in zip(axes_of_row, SYSTEMS, strict=True):
            of_panel = chosen(facts, system=system, budget=budget, in_prompt=in_prompt)
            depths, lengths = by_depth(of_panel), by_length(of_panel)
            shares = [
                [survives(*long(deep(of_panel))) for long in lengths.values()] for deep in depths.values()
            ]
            image = axes.imshow(shares, vmin=0, vmax=100, cmap="YlGn", aspect="auto")
            axes.set_xticks(range(len(lengths)), [name.split()[0] for name in lengths], fontsize=8)
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
