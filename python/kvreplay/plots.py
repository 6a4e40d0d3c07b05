"""Pictures of results. Each function draws on the axes it is given and returns them.

Colours are those of matplotlib's style, so that light and dark ones (`plt.style.use("dark_background")`) do.
Where `seed` is a dimension of the data, means over seeds are drawn. Metrics are variables of the data, with
their units; a unit is scaled to what the values are: milliseconds, MB, per cent.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from .errors import Error
from .fronts import LARGEST, SMALLEST, Metric, better, name_of, unbeaten
from .labels import place_labels, short_names
from .points import along_points, summaries

LONGEST_LABEL = 45  # letters of an axis; where a description is longer, the metric's name stands
WIDE = 20.0  # from end to end
GREY = "0.5"  # told apart from a light and a dark ground
MANY_COLOURS = "viridis"
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
SCALED_UNITS = ("s", "B", "J", "B/s")

ENERGY = {
    "compute_energy_j": "cores that compute",
    "base_energy_j": "rest of the phone",
    "dram_energy_j": "DRAM",
    "flash_energy_j": "flash",
    "host_io_energy_j": "core that submits",
}


def pareto(
    data: xr.Dataset,
    axes: Axes,
    x: Metric = "latency_p50",
    y: Metric = "output_error_mean",
    *,
    labels: bool = True,
) -> Axes:
    """The points over two metrics, and the line of those that none beats (see kvreplay.pareto), which divides
    what was reached from what was not.

    `labels` names the points, those of the front first, without covering one another; how many had no room is
    said in the corner. Where all are called by the same keys, these stand above the axes and names are values
    alone. For that the axes must have their final size.
    """
    metrics = name_of(x), name_of(y)
    table = summaries(data, *metrics)
    signs = np.array([1 if better(metric) == "min" else -1 for metric in (x, y)])
    (scale_x, text_x), (scale_y, text_y) = (_scale(table[name]) for name in metrics)
    at = np.stack([table[metrics[0]].to_numpy() * scale_x, table[metrics[1]].to_numpy() * scale_y], axis=1)
    front = unbeaten(at * signs)
    known = np.flatnonzero(np.isfinite(at).all(axis=1))
    front = front[np.isin(front, known)]
    beaten = known[~np.isin(known, front)]
    axes.scatter(at[beaten, 0], at[beaten, 1], s=22, color=GREY, zorder=2)
    axes.scatter(at[front, 0], at[front, 1], s=34, color="C0", zorder=3, label="not beaten")
    line = _steps(at[front][np.argsort(at[front, 0])], signs[0] > 0)
    axes.plot(*line.T, color="C0", linewidth=1.2, zorder=2)
    _spread_out(at[known, 0], axes.set_xscale)
    _spread_out(at[known, 1], axes.set_yscale)
    axes.margins(0.12)
    axes.set(xlabel=text_x, ylabel=text_y)
    _quiet(axes, "both")
    if labels:
        order = np.concatenate((front, beaten))
        names, keys = short_names(table["point"].to_numpy()[order].tolist())
        if keys:
            axes.set_title(f"points by {keys}", loc="left", fontsize="small")
        place_labels(axes, at[order], names, line)
    return axes


def latency_stack(data: xr.Dataset, axes: Axes) -> Axes:
    """What a decode step takes on average, a bar for each point, by parts that add up to `latency_mean`:

    - computing: the processor is busy, with what is not the policy's (`compute_mean - policy_mean`);
    - policy: it is busy with scoring and updating (`policy_mean`);
    - exposed I/O: it is idle, and the flash is busy (`exposed_io_mean`);
    - exposed links: both are idle, and a link between tiers of memory is busy (the rest).

    I/O under computation is in none of them: it takes no time of its own.
    """
    names = ("latency_mean", "compute_mean", "policy_mean", "exposed_io_mean")
    table = summaries(data, *names)
    latency, compute, policy, exposed = (table[name].to_numpy() for name in names)
    rest = latency - compute - exposed
    parts = {"computing": compute - policy, "policy": policy, "exposed I/O": exposed}
    if (np.abs(rest) > 1e-9 * latency).any():
        parts["exposed links"] = rest
    scale, unit = _prefix(latency, "s")
    _stack(axes, table["point"].to_numpy(), {name: scale * part for name, part in parts.items()})
    axes.set_xlabel(f"mean time of a step [{unit}]")
    return axes


def energy_stack(data: xr.Dataset, axes: Axes) -> Axes:
    """The mean energy of a decode step, a bar for each point, by parts that add up to the mean of
    `energy_j`: the cores that compute, the core that submits storage commands, flash, DRAM and the rest of
    the phone. Needs the metrics by step."""
    table = along_points(data, *ENERGY).mean("step")
    parts = {label: table[name].to_numpy() for name, label in ENERGY.items()}
    scale, unit = _prefix(np.sum(list(parts.values()), axis=0), "J")
    _stack(axes, table["point"].to_numpy(), {name: scale * part for name, part in parts.items()})
    axes.set_xlabel(f"mean energy of a step [{unit}]")
    return axes


def recall_over_position(
    data: xr.Dataset, axes: Axes, metric: str = "recall", *, window: int | None = None
) -> Axes:
    """A metric by step, head and layer over the position in the sequence, a line for each point, broken where
    the position jumps: means over layers and heads, and over `window` steps around each (a 40th of them where
    it is not given)."""
    table = along_points(data, metric, "position")
    others = [name for name in table[metric].dims if name not in ("point", "step")]
    values = table[metric].mean(others)
    window = window or max(1, table.sizes["step"] // 40)
    smooth = values.rolling(step=window, center=True, min_periods=1).mean().where(values.notnull())
    scale, text = _scale(table[metric])
    for colour, name in _coloured(table["point"].to_numpy()):
        position, mean = (one.sel(point=name).to_numpy() for one in (table["position"], smooth))
        jumps = np.flatnonzero(np.diff(position) != 1) + 1  # another turn, or the next text
        x, y = (np.insert(values, jumps, np.nan) for values in (position, scale * mean))
        axes.plot(x, y, color=colour, linewidth=1.4, label=name)
    axes.set(xlabel="position in the sequence", ylabel=text)
    _quiet(axes, "both")
    _legend(axes)
    return axes


def layer_head_map(data: xr.Dataset, axes: Axes, metric: str = "recall") -> Axes:
    """A metric by layer and head, mean over the steps, as a map with a colour bar. The data are of one point:
    `data.isel(point=0)`, `data.sel(share=0.1)`."""
    table = along_points(data, metric)
    if table.sizes["point"] != 1:
        raise Error(f"a map is of one point, these are {table.sizes['point']}; choose with sel or isel")
    others = [name for name in table[metric].dims if name not in ("layer", "kv_head")]
    values = table[metric].mean(others).transpose("layer", "kv_head")
    scale, text = _scale(table[metric])
    image = axes.imshow(scale * values.to_numpy(), aspect="auto", cmap=MANY_COLOURS, interpolation="nearest")
    _name_ticks(axes.xaxis, values["kv_head"].to_numpy())
    _name_ticks(axes.yaxis, values["layer"].to_numpy())
    axes.set(xlabel="KV head", ylabel="layer", title=str(table["point"].item()))
    axes.figure.colorbar(image, ax=axes, label=text)
    return axes


def hit_rate_over_capacity(
    data: xr.Dataset, axes: Axes, capacity: str | None = None, metric: str = "hit_rate"
) -> Axes:
    """The share of demanded units that was found in DRAM over the capacity of the cache.

    `capacity` names what stands for it: a swept key, or a summary such as `cache_bytes_max`. Where it is not
    given, it is the swept key that ends in `.capacity`, or what caches took at most. Over a dimension of the
    data there is a line for each combination of the others; otherwise points are single, and where the
    capacity was not swept, which makes no curve, a line above the axes says so.
    """
    capacity = capacity or _capacity_of(data)
    if capacity in data.dims:
        _lines_over(data, axes, capacity, metric)
    else:
        _points_over(data, axes, capacity, metric)
    _quiet(axes, "both")
    return axes


def two_results(
    base: xr.Dataset,
    new: xr.Dataset,
    axes: Axes,
    metric: str = "latency_p50",
    *,
    names: tuple[str, str] = ("base", "new"),
) -> Axes:
    """One summary of two results, a row for each point of either, known by its name: a ring for the base, a
    dot for the new one and a line between them, dotted where the new one is worse, if that is known."""
    before, after = (summaries(data, metric)[metric] for data in (base, new))
    rows = list(dict.fromkeys((*before["point"].to_numpy(), *after["point"].to_numpy())))
    scale, text = _scale(xr.concat((before, after), "point", join="outer", combine_attrs="override"))
    ends = [scale * one.reindex(point=rows).to_numpy() for one in (before, after)]
    worse = ends[1] > ends[0] if metric in SMALLEST else (ends[1] < ends[0]) & (metric in LARGEST)
    height = np.arange(len(rows))
    for row in height:
        style = ":" if worse[row] else "-"
        axes.plot([end[row] for end in ends], [row, row], style, color=GREY, linewidth=1.5, zorder=1)
    axes.scatter(ends[0], height, s=60, facecolors="none", edgecolors="C0", label=names[0], zorder=2)
    axes.scatter(ends[1], height, s=26, color="C1", label=names[1], zorder=3)
    axes.set_yticks(height, rows)
    axes.invert_yaxis()
    axes.margins(y=0.6 / max(1, len(rows)))
    axes.set_xlabel(text)
    _quiet(axes, "x")
    _legend(axes)
    return axes


def _capacity_of(data: xr.Dataset) -> str:
    swept = [
        str(name) for name, one in data.coords.items() if str(one.attrs.get("key", "")).endswith(".capacity")
    ]
    return swept[0] if swept else "cache_bytes_max"


def _lines_over(data: xr.Dataset, axes: Axes, capacity: str, metric: str) -> None:
    values = data[metric].mean("seed", keep_attrs=True) if "seed" in data[metric].dims else data[metric]
    values = values.sortby(capacity)
    others = [name for name in values.dims if name != capacity]
    scale_x, text_x = _scale(data[capacity])
    scale_y, text_y = _scale(values)
    lines = values.reset_coords(drop=True).stack(line=others, create_index=False).transpose("line", capacity)
    names = _line_names(data, others) if others else [""]
    for (colour, name), line in zip(_coloured(names), lines, strict=True):
        axes.plot(scale_x * line[capacity], scale_y * line, "o-", color=colour, label=name, markersize=4)
    _spread_out(data[capacity].to_numpy(), axes.set_xscale)
    axes.set(xlabel=text_x, ylabel=text_y)
    if others:
        _legend(axes)


def _line_names(data: xr.Dataset, dims: Sequence[Any]) -> list[str]:
    names = [""]
    for dim in dims:
        names = [f"{name}, {dim}={value}" for name in names for value in data[dim].to_numpy()]
    return [name.removeprefix(", ") for name in names]


def _points_over(data: xr.Dataset, axes: Axes, capacity: str, metric: str) -> None:
    table = summaries(data, capacity, metric)
    (scale_x, text_x), (scale_y, text_y) = (_scale(table[name]) for name in (capacity, metric))
    at = np.stack([scale_x * table[capacity].to_numpy(), scale_y * table[metric].to_numpy()], axis=1)
    known = np.flatnonzero(np.isfinite(at).all(axis=1))
    at = at[known]
    axes.scatter(at[:, 0], at[:, 1], color="C0", s=34)
    _spread_out(at[:, 0], axes.set_xscale)
    axes.margins(0.12)
    axes.set(xlabel=text_x, ylabel=text_y)
    if "key" not in data[capacity].attrs:
        axes.set_title("capacity was not swept: a dot for what each point has", loc="left", fontsize="small")
    place_labels(axes, at, table["point"].to_numpy()[known].tolist())


def _steps(corners: np.ndarray, level_first: bool) -> np.ndarray:
    """The line through the corners, from left to right, that goes along the axes."""
    if not len(corners):
        return corners
    start, end = corners[:-1], corners[1:]
    turns = np.stack((end[:, 0], start[:, 1]) if level_first else (start[:, 0], end[:, 1]), axis=1)
    return np.concatenate((np.stack((start, turns), axis=1).reshape(-1, 2), corners[-1:]))


def _stack(axes: Axes, points: np.ndarray, parts: Mapping[str, np.ndarray]) -> None:
    """Horizontal bars, the first point on top."""
    rows = np.arange(len(points))
    left = np.zeros(len(points))
    for number, (name, part) in enumerate(parts.items()):
        axes.barh(rows, part, left=left, height=0.7, color=f"C{number}", label=name)
        left = left + np.nan_to_num(part)
    axes.set_yticks(rows, points)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.05 * left.max(initial=0) or 1)
    _quiet(axes, "x")
    _legend(axes)


def _scale(values: xr.DataArray) -> tuple[float, str]:
    """What values are multiplied by to be drawn, and the label of their axis."""
    unit = str(values.attrs.get("units", "1"))
    name = str(values.attrs.get("long_name", values.name))
    if len(name) > LONGEST_LABEL:
        name = str(values.name)
    factor = 1.0
    if unit == "1":
        largest = float(np.nanmax(np.abs(values), initial=0))
        factor, unit = (100.0, "%") if 0 < largest <= 1 else (1.0, "")
    elif unit in SCALED_UNITS:
        factor, unit = _prefix(values.to_numpy(), unit)
    return factor, f"{name} [{unit}]" if unit else name


def _prefix(values: np.ndarray, unit: str) -> tuple[float, str]:
    """The factor and the name of the unit in which the largest value is 1 to 1000."""
    largest = float(np.nanmax(np.abs(values), initial=0))
    size, prefix = next(((size, prefix) for size, prefix in PREFIXES if largest >= size), (1.0, ""))
    return 1 / size, prefix + unit


def _spread_out(values: np.ndarray, set_scale: Callable[..., None]) -> None:
    """A logarithmic scale where the ends of the positive values are more than 20 times apart; where there is
    a zero beside them, linear below the smallest."""
    positive = values[values > 0]
    if not positive.size or (values < 0).any() or positive.max() <= WIDE * positive.min():
        return
    if positive.size == values.size:
        set_scale("log")
    else:
        set_scale("symlog", linthresh=positive.min())


def _coloured(names: np.ndarray | Sequence[str]) -> list[tuple[Any, str]]:
    """A colour for each: those of the style or, where these are too few, along a colour map."""
    cycle = mpl.rcParams["axes.prop_cycle"].by_key().get("color", ["C0"])
    if len(names) <= len(cycle):
        return list(zip(cycle, names, strict=False))
    return list(zip(mpl.colormaps[MANY_COLOURS](np.linspace(0.15, 0.85, len(names))), names, strict=True))


def _name_ticks(axis: Any, names: np.ndarray) -> None:
    """Names at some of the places 0, 1, ..., as many as there is room for."""
    axis.set_major_locator(MaxNLocator(nbins=12, integer=True))
    axis.set_major_formatter(lambda place, _: str(names[int(place)]) if place in range(len(names)) else "")


def _legend(axes: Axes) -> None:
    """Above the axes, in as many columns as there is room for."""
    longest = max((len(name) for name in axes.get_legend_handles_labels()[1]), default=0)
    columns = max(1, min(5, 90 // (longest + 6)))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, fontsize="small")


def _quiet(axes: Axes, lines: Literal["both", "x"]) -> None:
    """Thin lines behind what is drawn, and no frame where there is no scale."""
    axes.grid(True, axis=lines, alpha=0.3, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
