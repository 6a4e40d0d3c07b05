"""DynamicKV's claims beside ours: the tables that scripts/paper-dynamickv prints.

The paper has scores of LongBench's tasks; a replay has none. In their place stand the attention mass that an
eviction leaves and the local error of the attention output, means over the steps. A system leads where the
95 % interval of the paired difference, over layers and heads (and traces, if there are several), is above 0.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import xarray as xr
from paired import Estimate, estimate, joined
from paper_run import Row, markdown, table_of

# Shares of the prompt that a head keeps; the paper marks 1.7 and 6.9 %, 128 and 512 of LongBench's mean.
SHARES = {
    "1.7 %": 0.017, "1/16": 1 / 16, "6.9 %": 0.069, "1/8": 1 / 8, "1/4": 1 / 4, "1/2": 1 / 2, "3/4": 3 / 4,
}  # fmt: skip
EXPERIMENTS = ("full", "window", "unpooled", "pyramid", "h2o", "streaming")
OURS, BASE = "DynamicKV", "SnapKV"
FIGURES = ("quota", "missing", "duplicates")  # of DynamicKV alone
ONCE = (OURS, "DynamicKV faithful", BASE, "AdaKV", "PyramidKV", "H2O once", "StreamingLLM once",
        "SnapKV unpooled", "DynamicKV unpooled")  # fmt: skip
EVERY_STEP = ("H2O every step", "StreamingLLM every step")
# LongBench's mean score with 512 entries, which are 6.9 %, in the README of DynamicKV's code.
COMPARED = ("full", OURS, BASE, "PyramidKV", "H2O once", "StreamingLLM once")
SCORES = {
    model: dict(zip(COMPARED, scores, strict=True))
    for model, scores in {
        "Llama-3-8B": (41.95, 40.73, 40.30, 40.18, 37.20, 34.70),
        "Mistral-7B": (42.71, 40.90, 40.71, 40.47, 37.37, 30.06),
        "Qwen2-7B": (40.71, 39.16, 38.47, 38.19, 35.63, 29.65),
        "InternLM-2.5-7B": (43.21, 38.39, 37.84, 37.86, 34.65, 32.25),
    }.items()
}
METRICS = {"mass": "retained mass", "error": "output error, less"}
LEFT_AT_THE_LEAST = 90.0  # percent of full's score at 1.7 %, about, its abstract and README
NEAR = 0.01  # of the budget, or half an entry, which is as near as whole numbers come
SPREAD = 1.1  # times; ours, below it layer budgets count as equal


def budgets_of(trace: Path) -> list[int]:
    """Entries of a head."""
    with h5py.File(trace) as file:
        prompt = int(file.attrs["prefill_len"])
    return [round(share * prompt) for share in SHARES.values()]


def curves(results: Path, budgets: int) -> xr.Dataset:
    """[system, budget, layer, head] of one experiment. Means over the steps: entries attended to, mass kept
    [1], output error [1]. After the prompt: entries kept, DynamicKV's quota, missing, duplicates [entries].
    What has no budgets, is the same at all `budgets` of them."""
    cell = ("system", "budget", "layer", "kv_head")
    with h5py.File(results) as file:
        systems = list(dict.fromkeys(point.split(",")[0] for point in file["point"].asstr()[:]))
        entries = file["attended_entries"][:]  # of points, steps, layers and heads
        found = {
            "entries": (cell, entries.mean(axis=1)),
            "kept": (cell, entries[:, 0] - 1),  # without the one that is decoded
            "mass": (cell, file["retained_mass"][:].mean(axis=1)),
            "error": (cell, file["output_error"][:].mean(axis=1)),
        }
        for name in FIGURES:
            if (figure := f"dynamickv.{name}") in file:
                found[name] = (cell[:3], file[figure][:, 0])
        places = {name: file[name][:] for name in ("layer", "kv_head")}
    by_system = {
        name: (dims, over_budgets_of(values, len(systems), budgets)) for name, (dims, values) in found.items()
    }
    return xr.Dataset(by_system, {"system": systems, **places})


def over_budgets_of(values: np.ndarray, systems: int, budgets: int) -> np.ndarray:
    """Points as systems and budgets."""
    each = values.reshape(systems, -1, *values.shape[1:])
    return each if each.shape[1] == budgets else np.repeat(each, budgets, axis=1)


def of_trace(folder: Path) -> xr.Dataset:
    """All systems."""
    found = [curves(folder / f"{name}.h5", len(SHARES)) for name in EXPERIMENTS]
    return xr.concat(found, "system", join="outer").assign_coords(budget=list(SHARES))


def of_traces(folders: Mapping[Path, Path]) -> tuple[dict[str, xr.Dataset], xr.Dataset]:
    """Each by its name, and what they have in common."""
    each = {trace.stem: of_trace(folder) for trace, folder in folders.items()}
    if len(each) == 1:
        return each, next(iter(each.values()))
    names = ("entries", "kept", "mass", "error")
    return each, xr.Dataset({n: joined({trace: one[n] for trace, one in each.items()}) for n in names})


def cells(data: xr.Dataset, metric: str, system: str, budget: str) -> xr.DataArray:
    return data[metric].sel(system=system, budget=budget, drop=True)


def lead(data: xr.Dataset, metric: str, system: str, other: str, budget: str) -> Estimate:
    """What the first has beyond the second [points]: positive is better, more mass or less error."""
    difference = cells(data, metric, system, budget) - cells(data, metric, other, budget)
    return estimate((100 if metric == "mass" else -100) * difference)


def verdict(found: Estimate, above: float = 0.0) -> str:
    if found.low > above or (found.is_exact and found.mean > above):
        return "yes"
    return "no" if found.high < above or found.is_exact else "undecided"


def brief(found: Estimate, sign: str = "") -> str:
    if found.is_exact:
        return f"{found.mean:{sign}.1f}"
    return f"{found.mean:{sign}.1f} ± {found.high - found.mean:.1f}"


def leads(data: xr.Dataset) -> Iterable[Row]:
    for other in COMPARED[2:]:
        gains = [scores[OURS] - scores[other] for scores in SCORES.values()]
        paper = f"{min(gains):+.2f} to {max(gains):+.2f} of LongBench's score, 4 models"
        for metric, title in METRICS.items():
            found = lead(data, metric, OURS, other, "6.9 %")
            what = f"6.9 %: {OURS} over {other}, {title}"
            yield Row("D1", what, paper, f"{brief(found, '+')} points", verdict(found))


def unpooled(data: xr.Dataset) -> Iterable[Row]:
    """No claim of the paper: whether the mean over neighbours is what H2O's lead comes from."""
    for metric, title in METRICS.items():
        found = lead(data, metric, "DynamicKV unpooled", OURS, "6.9 %")
        what = f"6.9 %: {OURS} without the mean over neighbours over {OURS}, {title}"
        yield Row("D6", what, "ours", f"{brief(found, '+')} points", verdict(found))
        found = lead(data, metric, "DynamicKV unpooled", "H2O once", "6.9 %")
        what = f"6.9 %: {OURS} without it over H2O once, {title}"
        yield Row("D6", what, "ours", f"{brief(found, '+')} points", verdict(found))


def left(data: xr.Dataset) -> Iterable[Row]:
    shares = [100 * scores[OURS] / scores["full"] for scores in SCORES.values()]
    several = f"{min(shares):.1f} to {max(shares):.1f} % of full's score, 4 models"
    about = f"about {LEFT_AT_THE_LEAST:.0f} % of full's score"
    for name, budget, paper, least in (
        ("D2", "6.9 %", several, min(shares)),
        ("D3", "1.7 %", about, LEFT_AT_THE_LEAST),
    ):
        found = estimate(100 * cells(data, "mass", OURS, budget))
        what = f"{budget}: retained mass of {OURS} is at least {least:.1f} %"
        yield Row(name, what, paper, f"{brief(found)} %", verdict(found, least))


def layers_differ(each: Mapping[str, xr.Dataset]) -> Iterable[Row]:
    spread = {name: shares_of_layers(data) for name, data in each.items()}
    ratios = [float(one.max() / one.min()) if one.min() > 0 else np.inf for one in spread.values()]
    yield Row("D4", f"6.9 %: layers get different budgets, most over least above {SPREAD}x", "they do",
              ", ".join(f"{ratio:.2f}x" for ratio in ratios), min(ratios) > SPREAD)  # fmt: skip
    if len(each) > 1 and len({tuple(one.layer.values) for one in spread.values()}) == 1:
        texts = xr.concat(spread.values(), "trace")
        most, least = texts.max("trace"), texts.min("trace")
        ratio = float((most / least.where(least > 0)).fillna(np.inf).max())
        yield Row("D5", f"6.9 %: the same layer gets another share of other texts, above {SPREAD}x",
                  "tasks differ", f"up to {ratio:.2f}x", ratio > SPREAD)  # fmt: skip


def shares_of_layers(data: xr.Dataset, budget: str = "6.9 %") -> xr.DataArray:
    """[layer]: the quota over its mean."""
    quota = cells(data, "quota", OURS, budget)
    return quota / quota.mean()


def rows(folders: Mapping[Path, Path]) -> list[Row]:
    each, data = of_traces(folders)
    return rows_of(each, data)


def rows_of(each: Mapping[str, xr.Dataset], data: xr.Dataset) -> list[Row]:
    return [*leads(data), *left(data), *layers_differ(each), *unpooled(data)]


Cell = Callable[[str, str], str]  # of a system and a budget


def over_budgets(systems: Sequence[str], cell: Cell) -> str:
    return markdown(
        ["", *SHARES], [[system, *(cell(system, share) for share in SHARES)] for system in systems]
    )


def kept(each: Mapping[str, xr.Dataset]) -> str:
    """Entries of a head, mean over layers and heads: rows of traces and systems."""
    lines = [
        [name, system, *(f"{float(cells(data, 'kept', system, share).mean()):.2f}" for share in SHARES)]
        for name, data in each.items()
        for system in ("full", *ONCE, *EVERY_STEP)
    ]
    return markdown(["trace", "", *SHARES], lines)


def unequal(each: Mapping[str, xr.Dataset], budgets: Mapping[str, Sequence[int]]) -> str:
    """What keeps more or fewer entries than it was asked for, by more than whole numbers explain."""
    found = [
        f"{system} at {share} of {name}"
        for name, data in each.items()
        for system in (*ONCE, *EVERY_STEP)
        for share, budget in zip(SHARES, budgets[name], strict=True)
        if abs(float(cells(data, "kept", system, share).mean()) - budget) > max(NEAR * budget, 0.5)
    ]
    return f"Not at equal entries: {', '.join(found)}." if found else "All are at equal entries."


def layer_budgets(each: Mapping[str, xr.Dataset]) -> str:
    lines = []
    for name, data in each.items():
        for system in (OURS, "DynamicKV faithful"):
            for share in SHARES:
                by_layer = {figure: cells(data, figure, system, share) for figure in FIGURES}
                quota = by_layer.pop("quota")
                text = ", ".join(
                    f"{layer}: {float(quota.sel(layer=layer)):.0f}" for layer in quota.layer.values
                )
                totals = [f"{float(values.sum()):.0f}" for values in by_layer.values()]
                lines.append([name, system, share, text, *totals])
    return markdown(["trace", "", "budget", "quota of a head by layer", "missing", "duplicates"], lines)


def page(folders: Mapping[Path, Path]) -> str:
    """Everything that the command prints."""
    each, data = of_traces(folders)
    budgets = {trace.stem: budgets_of(trace) for trace in folders}
    asked = [f"{name}: {', '.join(map(str, entries))}" for name, entries in budgets.items()]

    def level(metric: str) -> Cell:
        return lambda system, budget: brief(estimate(100 * cells(data, metric, system, budget)))

    def beyond(metric: str) -> Cell:
        return lambda system, budget: brief(lead(data, metric, system, BASE, budget), "+")

    others = [system for system in ONCE if system != BASE]
    parts = [
        table_of(rows_of(each, data)),
        f"Entries of a head that are kept after the prompt, of those asked for ({'; '.join(asked)}):",
        kept(each),
        unequal(each, budgets),
        "Retained attention mass [%]:",
        over_budgets(("full", *ONCE, *EVERY_STEP), level("mass")),
        f"Retained attention mass beyond {BASE}'s [points]:",
        over_budgets(others, beyond("mass")),
        "Output error [%]:",
        over_budgets(("full", *ONCE, *EVERY_STEP), level("error")),
        f"Output error below {BASE}'s [points]:",
        over_budgets(others, beyond("error")),
        "Budgets of layers, besides the window:",
        layer_budgets(each),
    ]
    return "\n\n".join(parts)
