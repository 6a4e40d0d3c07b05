"""Draws KVSwap's figures from the results of scripts/paper-kvswap."""

from pathlib import Path

from kvswap_paper import BATCHES, DEVICES, GROUPS, Results, batches_of
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from plot_recall_latency import COLOURS, MARKERS

SYSTEMS = ("KVSwap", "ShadowKV", "FlexGen", "InfiniGen*")
# Tokens/s at batches of 1 and 16, as notes on the paper tell them.
PAPER = {
    "nvme": {"KVSwap": (6.9, 46.8), "ShadowKV": (6.4, 26.7), "FlexGen": (0.4, 0.4)},
    "emmc": {"KVSwap": (5.9, 15.8), "ShadowKV": (3.0, 4.1)},
}


def draw_throughput(folder: Path) -> Figure:
    """Lines: here; open markers: the paper."""
    results = Results(folder / "throughput.h5")
    figure, both = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for axes, (device, title) in zip(both, DEVICES.items(), strict=True):
        for at, system in enumerate(SYSTEMS):
            look = {"color": COLOURS[at], "marker": MARKERS[at]}
            axes.plot(BATCHES, batches_of(results, device, system), label=system, **look)
            if system in PAPER[device]:
                ends = (BATCHES[0], BATCHES[-1])
                axes.plot(ends, PAPER[device][system], linestyle="none", markerfacecolor="none", **look)
        axes.set(title=f"{title}, Llama-3.1-8B, 32K", xlabel="batch", xscale="log", yscale="log")
        axes.set_xticks(BATCHES, [str(batch) for batch in BATCHES])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    both[0].set_ylabel("tokens/s")
    both[0].legend(frameon=False)
    return figure


def draw_groups(folder: Path) -> Figure:
    """Speed over the size of a group on both devices, and the attention mass that it costs."""
    results = Results(folder / "group_size.h5")
    quality = Results(folder / "quality.h5")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for at, (device, title) in enumerate(DEVICES.items()):
        speeds = [results.speed(device, f"page_tokens={group}") for group in GROUPS]
        relative = [speed / max(speeds) for speed in speeds]
        left.plot(GROUPS, relative, label=title, color=COLOURS[at], marker=MARKERS[at])
    left.set(xlabel="entries of a group", ylabel="tokens/s, share of the best", xscale="log", ylim=(0, 1.05))
    for at, ranked in enumerate(("all directions", "rank an eighth", "rank a 32nd")):
        groups = (1, 4, 8, 16)
        masses = [quality.cells("mass", ranked, f"page_tokens={group}").mean() for group in groups]
        right.plot(
            groups, [100 * mass for mass in masses], label=ranked, color=COLOURS[at], marker=MARKERS[at]
        )
    right.set(xlabel="entries of a group", ylabel="attention mass [%]", xscale="log")
    for axes in (left, right):
        axes.set_xticks(GROUPS, [str(group) for group in GROUPS])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure
