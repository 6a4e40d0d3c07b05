"""Draws DynaKV's figures from the results of configs/paper/dynakv, in the paper's form.

Error bars are the 95 % intervals of paired.py."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from dynakv_paper import each, over_buffer, variants_of
from dynakv_partition import co_retrieval, drift_of_partition
from dynakv_reasons import changed
from dynakv_results import (
    CLUSTERED,
    COMPARED,
    IN_DRAM,
    MODEL,
    OURS,
    REUSED_WITHIN,
    Results,
    bandwidth_over_size,
    by_system,
    latency_over_length,
    log_ratio,
    per_head,
    retrieved_share,
    reuse_of_updated,
    units_over_steps,
)
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from paired import Estimate, estimate

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = {
    "no cluster": "#999999",
    "PQCache": "#D55E00",
    "ClusterKV": "#E69F00",
    OURS: "#0072B2",
    IN_DRAM: "#56B4E9",
}
OTHERS = ["#009E73", "#CC79A7", "#56B4E9", "#000000", "#F0E442"]
ERRORS = {"ecolor": "#333333", "capsize": 2, "error_kw": {"elinewidth": 0.8}}
LINES = {"capsize": 2, "elinewidth": 0.8, "marker": "o"}


# Table 2, per cent after 1, 2, 4, 8 and 16 steps.
T2_OF_THE_PAPER = {
    "Qwen2.5-1.5B": [42.4, 47.9, 53.7, 60.5, 67.0],
    "Qwen2.5-3B": [59.4, 65.5, 70.9, 76.3, 80.1],
    "Llama3.2-1B": [36.5, 42.3, 48.7, 54.1, 61.4],
    "Llama3.2-3B": [30.1, 36.3, 42.8, 49.6, 54.9],
}


def panels(count: int, height: float = 3.2) -> tuple[Figure, list[Axes]]:
    """A row of panels."""
    figure, axes = plt.subplots(1, count, figsize=(5.2 * count, height), layout="constrained", squeeze=False)
    for one in axes[0]:
        one.spines[["top", "right"]].set_visible(False)
    return figure, list(axes[0])


def means_and_errors(estimates: Sequence[Estimate], factor: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """What matplotlib draws: means, and how far the intervals reach below and above, where there are any."""
    table = factor * np.array(estimates)
    reach = np.array([table[:, 0] - table[:, 1], table[:, 2] - table[:, 0]])
    return table[:, 0], np.nan_to_num(reach)


def compared(table: xr.DataArray) -> list[str]:
    return [name for name in COMPARED if name in table.system]


def bars(axes: Axes, table: xr.DataArray, across: str, factor: float, ylabel: str, title: str) -> None:
    """A group of bars per value of `across`, a bar per system."""
    systems, groups = compared(table), table[across].values
    width = 0.8 / len(systems)
    for number, system in enumerate(systems):
        found = [estimate(table.sel({"system": system, across: group})) for group in groups]
        heights, reach = means_and_errors(found, factor)
        places = np.arange(len(groups)) - 0.4 + (number + 0.5) * width
        axes.bar(places, heights, width, yerr=reach, color=COLOURS[system], label=system, **ERRORS)
    name_groups(axes, groups)
    axes.set(ylabel=ylabel)
    axes.set_title(title, pad=38 if len(systems) > 3 else 24)
    legend_above(axes, 3)


def name_groups(axes: Axes, groups: Sequence[object]) -> None:
    axes.set_xticks(np.arange(len(groups)), [str(group) for group in groups])
    if max(len(str(group)) for group in groups) > 8:
        plt.setp(axes.get_xticklabels(), rotation=20, ha="right", rotation_mode="anchor")


def legend_above(axes: Axes, columns: int) -> None:
    axes.legend(frameon=False, fontsize=8, ncols=columns, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def lying_bars(
    axes: Axes, values: dict[str, xr.DataArray], factor: float, label: str, form: str = "%.1f"
) -> None:
    """A bar per name, with its number."""
    widths, reach = means_and_errors([estimate(value) for value in values.values()], factor)
    drawn = axes.barh(list(values), widths, xerr=reach, color=COLOURS[OURS], **ERRORS)
    axes.bar_label(
        drawn, fmt=form, padding=3, fontsize=8, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    )
    axes.invert_yaxis()
    axes.set(xlabel=label, xlim=(0, 1.2 * (widths + reach[1]).max()))


def draw_bandwidth(results: Results) -> None:
    """F3b"""
    _, (axes,) = panels(1)
    curve = bandwidth_over_size(results.curve())
    axes.plot(curve.index / 1024, curve / 1e9, marker="o", color=COLOURS[OURS])
    linear = curve.index[curve.index <= 32 * 1024]
    axes.plot(linear / 1024, linear / 4096 * curve[4096] / 1e9, ":", color="#999999", label="linear")
    axes.axvline(24, color="#D55E00", linewidth=0.8, label="24 KiB")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.set(xlabel="contiguous read [KiB]", ylabel="bandwidth [GB/s]", title="F3b: UFS 4.0, depth 32")
    axes.legend(frameon=False)


def draw_drift(results: Results) -> None:
    """F4; means over seeds, layers and heads."""
    _, (drifting, width, size) = panels(3)
    drift = drift_of_partition(results.trace(), results.seeds())
    drift = drift.mean(["seed", "layer", "kv_head"]) / drift["best"].isel(position=0).mean()
    drifting.plot(drift.position, drift["static"], label="prompt's partition", color=COLOURS["PQCache"])
    drifting.plot(drift.position, drift["best"], label="best partition so far", color="#000000")
    drifting.set(ylabel="variance (best at the prompt = 1)", title="F4: the partition drifts")
    over = units_over_steps(results["f10_systems"]).mean(["seed", "layer", "kv_head"])
    for system in CLUSTERED:
        one = over.sel(system=system)
        width.plot(over.position, one["variance"], label=system, color=COLOURS[system])
        size.plot(over.position, one["entries"], label=system, color=COLOURS[system])
    width.set(ylabel="variance of a cluster", title="F4: width of the clusters")
    size.set(ylabel="entries of a cluster", title="F4: size of the clusters")
    size.set_yscale("log", base=2)
    size.yaxis.set_major_formatter("{x:.0f}")
    for axes in (drifting, width, size):
        axes.set_xlabel("position [tokens]")
        axes.legend(frameon=False)


def draw_co_retrieval(results: Results) -> None:
    """F7; sum over seeds, layers and heads."""
    figure, (axes,) = panels(1, 3.6)
    matrix = (
        co_retrieval(results.trace(), results.seeds())["together"].sum(["seed", "layer", "kv_head"]).values
    )
    np.fill_diagonal(matrix, np.nan)
    image = axes.imshow(matrix / np.nansum(matrix) * 2, cmap="viridis")
    figure.colorbar(image, ax=axes, label="share of the co-retrievals")
    axes.set(xlabel="cluster", ylabel="cluster", title="F7: retrieved together")


def draw_systems(results: Results) -> None:
    """F10a to c, and the DRAM of every system."""
    _, (quality, latency, bandwidth, dram) = panels(4)
    data = results["f10_systems"]
    tables = [per_head(data, name) for name in ("recall", "relative_mass")]
    relative = [
        np.exp(log_ratio(table.sel(system=CLUSTERED), table.sel(system="no cluster"))) for table in tables
    ]
    kinds = xr.DataArray(["recall", "attention mass"], dims="kind", name="kind")
    bars(quality, xr.concat(relative, kinds), "kind", 1, "no cluster = 1", "F10a: accuracy")
    bars(latency, by_system(data, "latency_mean", "model"), "model", 1e3, "ms a token", "F10b: latency")
    alone = results["f10c_bandwidth"]
    bars(bandwidth, by_system(alone, "effective_bandwidth", "model"), "model", 1e-6, "MB/s",
         "F10c: effective bandwidth, no cache")  # fmt: skip
    bars(dram, by_system(data, "dram_total_max", "model"), "model", 1e-6, "MB", "DRAM in F10a, F10b")


def draw_reuse(results: Results) -> None:
    """T2, beside the paper's values."""
    _, (axes,) = panels(1)
    data = results["f10_systems"]
    for (name, values), marker in zip(T2_OF_THE_PAPER.items(), "sD^v", strict=True):
        axes.plot(REUSED_WITHIN, values, ":", marker=marker, color="#999999", label=f"paper, {name}")
    reuse = reuse_of_updated(data).sel(model=MODEL)
    means, reach = means_and_errors([estimate(reuse.sel(within=steps)) for steps in REUSED_WITHIN], 100)
    axes.errorbar(REUSED_WITHIN, means, reach, color=COLOURS[OURS], label="ours", **LINES)
    any_unit = 100 * estimate(retrieved_share(data)).mean
    axes.axhline(any_unit, color="#000000", linewidth=0.8, label="any cluster, in a step")
    axes.set_xscale("log", base=2)
    axes.set_xticks(REUSED_WITHIN, REUSED_WITHIN)
    axes.set(xlabel="steps after the update", ylabel="retrieved again [%]", title="T2", ylim=(0, 100))
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def draw_units(results: Results) -> None:
    """The fairness of F10a: quality and variance over the number of units; means over seeds."""
    _, (recall, variance) = panels(2)
    data = results["units"]
    kinds = {"static": "PQCache", "local": "ClusterKV", "adaptive": OURS, "pages": "no cluster"}
    units, quality, width = (by_system(data, data[name].mean("step")).mean(["seed", "layer", "kv_head"])
                             for name in ("units", "recall", "unit_variance"))  # fmt: skip
    for kind, system in kinds.items():
        chosen = [name for name in units.system.values if str(name).split()[0] == kind]
        style = {"marker": "o", "label": kind, "color": COLOURS[system]}
        recall.plot(units.sel(system=chosen), 100 * quality.sel(system=chosen), **style)
        variance.plot(units.sel(system=chosen), width.sel(system=chosen), **style)
    recall.set(xlabel="units of a head, mean", ylabel="recall [%]", title="at equal numbers of units")
    variance.set(xlabel="units of a head, mean", ylabel="variance of a unit")
    recall.legend(frameon=False)


def draw_buffer_and_runs(results: Results) -> None:
    """F11 and F12"""
    _, (everything, updates, runs) = panels(3)
    for axes, name, unit, factor, title in (
        (everything, "bytes_per_step", "MB read a step", 1e-6, "F11: all reads"),
        (updates, "update_bytes_per_step", "kB read a step", 1e-3, "F11: reads that updates cause"),
    ):
        table = over_buffer(results["f11_buffer"], name)
        means, reach = means_and_errors(
            [estimate(one) for one in each(table, "buffer_entries").values()], factor
        )
        axes.errorbar(table.buffer_entries, means, reach, color=COLOURS[OURS], **LINES)
        axes.set(xlabel="entries of the pending buffer", ylabel=unit, title=title)
        axes.set_ylim(0, 1.1 * (means + reach[1]).max())
    lying_bars(
        runs, variants_of(results["f12_continuity"], "contiguous_mean"), 1, "mean contiguous read [entries]"
    )
    runs.set_title("F12")


def draw_updates(results: Results) -> None:
    """F13"""
    _, (moved, space) = panels(2)
    data = results["f13_updates"]
    lying_bars(moved, variants_of(data, "moved_bytes_per_step"), 1e-3, "kB a step")
    lying_bars(space, variants_of(data, "flash_space"), 1e-6, "MB of flash")
    moved.set_title("F13: moved by updates")
    space.set_title("F13: space")
    moved.set_xscale("symlog", linthresh=1)
    moved.set_xlim(0, 20 * moved.get_xlim()[1])


def draw_cache(results: Results) -> None:
    """F14"""
    _, (dram, latency, hits) = panels(3)
    table = by_system(results.over_caches("f14_cache"), "dram_total_max", "cache")
    caches = table.cache.values
    for number, (system, label) in enumerate(
        (("whole cache in DRAM", "whole cache"), (OURS, "layer by layer"))
    ):
        found = [estimate(table.sel(system=system, cache=cache)) for cache in caches]
        heights, reach = means_and_errors(found, 1e-6)
        places = np.arange(len(caches)) - 0.2 + 0.4 * number
        colour = ("#999999", COLOURS[OURS])[number]
        dram.bar(places, heights, 0.4, yerr=reach, color=colour, label=label, **ERRORS)
    name_groups(dram, caches)
    dram.set(ylabel="MB of DRAM", xlabel="entry cache, of all entries")
    dram.set_title("F14a: layer virtualisation", pad=24)
    legend_above(dram, 2)
    for axes, name, factor, label in (
        (latency, "latency_mean", 1e3, "ms a token"),
        (hits, "hit_rate", 100, "units found in the cache [%]"),
    ):
        table = by_system(results.over_caches("f14_replacement"), name, "cache")
        for number, system in enumerate(table.system.values):
            found = [estimate(one) for one in each(table.sel(system=system), "cache").values()]
            means, reach = means_and_errors(found, factor)
            colour = OTHERS[number % 3]
            line = ":" if system.endswith("whole cache in DRAM") else "-"
            axes.errorbar(table.cache, means, reach, color=colour, linestyle=line, label=system, **LINES)
        axes.set(ylabel=label, xlabel="entry cache, of all entries")
    latency.set_title("F14b: replacement at equal DRAM")
    hits.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def draw_length(results: Results) -> None:
    """T6"""
    _, panes = panels(2)
    for axes, system in zip(panes, (OURS, IN_DRAM), strict=True):
        table = latency_over_length(results["f10_systems"], system)
        for i, model in enumerate(table.model.values):
            found = [estimate(one) for one in each(table.sel(model=model), "length").values()]
            means, reach = means_and_errors(found, 1e3)
            axes.errorbar(table.length, means, reach, label=model, color=OTHERS[i % len(OTHERS)], **LINES)
        axes.set(xlabel="position [tokens]", ylabel="ms a token", title=f"T6: {system}", ylim=(0, None))
    panes[-1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def draw_sensitivity(results: Results) -> None:
    """F15 to F17"""
    _, panes = panels(3)
    for axes, (experiment, key, title) in zip(
        panes,
        (
            ("f15_share", "system.stages.0.budget.share", "F15: retrieved share"),
            ("f16_codec", "system.codec.k.type", "F16: bits"),
            ("f17_phones", "phone", "F17: phones"),
        ),
        strict=True,
    ):
        table = by_system(results[experiment], "latency_mean", key)
        bars(axes, table, key.split(".")[-1], 1e3, "ms a token", title)


def draw_energy(results: Results) -> None:
    """F18"""
    _, (energy, power) = panels(2)
    data = results["f10_systems"]
    joule, time = (by_system(data, name, "model") for name in ("energy_per_token", "latency_mean"))
    bars(energy, joule, "model", 1e3, "mJ a token", "F18: energy")
    bars(power, joule / time, "model", 1, "W", "F18: power")


def draw_ablation(results: Results) -> None:
    """DynaKV with one of its parts changed: how many times better it is, in pairs."""
    _, axes = panels(4, 4.5)
    for one, name, less, label in zip(
        axes,
        ("latency_mean", "energy_per_token", "dram_total_max", "recall"),
        (True, True, True, False),
        ("latency", "energy", "DRAM", "recall"),
        strict=True,
    ):
        gains = changed(results, name, less)
        means, reach = means_and_errors([estimate(gain).exp() for gain in gains.values()])
        places = np.arange(len(gains))
        one.errorbar(means, places, xerr=reach, linestyle="none", color=COLOURS[OURS], **LINES)
        one.axvline(1, color="#000000", linewidth=0.8)
        one.set_yticks(places, list(gains) if one is axes[0] else [""] * len(gains))
        one.invert_yaxis()
        one.set(xlabel=f"{label}, times better than DynaKV")
    axes[0].set_title("a part of DynaKV changed")
