"""Holds each of DynaKV's figures against the results of configs/paper/dynakv.

Every figure is one function that returns a `Row`: what the paper states, what the results say, and by how
much they point in the same direction.
"""

from collections.abc import Callable
from typing import NamedTuple

import dynakv_t6
import numpy as np
import pandas as pd
from dynakv_partition import co_retrieval, drift_of_partition
from dynakv_results import (
    Results,
    bandwidth_over_size,
    by_capacity,
    gains,
    grid,
    latency_over_length,
    listed,
    over_buffer,
    per_head,
    relative_quality,
    retrieved_share,
    reuse_of_updated,
    units_over_steps,
)

BASELINES = ["no cluster", "PQCache", "ClusterKV"]
CLUSTERED = ["PQCache", "ClusterKV", "DynaKV"]


class Row(NamedTuple):
    """One figure. `lead` is the ratio that must exceed 1 for the paper's direction; where there are several,
    the smallest."""

    figure: str
    measured: str
    paper: str
    ours: str
    lead: float


def t1(results: Results) -> Row:
    """KV bytes are arithmetic: layers x KV heads x (key + value) x bytes of a row."""
    models = {config["model"]["name"]: config["model"] for config in results["f10_systems"].attrs["configs"]}
    ours, of_paper = [], []
    for name, at_8k in (("llama-3.2-1b", 0.3), ("llama-3.2-3b", 0.9)):
        model = models[name]
        entry = 2 * model["layers"] * model["kv_heads"] * (model["head_dim"] + 4)
        gigabytes = entry * 1024 * np.array([8, 16, 32, 64]) / 1e9
        ours.append(f"{name} " + "/".join(f"{value:.2f}" for value in gigabytes))
        of_paper.append(at_8k / gigabytes[0])
    return Row(
        "T1",
        "KV bytes at 8K/16K/32K/64K tokens, 8 bits",
        "1B 0.3/0.5/1.1/2.1 GB; 3B 0.9/1.9/3.8/7.5 GB",
        f"{'; '.join(ours)} GB; the paper's are {of_paper[0]:.1f}x and {of_paper[1]:.1f}x, those of 16 bits",
        gigabytes[-1] / gigabytes[0] / 4,
    )


def t2(results: Results) -> Row:
    """Reuse of updated clusters, against any cluster's chance to be retrieved in a step."""
    reuse = reuse_of_updated(results["f10_systems"])
    model = reuse.columns[0]
    alike = reuse.sub(reuse[model], axis=0).abs().max(axis=None)
    any_unit = retrieved_share(results["f10_systems"])
    return Row(
        "T2",
        "updated clusters retrieved within 1/2/4/8/16 steps",
        "Qwen-1.5B 42/48/54/61/67 %, Qwen-3B 59 to 80, Llama-1B 37 to 61, Llama-3B 30 to 55",
        f"{'/'.join(f'{100 * x:.1f}' for x in reuse[model])} %, other models within {100 * alike:.1f} points "
        f"(one trace); any cluster in a step: {any_unit:.1%}",
        reuse[model][1] / any_unit,
    )


def f3b(results: Results) -> Row:
    """Near linear: at least three quarters of it. Saturating: not twice as fast from 24 KiB on."""
    curve = bandwidth_over_size(results.curve())
    linear = curve[24 * 1024] / curve[4096] / 6
    after = curve.iloc[-1] / curve[24 * 1024]
    return Row(
        "F3b",
        "read bandwidth over contiguous size",
        "near linear to 24 KB, then saturating",
        f"4 to 24 KiB: {linear:.0%} of linear; {curve.index[-1] // 1024} KiB: {after:.2f}x that of 24",
        min(linear / 0.75, 2 / after),
    )


def f4(results: Results) -> Row:
    """Static clusters grow and widen, because the best partition leaves the prompt's."""
    drift = drift_of_partition(results.trace())["ratio"]
    over = units_over_steps(results["f10_systems"])
    size = pd.Series({name: table["entries"].iloc[-1] for name, table in over.items()})
    wider = over["PQCache"]["variance"].iloc[-1] / over["PQCache"]["variance"].iloc[0]
    return Row(
        "F4",
        "drift of the partition",
        "static: larger, wider clusters; local: many small ones",
        f"the prompt's partition ends {drift.iloc[-1]:.2f}x as wide as the best; PQCache's clusters widen "
        f"{wider:.2f}x; entries of a unit: {listed(size, '{:.0f}')}",
        min(drift.iloc[-1] / drift.iloc[0], wider, size["PQCache"] / size["ClusterKV"]),
    )


def f7(results: Results) -> Row:
    """Pairs of clusters that the same queries retrieve."""
    matrix = co_retrieval(results.trace())
    pairs = np.sort(matrix[np.triu_indices_from(matrix, 1)])[::-1]
    share = pairs[: len(pairs) // 10].sum() / pairs.sum()
    return Row(
        "F7",
        "co-retrieval of clusters over the prompt",
        "far from uniform",
        f"a tenth of the pairs makes up {share:.0%} of the co-retrievals of a head",
        share / 0.2,
    )


def f10a(results: Results) -> Row:
    """Quality relative to entry-wise retrieval."""
    quality = relative_quality(results["f10_systems"])
    recall, mass = (quality[name][CLUSTERED].mean() for name in ("recall", "relative_mass"))
    return Row(
        "F10a",
        "accuracy, no cluster = 1",
        "DynaKV highest, near 1; PQCache 0.69; 1.38x on average",
        f"recall: {listed(recall, '{:.2f}')}; attention mass: {listed(mass, '{:.2f}')}",
        recall["DynaKV"] / recall[["PQCache", "ClusterKV"]].max(),
    )


def f10b(results: Results) -> Row:
    """Speedup over the baselines."""
    speedup = gains(grid(results["f10_systems"], "latency_mean", "model"), BASELINES)
    return Row("F10b", "speedup of DynaKV", "2.00x, 1.47x, 1.31x", listed(speedup), speedup.min())


def f10c(results: Results) -> Row:
    """Gain in effective bandwidth over the baselines."""
    table = grid(results["f10_systems"], "effective_bandwidth", "model")
    gain = 1 / gains(table, BASELINES)
    return Row("F10c", "gain in effective bandwidth", "2.10x, 1.83x, 1.56x", listed(gain), gain.min())


def t5(results: Results) -> Row:
    """The paper's eight cases are models and data; ours are the layers and heads of the trace."""
    variance = per_head(results["f10_systems"], "unit_variance")[CLUSTERED]
    lowest = (variance.idxmin(axis=1) == "DynaKV").sum()
    mean = variance.mean()
    return Row(
        "T5",
        "mean variance of the clusters",
        "206.7..146.1 / 132.1..94.7 / 125.2..90.8; DynaKV lowest in all 8",
        f"{listed(mean, '{:.1f}')}; DynaKV lowest in {lowest} of {len(variance)} heads",
        min(mean["PQCache"] / mean["ClusterKV"], mean["ClusterKV"] / mean["DynaKV"]),
    )


def f11(results: Results) -> Row:
    """All bytes read over the pending buffer; the largest buffer decides."""
    volume = over_buffer(results["f11_buffer"])
    less, share = less_by_buffer(volume["all"]), (volume["updates"] / volume["all"]).max()
    return Row("F11", "bytes read over the pending buffer of 0 to 16 entries", "up to 2.32x less",
               f"{most(less)}; updates cause {share:.2%} of them at most", less.iloc[-1])  # fmt: skip


def f11_updates(results: Results) -> Row:
    """The part of them that splits cause."""
    less = less_by_buffer(over_buffer(results["f11_buffer"])["updates"])
    return Row("F11, updates", "the same, what updates of the clusters cause", "not stated apart",
               most(less), less.iloc[-1])  # fmt: skip


def less_by_buffer(volume: pd.Series) -> pd.Series:
    """How many times less is read than without a buffer; nothing is as much as nothing."""
    return (volume.iloc[0] / volume).fillna(1.0)


def most(less: pd.Series) -> str:
    most_less = f"up to {less.max():.2f}x less" if np.isfinite(less.max()) else "none is left"
    return f"{most_less}, with {less.idxmax()} entries"


def f12(results: Results) -> Row:
    """Length of contiguous reads."""
    data = results["f12_continuity"]
    length = data.contiguous_mean.to_series()
    return Row(
        "F12",
        "mean contiguous read, entries: token order / cluster / plus inter-cluster",
        "< 7.9 / 25.3 / 40.8; longest 68",
        f"{listed(length, '{:.1f}')}; longest {data.contiguous_max.sel(point='dual head, correlated'):.0f}",
        min(
            length["cluster contiguous"] / length["token order"],
            length["dual head, correlated"] / length["cluster contiguous"],
        ),
    )


def f12_pairing(results: Results) -> Row:
    """What the co-retrieval adds to the pools."""
    length = results["f12_continuity"].contiguous_mean.to_series()
    lead = length["dual head, correlated"] / length["dual head, order"]
    return Row("F12, pairing", "the same, pools by co-retrieval over pools by number", "not stated apart",
               f"{lead:.3f}x", lead)  # fmt: skip


def f13(results: Results) -> Row:
    """Bytes that updates move."""
    moved = results["f13_updates"].moved_bytes_per_step.to_series()
    less = moved["shift"] / moved["dual head"]
    return Row(
        "F13",
        "bytes moved by updates a step, naive layout over dual head",
        "> 10^4 x less",
        f"{less:.0f}x less: {listed(moved / 1e3, '{:.1f} kB')}",
        less,
    )


def f13_space(results: Results) -> Row:
    """Minor: less than half as much again."""
    space = results["f13_updates"].flash_space.to_series()
    more = space["dual head"] / space["shift"]
    return Row(
        "F13, space", "flash of dual head over the naive layout", "minor extra", f"{more:.2f}x", 1.5 / more
    )


def f14a(results: Results) -> Row:
    """DRAM with and without layer virtualisation."""
    less = {
        name: (table["whole cache in DRAM"] / table["DynaKV"]).max()
        for name in ("dram_total_max", "cache_bytes_max")
        for table in [by_capacity(results["f14_cache"], name)]
    }
    return Row(
        "F14a",
        "DRAM without over with layer virtualisation",
        "up to 2.22x less",
        f"up to {less['dram_total_max']:.2f}x less in all, {less['cache_bytes_max']:.1f}x of the entry cache",
        less["dram_total_max"],
    )


def f14b(results: Results) -> Row:
    """Cluster-aligned replacement against LRU, virtual memory aside."""
    latency, hits = (by_capacity(results["f14_cache"], name) for name in ("latency_mean", "hit_rate"))
    faster = latency["LRU, whole cache in DRAM"] / latency["whole cache in DRAM"]
    aligned, lru = hits["whole cache in DRAM"], hits["LRU, whole cache in DRAM"]
    share = ", ".join(f"{a:.0%} against {b:.0%}" for a, b in zip(aligned, lru, strict=True))
    return Row("F14b", "speedup of cluster-aligned replacement over LRU", "up to 1.12x",
               f"{faster.min():.2f}x to {faster.max():.2f}x; units found in the cache: {share}",
               faster.max())  # fmt: skip


def t6(results: Results) -> Row:
    """Latency of a token over the length so far."""
    table = latency_over_length(results["f10_systems"])
    ours = "; ".join(f"{model} " + "/".join(f"{1e3 * x:.1f}" for x in table[model]) for model in table)
    growth = (table / table.shift()).iloc[1:].min(axis=None)
    return Row(
        "T6",
        "latency over length, DynaKV",
        "1K to 16K: 84.6 to 376 ms (Qwen-1.5B), 152 to 637, 77 to 677 (Llama-1B), 189 to 1802",
        f"at {'/'.join(str(length) for length in table.index)} tokens: {ours} ms",
        growth,
    )


def t6_absolute(_: Results) -> Row:
    """Milliseconds of a token on the paper's own rig, of the committed results of t6_rig.yaml: met where no
    predicted cell is further off than phones of one kind are apart, and longer is slower."""
    ours, off, factors = dynakv_t6.simulated_ms(), dynakv_t6.errors(), dynakv_t6.factors_off()
    predicted = off.stack()[factors.index]
    growth = (ours / ours.shift(axis=1)).iloc[:, 1:].min(axis=None)
    within = (factors <= dynakv_t6.SPREAD_OF_PHONES).sum()
    return Row(
        "T6, absolute",
        "the same on DynaKV's own rig, in milliseconds (t6_rig)",
        "as T6",
        f"{factors.size} cells predicted, {100 * predicted.min():+.0f} to {100 * predicted.max():+.0f} %, "
        f"median {100 * predicted.median():+.0f} %; {within} within {dynakv_t6.SPREAD_OF_PHONES}x, "
        f"the worst {factors.max():.2f}x off",
        min(growth, dynakv_t6.SPREAD_OF_PHONES / factors.max()),
    )


def speedup_over(results: Results, name: str, key: str) -> pd.DataFrame:
    """Latency of the baselines over DynaKV's, a row per value of `key`."""
    table = grid(results[name], "latency_mean", key)
    return table[BASELINES].div(table["DynaKV"], axis=0)


def f15(results: Results) -> Row:
    """Speedup over the retrieved share."""
    ahead = speedup_over(results, "f15_share", "system.stages.0.budget.share")
    ours = "; ".join(f"share {share}: {listed(row)}" for share, row in ahead.iterrows())
    return Row(
        "F15", "speedup over the retrieved share", "DynaKV ahead at every share", ours, ahead.min(axis=None)
    )


def f16(results: Results) -> Row:
    """Speedup at 8 and 4 bits."""
    ahead = speedup_over(results, "f16_codec", "system.codec.k.type")
    ours = "; ".join(f"{codec}: {listed(row)}" for codec, row in ahead.iterrows())
    return Row(
        "F16", "speedup at 8 and 4 bits", "1.36x on average, more at 4 bits", ours, ahead.min(axis=None)
    )


def f17(results: Results) -> Row:
    """Speedup on the four phones."""
    table = grid(results["f17_phones"], "latency_mean", "phone")
    speedup = gains(table, ["ClusterKV", "PQCache"])
    slowest = table["DynaKV"].idxmax()
    return Row("F17", "speedup on four phones", "ClusterKV 1.28x, PQCache 1.48x; Ace2 slowest",
               f"{listed(speedup)}; slowest: {slowest}", speedup.min())  # fmt: skip


def f18(results: Results) -> Row:
    """Energy of a token."""
    less = gains(grid(results["f10_systems"], "energy_per_token", "model"), BASELINES)
    return Row("F18", "energy of a token over DynaKV's", "1.57x on average", listed(less), less.min())


FIGURES: list[Callable[[Results], Row]] = [
    t1, t2, f3b, f4, f7, f10a, f10b, f10c, t5, f11, f11_updates, f12, f12_pairing, f13, f13_space, f14a, f14b,
    t6, t6_absolute, f15, f16, f17, f18,
]  # fmt: skip


def direction(lead: float) -> str:
    """`barely`: less than 2 %."""
    return "yes" if lead > 1.02 else "barely" if lead > 1 else "no"


def compare(results: Results, reasons: dict[str, str]) -> pd.DataFrame:
    """The table of all figures. `reasons` were found on the shipped sample: they are shown where the
    direction fails there, and nowhere else."""
    rows = []
    for row in (figure(results) for figure in FIGURES):
        same, why = direction(row.lead), ""
        if same in ("no", "barely"):
            why = reasons.get(row.figure, "") if results.on_sample() else "not looked into on this trace"
        rows.append((row.figure, row.measured, row.paper, row.ours, same, why))
    columns = ["figure", "measured", "paper", "ours", "same direction", "why not"]
    return pd.DataFrame(rows, columns=columns).set_index("figure")
