"""Holds each of DynaKV's figures against the results of configs/paper/dynakv.

Every figure is one function that returns a `Figure`: what the paper states, the numbers of the results, and
the ratios that must all exceed 1 for the results to point in the paper's direction. Numbers and ratios keep
`seed`, `layer` and `head`, of which paired.py makes intervals; several traces are joined before.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import dynakv_t6
import numpy as np
import pandas as pd
import xarray as xr
import yaml
from dynakv_partition import co_retrieval, drift_of_partition, share_of_top_tenth
from dynakv_results import (
    CLUSTERED,
    COMPARED,
    IN_DRAM,
    MODEL,
    OURS,
    ROOT,
    Results,
    at,
    bandwidth_over_size,
    by_system,
    gains,
    latency_over_length,
    log_ratio,
    per_head,
    retrieved_share,
    reuse_of_updated,
    settings,
    units_over_steps,
)
from paired import Estimate, estimate, over_traces, smallest

T1_GIGABYTES = {"llama-3.2-1b": (0.3, 0.5, 1.1, 2.1), "llama-3.2-3b": (0.9, 1.9, 3.8, 7.5)}
ROUNDED = 1.2  # T1: 0.3 may be 0.25 to 0.35
LINEAR = 0.75  # F3b: of a line through the first point, what still is near it
CONCENTRATED = 2.0  # F7: times the share that pairs have by chance, from which on they are far from uniform
MINOR_SPACE = 1.5  # F13: minor extra space is less than half as much again
BLOCK_BYTES = 4096  # of the flash; a ratio to no bytes at all is one to a single block in the whole run
ALL_TRACES = "all traces"

Arrays = Mapping[str, xr.DataArray]


class Form(NamedTuple):
    """How a number is written. Logarithms are of ratios."""

    spec: str
    unit: str = ""
    scale: float = 1.0
    logarithm: bool = False

    def text(self, value: Estimate) -> str:
        mean, low, high = (self.scale * x for x in (value.exp() if self.logarithm else value))
        shown = f"{mean:{self.spec}}{self.unit}"
        if value.is_exact:
            return f"{shown} exact"
        return (
            f"{shown} [{low:{self.spec}}, {high:{self.spec}}]"
            if value.has_interval
            else f"{shown} (one seed)"
        )


TIMES = Form(".2f", "x", logarithm=True)
CLOSELY = TIMES._replace(spec=".3f")
RELATIVE = Form(".2f", logarithm=True)
PER_CENT = Form(".1f", " %", scale=100)
MILLISECONDS = Form(".1f", " ms", scale=1e3)
MEGABYTES = Form(".2f", " MB", scale=1e-6)
KILOBYTES = Form(".1f", " kB", scale=1e-3)
COUNT = Form(".1f")


class Numbers(NamedTuple):
    """Numbers of one kind, by their names."""

    label: str
    form: Form
    values: Arrays

    def text(self) -> str:
        written = [f"{name} {self.form.text(estimate(value))}".strip() for name, value in self.values.items()]
        return ": ".join(part for part in (self.label, ", ".join(written)) if part)


class Held(NamedTuple):
    """What one variant of DynaKV comes to: numbers, and the logarithms of the ratios that must exceed 1."""

    numbers: Sequence[Numbers]
    leads: Arrays

    def text(self) -> str:
        return "; ".join(numbers.text() for numbers in self.numbers)

    def lead(self) -> Estimate:
        """The smallest of the ratios."""
        return smallest(list(self.leads.values())).exp()


class Figure(NamedTuple):
    name: str
    measured: str
    paper: str
    ours: Held
    in_dram: Held | None = None  # the same with representatives in DRAM, of figures of latency and energy
    memory: xr.DataArray | None = None  # what each system that is compared needs: [..., system, seed]
    note: str = ""


def exact(value: float) -> xr.DataArray:
    return xr.DataArray(float(value))


def each(table: xr.DataArray, dimension: str) -> dict[str, xr.DataArray]:
    """One array per value of a dimension."""
    return {str(value): table.sel({dimension: value}, drop=True) for value in table[dimension].values}


def at_least_a_block(per_step: xr.DataArray, data: xr.Dataset) -> xr.DataArray:
    return np.maximum(per_step, BLOCK_BYTES / data.sizes["step"])


def variants_of(data: xr.Dataset, name: str) -> dict[str, xr.DataArray]:
    """A summary of every variant, by its name: [seed]."""
    return each(data[name].reset_coords(drop=True), "variant")


def dram_of(data: xr.Dataset, *across: str) -> xr.DataArray:
    table = by_system(data, "dram_total_max", *across)
    return table.sel(system=[name for name in COMPARED if name in table.system])


def t1(_: Results) -> Figure:
    """KV bytes are arithmetic: layers x KV heads x (key + value) x bytes of a row. Met where every number of
    the paper is that of 8 bits but for its rounding to one digit."""
    numbers, off, off_of_16_bits = [], [], []
    for name, of_paper in T1_GIGABYTES.items():
        model = yaml.safe_load((ROOT / "configs" / "models" / f"{name}.yaml").read_text())["model"]
        rows, channels = 2 * model["layers"] * model["kv_heads"], model["head_dim"]
        tokens = 1024 * np.array([8, 16, 32, 64])
        ours = rows * (channels + 4) * tokens / 1e9  # with the scale of a row
        numbers.append(f"{name} " + "/".join(f"{value:.2f}" for value in ours))
        off.append(np.array(of_paper) / ours)
        off_of_16_bits.append(np.array(of_paper) / (2 * rows * channels * tokens / 1e9))
    worst = float(np.exp(np.abs(np.log(off)).max()))
    return Figure(
        "T1",
        "KV bytes at 8K/16K/32K/64K tokens, 8 bits",
        "1B 0.3/0.5/1.1/2.1 GB; 3B 0.9/1.9/3.8/7.5 GB",
        Held([], {"near": exact(np.log(ROUNDED / worst))}),
        note=f"{'; '.join(numbers)} GB; the paper's are {np.min(off):.2f} to {np.max(off):.2f} times these, "
        f"{np.min(off_of_16_bits):.2f} to {np.max(off_of_16_bits):.2f} times those of 16 bits",
    )


def t2(results: Results) -> Figure:
    """Reuse of updated clusters, against any cluster's chance to be retrieved in a step."""
    data = results["f10_systems"]
    reuse, any_unit = reuse_of_updated(data), retrieved_share(data)
    mean = reuse.mean(["seed", "layer", "kv_head"])
    alike = float(abs(mean - mean.sel(model=MODEL)).max())
    return Figure(
        "T2",
        "updated clusters retrieved within 1/2/4/8/16 steps",
        "Qwen-1.5B 42/48/54/61/67 %, Qwen-3B 59 to 80, Llama-1B 37 to 61, Llama-3B 30 to 55",
        Held(
            [
                Numbers("within", PER_CENT, each(reuse.sel(model=MODEL, drop=True), "within")),
                Numbers("any cluster in a step", PER_CENT, {"": any_unit}),
            ],
            {"within 1": log_ratio(reuse.sel(model=MODEL, within=1), any_unit)},
        ),
        note=f"other models within {100 * alike:.1f} points (one trace)" if len(mean.model) > 1 else "",
    )


def f3b(results: Results) -> Figure:
    """Near linear: at least three quarters of it. Saturating: not twice as fast from 24 KiB on."""
    curve = bandwidth_over_size(results.curve())
    linear = curve[24 * 1024] / curve[4096] / 6
    after = curve.iloc[-1] / curve[24 * 1024]
    return Figure(
        "F3b",
        "read bandwidth over contiguous size",
        "near linear to 24 KB, then saturating",
        Held(
            [
                Numbers("4 to 24 KiB, of linear", PER_CENT, {"": exact(linear)}),
                Numbers(f"{curve.index[-1] // 1024} KiB over 24", TIMES, {"": exact(np.log(after))}),
            ],
            {"linear": exact(np.log(linear / LINEAR)), "saturating": exact(np.log(2 / after))},
        ),
    )


def f4(results: Results) -> Figure:
    """Static clusters grow and widen, because the best partition leaves the prompt's."""
    drift = drift_of_partition(results.trace(), results.seeds())
    drifted = log_ratio(drift["static"], drift["best"])
    drifted = drifted.isel(position=-1, drop=True) - drifted.isel(position=0, drop=True)
    over = units_over_steps(results["f10_systems"]).reset_coords(drop=True)
    last, first = over.isel(step=-1, drop=True), over.isel(step=0, drop=True)
    wider = log_ratio(last["variance"].sel(system="PQCache"), first["variance"].sel(system="PQCache"))
    size = last["entries"]
    larger = log_ratio(size.sel(system="PQCache"), size.sel(system="ClusterKV"))
    return Figure(
        "F4",
        "drift of the partition",
        "static: larger, wider clusters; local: many small ones",
        Held(
            [
                Numbers("the prompt's partition ends as wide as the best", TIMES, {"": drifted}),
                Numbers("PQCache's clusters widen", TIMES, {"": wider}),
                Numbers("entries of a unit", COUNT, each(size, "system")),
            ],
            {"drift": drifted, "wider": wider, "larger": larger},
        ),
    )


def f7(results: Results) -> Figure:
    """Pairs of clusters that the same queries retrieve, against retrieval at random."""
    pairs = co_retrieval(results.trace(), results.seeds())
    share = (
        pairs["together"]
        .isel(cluster=0, other=0, drop=True)
        .copy(data=share_of_top_tenth(pairs["together"].values))
    )
    return Figure(
        "F7",
        "co-retrieval of clusters over the prompt",
        "far from uniform",
        Held(
            [
                Numbers("share of the most frequent tenth of the pairs", PER_CENT, {"": share}),
                Numbers("of a head that retrieves at random", PER_CENT, {"": pairs["by_chance"]}),
            ],
            {"": log_ratio(share, pairs["by_chance"]) - np.log(CONCENTRATED)},
        ),
    )


def f10a(results: Results) -> Figure:
    """Quality relative to entry-wise retrieval, head by head."""
    data = results["f10_systems"]
    recall, mass = (per_head(data, name) for name in ("recall", "relative_mass"))
    to_single = {
        label: {name: log_ratio(table.sel(system=name), table.sel(system="no cluster")) for name in CLUSTERED}
        for label, table in (("recall", recall), ("attention mass", mass))
    }
    ours = recall.sel(system=OURS)
    leads = {name: log_ratio(ours, recall.sel(system=name)) for name in ("PQCache", "ClusterKV")}
    return Figure(
        "F10a",
        "accuracy, no cluster = 1",
        "DynaKV highest, near 1; PQCache 0.69; 1.38x on average",
        Held(
            [
                *(Numbers(label, RELATIVE, values) for label, values in to_single.items()),
                Numbers("recall over", CLOSELY, leads),
            ],
            leads,
        ),
        memory=dram_of(at(data, model=MODEL)),
    )


def held_over(table: xr.DataArray, ours: str, across: str, separate: bool = False) -> Held:
    """How many times our latency or energy the baselines have; `separate`: for every value of `across`, which
    must all be ahead, else their geometric mean."""
    gain = gains(table, ours)
    if not separate:
        return Held([Numbers("", CLOSELY, gain)], gain)
    numbers = {
        value: {name: one.sel({across: key}, drop=True) for name, one in gain.items()}
        for value, key in zip(map(str, table[across].values), table[across].values, strict=True)
    }
    leads = {f"{value}, {name}": one for value, ones in numbers.items() for name, one in ones.items()}
    return Held([Numbers(value, CLOSELY, ones) for value, ones in numbers.items()], leads)


def compared(
    results: Results,
    name: str,
    measured: str,
    paper: str,
    source: tuple[str, str, str],
    separate: bool = False,
) -> Figure:
    """DynaKV's advantage across the values of a key; `source`: the experiment, its summary, the key."""
    experiment, summary, key = source
    table, across = by_system(results[experiment], summary, key), key.split(".")[-1]
    of_ours, in_dram = (held_over(table, system, across, separate) for system in (OURS, IN_DRAM))
    return Figure(name, measured, paper, of_ours, in_dram, dram_of(results[experiment], key))


def f10b(results: Results) -> Figure:
    """Speedup over the baselines."""
    source = ("f10_systems", "latency_mean", "model")
    return compared(results, "F10b", "speedup of DynaKV", "2.00x, 1.47x, 1.31x", source)


def f10c(results: Results) -> Figure:
    """Gain in effective bandwidth over the baselines, without caches: with them it is that of what each
    misses, and falls as the hit rate rises."""
    data = results["f10c_bandwidth"]
    table = by_system(data, "effective_bandwidth")
    of_ours, in_dram = (gains(table, ours, less=False) for ours in (OURS, IN_DRAM))
    return Figure("F10c", "gain in effective bandwidth, no entry cache", "2.10x, 1.83x, 1.56x",
                  Held([Numbers("", TIMES, of_ours)], of_ours), Held([Numbers("", TIMES, in_dram)], in_dram),
                  dram_of(data))  # fmt: skip


def t5(results: Results) -> Figure:
    """The paper's eight cases are models and data; ours are the layers and heads of the trace."""
    data = results["f10_systems"]
    variance, units = (per_head(data, name).sel(system=CLUSTERED) for name in ("unit_variance", "units"))
    of = {name: variance.sel(system=name) for name in CLUSTERED}
    mean = variance.mean("seed").transpose("system", ...)
    lowest = int((mean.argmin("system") == CLUSTERED.index(OURS)).sum())
    return Figure(
        "T5",
        "mean variance of the clusters",
        "206.7..146.1 / 132.1..94.7 / 125.2..90.8; DynaKV lowest in all 8",
        Held(
            [
                Numbers("", COUNT, each(variance, "system")),
                Numbers("units of a head", COUNT, each(units, "system")),
            ],
            {
                "PQCache over ClusterKV": log_ratio(of["PQCache"], of["ClusterKV"]),
                "ClusterKV over DynaKV": log_ratio(of["ClusterKV"], of[OURS]),
            },
        ),
        note=f"DynaKV lowest in {lowest} of {mean[0].size} heads",
    )


def over_buffer(data: xr.Dataset, name: str) -> xr.DataArray:
    """A summary over the entries of the pending buffer: [buffer_entries, seed]."""
    key = "system.clustering.buffer_entries"
    table = data[name].reset_coords(drop=True).assign_coords(variant=settings(data, key))
    return table.rename(variant=key.split(".")[-1])


def f11(results: Results) -> Figure:
    """All bytes read over the pending buffer; the largest buffer decides."""
    data = results["f11_buffer"]
    everything, updates = (over_buffer(data, f"{name}bytes_per_step") for name in ("", "update_"))
    less = log_ratio(everything.sel(buffer_entries=0), everything)
    largest = int(everything.buffer_entries[-1])
    share = (updates / everything).sel(buffer_entries=0, drop=True)
    return Figure(
        "F11",
        "bytes read over the pending buffer of 0 to 16 entries",
        "up to 2.32x less",
        Held(
            [
                Numbers(
                    "less with entries",
                    CLOSELY,
                    each(less.isel(buffer_entries=slice(1, None)), "buffer_entries"),
                ),
                Numbers("updates cause of them without a buffer", Form(".2f", " %", 100), {"": share}),
            ],
            {"": less.sel(buffer_entries=largest, drop=True)},
        ),
    )


def f11_updates(results: Results) -> Figure:
    """The part of them that splits cause."""
    data = results["f11_buffer"]
    read = over_buffer(data, "update_bytes_per_step")
    some = at_least_a_block(read, data)
    less = log_ratio(some.sel(buffer_entries=0), some)
    return Figure(
        "F11, updates",
        "the same, what updates of the clusters cause",
        "not stated apart",
        Held(
            [Numbers("kB a step with entries", Form(".3f", scale=1e-3), each(read, "buffer_entries"))],
            {"": less.isel(buffer_entries=-1, drop=True)},
        ),
    )


def f12(results: Results) -> Figure:
    """Length of contiguous reads."""
    data = results["f12_continuity"]
    length = variants_of(data, "contiguous_mean")
    longest = float(data.contiguous_max.sel(variant="dual head, correlated").max())
    pools, clusters, tokens = (
        length[name] for name in ("dual head, correlated", "cluster contiguous", "token order")
    )
    return Figure(
        "F12",
        "mean contiguous read, entries: token order / cluster / plus inter-cluster",
        "< 7.9 / 25.3 / 40.8; longest 68",
        Held(
            [Numbers("", COUNT, length)],
            {"clusters": log_ratio(clusters, tokens), "pools": log_ratio(pools, clusters)},
        ),
        note=f"longest {longest:.0f}",
    )


def f12_pairing(results: Results) -> Figure:
    """What the co-retrieval adds to the pools."""
    length = variants_of(results["f12_continuity"], "contiguous_mean")
    lead = log_ratio(length["dual head, correlated"], length["dual head, order"])
    return Figure("F12, pairing", "the same, pools by co-retrieval over pools by number", "not stated apart",
                  Held([Numbers("", CLOSELY, {"": lead})], {"": lead}))  # fmt: skip


def f13(results: Results) -> Figure:
    """Bytes that updates move."""
    data = results["f13_updates"]
    moved = variants_of(data, "moved_bytes_per_step")
    some = {name: at_least_a_block(value, data) for name, value in moved.items()}
    less = log_ratio(some["shift"], some["dual head"])
    return Figure(
        "F13",
        "bytes moved by updates a step, naive layout over dual head",
        "> 10^4 x less",
        Held(
            [Numbers("less", Form(".0f", "x", logarithm=True), {"": less}), Numbers("", KILOBYTES, moved)],
            {"": less},
        ),
    )


def f13_space(results: Results) -> Figure:
    """Minor: less than half as much again."""
    space = variants_of(results["f13_updates"], "flash_space")
    more = log_ratio(space["dual head"], space["shift"])
    return Figure("F13, space", "flash of dual head over the naive layout", "minor extra",
                  Held([Numbers("", TIMES, {"": more})], {"": np.log(MINOR_SPACE) - more}))  # fmt: skip


def f14a(results: Results) -> Figure:
    """DRAM without and with layer virtualisation; it must be less with every cache."""
    less = {}
    for label, name in (("in all, cache of", "dram_total_max"), ("of the entry cache", "cache_bytes_max")):
        table = by_system(results.over_caches("f14_cache"), name, "cache")
        ratio = log_ratio(table.sel(system="whole cache in DRAM"), table.sel(system=OURS))
        less[label] = each(ratio, "cache")
    return Figure(
        "F14a",
        "DRAM without over with layer virtualisation",
        "up to 2.22x less",
        Held([Numbers(label, TIMES, values) for label, values in less.items()], less["in all, cache of"]),
    )


def f14b(results: Results) -> Figure:
    """Cluster-aligned replacement against LRU at equal DRAM, with layer virtualisation and without; the mean
    over the caches decides."""
    data = results.over_caches("f14_replacement")
    latency, hits = (by_system(data, name, "cache") for name in ("latency_mean", "hit_rate"))
    whole = ", whole cache in DRAM"
    faster = {
        str(name): log_ratio(latency.sel(system=f"LRU{whole}" if name.endswith(whole) else "LRU"),
                             latency.sel(system=name))
        for name in latency.system.values
        if not name.startswith("LRU")
    }  # fmt: skip
    return Figure(
        "F14b",
        "speedup of cluster-aligned replacement over LRU",
        "up to 1.12x",
        Held(
            [
                *(Numbers(name, CLOSELY, each(ratio, "cache")) for name, ratio in faster.items()),
                Numbers("units found in the cache", PER_CENT, each(hits, "system")),
            ],
            {"": faster["cluster aligned"]},
        ),
        memory=by_system(data, "dram_total_max", "cache"),
    )


def t6(results: Results) -> Figure:
    """Latency of a token over the length so far: on every model, from the first length to the last."""

    def of_system(system: str) -> Held:
        table = latency_over_length(results["f10_systems"], system)
        growth = each(log_ratio(table.isel(length=-1), table.isel(length=0)), "model")
        ends = f"{int(table.length[0])} to {int(table.length[-1])} tokens, longer by"
        return Held(
            [
                Numbers(f"{MODEL} at", MILLISECONDS, each(table.sel(model=MODEL, drop=True), "length")),
                Numbers(ends, CLOSELY, growth),
            ],
            growth,
        )

    return Figure(
        "T6",
        "latency over length, DynaKV",
        "1K to 16K: 84.6 to 376 ms (Qwen-1.5B), 152 to 637, 77 to 677 (Llama-1B), 189 to 1802",
        of_system(OURS),
        of_system(IN_DRAM),
    )


def t6_absolute(_: Results) -> Figure:
    """Milliseconds of a token on the paper's own rig, of the committed results of t6_rig.yaml: met where no
    predicted cell is further off than phones of one kind are apart, and longer is slower."""
    ours, off, factors = dynakv_t6.simulated_ms(), dynakv_t6.errors(), dynakv_t6.factors_off()
    predicted = off.stack()[factors.index]
    growth = (ours / ours.shift(axis=1)).iloc[:, 1:].min(axis=None)
    spread = dynakv_t6.SPREAD_OF_PHONES
    return Figure(
        "T6, absolute",
        "the same on DynaKV's own rig, in milliseconds (t6_rig)",
        "as T6",
        Held([], {"longer": exact(np.log(growth)), "near": exact(np.log(spread / factors.max()))}),
        note=f"{factors.size} cells predicted, {100 * predicted.min():+.0f} to "
        f"{100 * predicted.max():+.0f} %, median {100 * predicted.median():+.0f} %; "
        f"{(factors <= spread).sum()} within {spread}x, the worst {factors.max():.2f}x off; one seed",
    )


def f15(results: Results) -> Figure:
    """Speedup over the retrieved share."""
    source = ("f15_share", "latency_mean", "system.stages.0.budget.share")
    return compared(
        results, "F15", "speedup over the retrieved share", "DynaKV ahead at every share", source, True
    )


def f16(results: Results) -> Figure:
    """Speedup at 8 and 4 bits."""
    source = ("f16_codec", "latency_mean", "system.codec.k.type")
    paper = "1.36x on average, more at 4 bits"
    return compared(results, "F16", "speedup at 8 and 4 bits", paper, source, True)


def f17(results: Results) -> Figure:
    """Speedup on the four phones."""
    source = ("f17_phones", "latency_mean", "phone")
    paper = "ClusterKV 1.28x, PQCache 1.48x; Ace2 slowest"
    figure = compared(results, "F17", "speedup on four phones", paper, source)
    time = by_system(results["f17_phones"], "latency_mean", "phone").sel(system=OURS).mean("seed")
    return figure._replace(note=f"slowest: {time.phone.values[int(np.argmax(time.values))]}")


def f18(results: Results) -> Figure:
    """Energy of a token."""
    source = ("f10_systems", "energy_per_token", "model")
    return compared(results, "F18", "energy of a token over DynaKV's", "1.57x on average", source)


FIGURES: list[Callable[[Results], Figure]] = [
    t1, t2, f3b, f4, f7, f10a, f10b, f10c, t5, f11, f11_updates, f12, f12_pairing, f13, f13_space, f14a, f14b,
    t6, t6_absolute, f15, f16, f17, f18,
]  # fmt: skip


def direction(lead: Estimate) -> str:
    """`yes` and `no`: the interval lies above or below 1; what is exact has no width."""
    if lead.is_exact:
        return "yes" if lead.mean > 1 else "no"
    return "yes" if lead.low > 1 else "no" if lead.high < 1 else "undecided"


def dram_text(memory: xr.DataArray | None) -> str:
    """What each system needs, on the one model or the mean of what was varied, and how far they are apart."""
    if memory is None:
        return ""
    shown = memory.sel(model=MODEL) if "model" in memory.dims else memory
    needed = shown.mean([name for name in shown.dims if name != "system"]) / 1e6
    listed = "; ".join(
        f"{name} {value:.2f}" for name, value in zip(needed.system.values, needed.values, strict=True)
    )
    apart = float((memory.max("system") / memory.min("system")).max())
    return f"{listed} MB; at most {apart:.2f}x apart"


COLUMNS = [
    "trace", "figure", "measured", "paper",
    "ours", "lead", "low", "high", "direction",
    "ours in DRAM", "lead in DRAM", "low in DRAM", "high in DRAM", "direction in DRAM",
    "DRAM", "why not",
]  # fmt: skip


def held_cells(held: Held | None, note: str) -> list[object]:
    if held is None:
        return ["", np.nan, np.nan, np.nan, ""]
    lead = held.lead()
    return ["; ".join(part for part in (held.text(), note) if part), *lead, direction(lead)]


def cells(trace: str, figure: Figure, why: Callable[[str], str]) -> list[object]:
    of_ours, in_dram = held_cells(figure.ours, figure.note), held_cells(figure.in_dram, "")
    reason = why(figure.name) if of_ours[-1] != "yes" else ""
    return [
        trace,
        figure.name,
        figure.measured,
        figure.paper,
        *of_ours,
        *in_dram,
        dram_text(figure.memory),
        reason,
    ]


def figure_if_run(figure: Callable[[Results], Figure], results: Results) -> Figure | None:
    """None where its experiment was not run on the trace."""
    try:
        return figure(results)
    except FileNotFoundError:
        return None


def compare(results: Results, why: Callable[[Results, str], str]) -> pd.DataFrame:
    """The table of all figures that were run on one trace. `why` is asked where a direction is not the
    paper's."""
    name = results.name()
    found = [figure_if_run(figure, results) for figure in FIGURES]
    rows = [cells(name, one, lambda key: why(results, key)) for one in found if one is not None]
    return pd.DataFrame(rows, columns=COLUMNS)


def depends_on_trace(figure: Figure) -> bool:
    return any(lead.dims for lead in figure.ours.leads.values())


def compare_all(of_traces: Sequence[Results]) -> pd.DataFrame:
    """The same over several traces at once, which are drawn as seeds are, of figures that were run on each
    and depend on the trace; reasons are those of each trace."""
    rows = []
    for figure in FIGURES:
        of_each = {results.name(): figure_if_run(figure, results) for results in of_traces}
        if all(of_each.values()) and any(map(depends_on_trace, of_each.values())):
            rows.append(cells(ALL_TRACES, joined(of_each), lambda _: ""))
    return pd.DataFrame(rows, columns=COLUMNS)


def joined(figures: Mapping[str, Figure]) -> Figure:
    """One figure over several traces: what they have in common. DRAM is that of each trace."""
    first = next(iter(figures.values()))
    in_dram = None
    if first.in_dram is not None:
        in_dram = joined_held({trace: figure.in_dram for trace, figure in figures.items() if figure.in_dram})
    ours = joined_held({trace: figure.ours for trace, figure in figures.items()})
    return first._replace(ours=ours, in_dram=in_dram, memory=None, note="")


def joined_held(of_trace: Mapping[str, Held]) -> Held:
    first = next(iter(of_trace.values()))
    numbers = []
    for number, one in enumerate(first.numbers):
        values = over_traces({trace: held.numbers[number].values for trace, held in of_trace.items()
                              if number < len(held.numbers)})  # fmt: skip
        numbers.append(one._replace(values=values))
    return Held(
        [one for one in numbers if one.values], over_traces({t: held.leads for t, held in of_trace.items()})
    )
