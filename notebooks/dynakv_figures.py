"""Draws DynaKV's figures from the results of configs/paper/dynakv, in the paper's form."""

import numpy as np
import pandas as pd
from dynakv_partition import co_retrieval, drift_of_partition
from dynakv_results import (
    MODEL,
    REUSED_WITHIN,
    Results,
    bandwidth_over_size,
    by_capacity,
    grid,
    latency_over_length,
    over_buffer,
    relative_quality,
    retrieved_share,
    reuse_of_updated,
    units_over_steps,
)
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = {"no cluster": "#999999", "PQCache": "#D55E00", "ClusterKV": "#E69F00", "DynaKV": "#0072B2"}
OTHERS = ["#009E73", "#CC79A7", "#56B4E9", "#000000", "#F0E442"]


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


def bars(axes: Axes, table: pd.DataFrame, ylabel: str, title: str) -> None:
    """A group of bars per row, a bar per column; the systems in their colours."""
    systems = [name for name in COLOURS if name in table] or list(table)
    colours = [COLOURS.get(name, OTHERS[i % len(OTHERS)]) for i, name in enumerate(systems)]
    table[systems].plot.bar(ax=axes, color=colours, width=0.8, legend=len(systems) > 1)
    if axes.get_legend():
        axes.legend(
            frameon=False, fontsize=8, ncols=len(systems), loc="lower center", bbox_to_anchor=(0.5, 1.0)
        )
    axes.set(xlabel="", ylabel=ylabel)
    axes.set_title(title, pad=24)
    if max(len(str(x)) for x in table.index) > 8:
        plt.setp(axes.get_xticklabels(), rotation=20, ha="right", rotation_mode="anchor")
    else:
        axes.tick_params(axis="x", rotation=0)


def draw_bandwidth(results: Results) -> None:
    """F3b"""
    _, (axes,) = panels(1)
    curve = bandwidth_over_size(results.curve())
    axes.plot(curve.index / 1024, curve / 1e9, marker="o", color=COLOURS["DynaKV"])
    linear = curve.index[curve.index <= 32 * 1024]
    axes.plot(linear / 1024, linear / 4096 * curve[4096] / 1e9, ":", color="#999999", label="linear")
    axes.axvline(24, color="#D55E00", linewidth=0.8, label="24 KiB")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.set(xlabel="contiguous read [KiB]", ylabel="bandwidth [GB/s]", title="F3b: UFS 4.0, depth 32")
    axes.legend(frameon=False)


def draw_drift(results: Results) -> None:
    """F4"""
    _, (drifting, width, size) = panels(3)
    drift = drift_of_partition(results.trace())
    drifting.plot(drift.index, drift["prompt's"], label="prompt's partition", color=COLOURS["PQCache"])
    drifting.plot(drift.index, drift["best"], label="best partition so far", color="#000000")
    drifting.set(ylabel="variance (best at the prompt = 1)", title="F4: the partition drifts")
    for system, table in units_over_steps(results["f10_systems"]).items():
        width.plot(table["variance"], label=system, color=COLOURS[system])
        size.plot(table["entries"], label=system, color=COLOURS[system])
    width.set(ylabel="variance of a cluster", title="F4: width of the clusters")
    size.set(ylabel="entries of a cluster", title="F4: size of the clusters")
    size.set_yscale("log", base=2)
    size.yaxis.set_major_formatter("{x:.0f}")
    for axes in (drifting, width, size):
        axes.set_xlabel("position [tokens]")
        axes.legend(frameon=False)


def draw_co_retrieval(results: Results) -> None:
    """F7"""
    figure, (axes,) = panels(1, 3.6)
    matrix = co_retrieval(results.trace()).copy()
    np.fill_diagonal(matrix, np.nan)
    image = axes.imshow(matrix / np.nansum(matrix) * 2, cmap="viridis")
    figure.colorbar(image, ax=axes, label="share of the co-retrievals")
    axes.set(xlabel="cluster", ylabel="cluster", title="F7: retrieved together")


def draw_systems(results: Results) -> None:
    """F10a to c"""
    _, (quality, latency, bandwidth) = panels(3)
    data = results["f10_systems"]
    means = pd.DataFrame({name: table.mean() for name, table in relative_quality(data).items()}).T
    bars(quality, means.rename({"relative_mass": "attention mass"}), "no cluster = 1", "F10a: accuracy")
    bars(latency, 1e3 * grid(data, "latency_mean", "model"), "ms a token", "F10b: latency")
    bars(bandwidth, grid(data, "effective_bandwidth", "model") / 1e6, "MB/s", "F10c: effective bandwidth")


def draw_reuse(results: Results) -> None:
    """T2, beside the paper's values."""
    _, (axes,) = panels(1)
    data = results["f10_systems"]
    for (name, values), marker in zip(T2_OF_THE_PAPER.items(), "sD^v", strict=True):
        axes.plot(REUSED_WITHIN, values, ":", marker=marker, color="#999999", label=f"paper, {name}")
    axes.plot(100 * reuse_of_updated(data)[MODEL], marker="o", color=COLOURS["DynaKV"], label="ours")
    axes.axhline(100 * retrieved_share(data), color="#000000", linewidth=0.8, label="any cluster, in a step")
    axes.set_xscale("log", base=2)
    axes.set_xticks(REUSED_WITHIN, REUSED_WITHIN)
    axes.set(xlabel="steps after the update", ylabel="retrieved again [%]", title="T2", ylim=(0, 100))
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def draw_units(results: Results) -> None:
    """The fairness of F10a: quality and variance over the number of units."""
    _, (recall, variance) = panels(2)
    data = results["units"]
    kinds = {"static": "PQCache", "local": "ClusterKV", "adaptive": "DynaKV", "pages": "no cluster"}
    names = pd.Series([str(name).split()[0] for name in data.point.values])
    units = data.units.isel(step=-1).mean(["layer", "head"])
    for kind, system in kinds.items():
        chosen = np.flatnonzero(names == kind)
        style = {"marker": "o", "label": kind, "color": COLOURS[system]}
        recall.plot(units[chosen], 100 * data.recall_mean[chosen], **style)
        variance.plot(units[chosen], data.unit_variance.mean(["step", "layer", "head"])[chosen], **style)
    recall.set(xlabel="units of a head at the end", ylabel="recall [%]", title="at equal numbers of units")
    variance.set(xlabel="units of a head at the end", ylabel="variance of a unit")
    recall.legend(frameon=False)


def draw_buffer_and_runs(results: Results) -> None:
    """F11 and F12"""
    _, (everything, updates, runs) = panels(3)
    volume = over_buffer(results["f11_buffer"])
    for axes, name, unit, factor, title in (
        (everything, "all", "MB read a step", 1e6, "F11: all reads"),
        (updates, "updates", "kB read a step", 1e3, "F11: reads that updates cause"),
    ):
        axes.plot(volume[name] / factor, marker="o", color=COLOURS["DynaKV"])
        axes.set(xlabel="entries of the pending buffer", ylabel=unit, title=title)
        axes.set_ylim(0, 1.1 * volume[name].max() / factor)
    length = results["f12_continuity"].contiguous_mean.to_series()
    runs.barh(length.index, length, color=COLOURS["DynaKV"])
    runs.bar_label(runs.containers[0], fmt="%.1f", padding=3)
    runs.invert_yaxis()
    runs.set(xlabel="mean contiguous read [entries]", title="F12", xlim=(0, 1.15 * length.max()))


def draw_updates(results: Results) -> None:
    """F13"""
    _, (moved, space) = panels(2)
    data = results["f13_updates"]
    for axes, name, unit, factor, title in (
        (moved, "moved_bytes_per_step", "kB a step", 1e3, "F13: moved by updates"),
        (space, "flash_space", "MB of flash", 1e6, "F13: space"),
    ):
        values = data[name].to_series() / factor
        axes.barh(values.index, values, color=COLOURS["DynaKV"])
        axes.bar_label(axes.containers[0], fmt="%.1f", padding=3)
        axes.invert_yaxis()
        axes.set(xlabel=unit, title=title, xlim=(0, 1.15 * values.max()))
    moved.set_xscale("symlog", linthresh=1)
    moved.set_xlim(0, 20 * moved.get_xlim()[1])


def draw_cache(results: Results) -> None:
    """F14"""
    _, (dram, latency) = panels(2)
    data = results["f14_cache"]
    memory = by_capacity(data, "dram_total_max")[["whole cache in DRAM", "DynaKV"]] / 1e6
    bars(
        dram, memory.rename(columns={"DynaKV": "layer by layer"}), "MB of DRAM", "F14a: layer virtualisation"
    )
    columns = {"whole cache in DRAM": "cluster aligned", "LRU, whole cache in DRAM": "LRU"}
    time = 1e3 * by_capacity(data, "latency_mean")[list(columns)].rename(columns=columns)
    bars(latency, time, "ms a token", "F14b: replacement")


def draw_length(results: Results) -> None:
    """T6"""
    _, (axes,) = panels(1)
    for i, (model, times) in enumerate(latency_over_length(results["f10_systems"]).items()):
        axes.plot(times.index, 1e3 * times, marker="o", label=model, color=OTHERS[i % len(OTHERS)])
    axes.set(xlabel="position [tokens]", ylabel="ms a token", title="T6: DynaKV over length", ylim=(0, None))
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def draw_sensitivity(results: Results) -> None:
    """F15 to F17"""
    _, (share, codec, phone) = panels(3)
    by_share = grid(results["f15_share"], "latency_mean", "system.stages.0.budget.share")
    bars(share, 1e3 * by_share, "ms a token", "F15: retrieved share")
    bars(
        codec,
        1e3 * grid(results["f16_codec"], "latency_mean", "system.codec.k.type"),
        "ms a token",
        "F16: bits",
    )
    bars(phone, 1e3 * grid(results["f17_phones"], "latency_mean", "phone"), "ms a token", "F17: phones")


def draw_energy(results: Results) -> None:
    """F18"""
    _, (energy, power) = panels(2)
    data = results["f10_systems"]
    joule = grid(data, "energy_per_token", "model")
    bars(energy, 1e3 * joule, "mJ a token", "F18: energy")
    bars(power, joule / grid(data, "latency_mean", "model"), "W", "F18: power")


def draw_ablation(results: Results) -> None:
    """DynaKV without one of its parts."""
    _, axes = panels(3, 4)
    data = results["ablation"]
    for one, name, factor, label in zip(
        axes,
        ("latency_mean", "effective_bandwidth", "recall_mean"),
        (1e3, 1e-6, 100),
        ("latency [ms a token]", "effective bandwidth [MB/s]", "recall [%]"),
        strict=True,
    ):
        values = factor * data[name].to_series()
        one.barh(values.index, values, color=COLOURS["DynaKV"])
        one.axvline(values.iloc[0], color="#000000", linewidth=0.8)
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # over the line, which stays readable
        one.bar_label(one.containers[0], fmt="%.1f", padding=3, fontsize=8, bbox=paper)
        one.set(xlabel=label, xlim=(0, 1.15 * values.max()))
        one.invert_yaxis()
    axes[0].set_title("without a part of DynaKV")
