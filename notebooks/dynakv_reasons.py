"""Why a direction of DynaKV's figures is not met: what an experiment shows that changes one thing alone.

Each reason is looked for in the results at hand, and said with its interval where it is found."""

from collections.abc import Callable

import xarray as xr
from dynakv_paper import RELATIVE, TIMES, at_least_a_block, over_buffer, variants_of
from dynakv_results import OURS, Results, by_system, log_ratio
from paired import estimate

NOT_FOUND = "not found"
MOST = 3  # parts that are named


def changed(results: Results, summary: str, less: bool = True) -> dict[str, xr.DataArray]:
    """By how many times each change of the ablation betters a summary, or the mean of what is recorded by
    layer and head: the logarithm."""
    data = results["ablation"]
    array = data[summary].mean("step") if "step" in data[summary].dims else data[summary]
    table = by_system(data, array)
    sign = 1 if less else -1
    return {
        str(part): sign * log_ratio(table.sel(system=OURS), table.sel(system=part))
        for part in table.system.values
        if part != OURS
    }


def better_with(results: Results, summary: str, what: str, less: bool = True) -> str:
    """The changes of the ablation after which a summary is surely better, the best first."""
    gains = changed(results, summary, less)
    found = {part: estimate(gain) for part, gain in gains.items() if not is_several(part, set(gains))}
    better = sorted(
        (part for part, gain in found.items() if gain.low > 0), key=lambda part: -found[part].mean
    )
    if not better:
        return f"{NOT_FOUND}: no change of the ablation has {what}"
    form = TIMES._replace(spec=".3f")
    named = ", ".join(f"{part} {form.text(found[part])}" for part in better[:MOST])
    return f"ablation, {what}: {named}"


def is_several(part: str, parts: set[str]) -> bool:
    """Whether a change is made of others: `A, B`."""
    pieces = part.split(", ")
    return len(pieces) > 1 and all(piece in parts for piece in pieces)


def latency(results: Results) -> str:
    return better_with(results, "latency_mean", "faster")


def energy(results: Results) -> str:
    return better_with(results, "energy_per_token", "less energy")


def recall(results: Results) -> str:
    return f"{better_with(results, 'recall', 'more recall', less=False)}; {at_more_units(results, 'recall')}"


def variance(results: Results) -> str:
    return at_more_units(results, "unit_variance")


def at_more_units(results: Results, name: str) -> str:
    """What another threshold alone makes of DynaKV, relative to ClusterKV's windows."""
    data = results["units"]
    table, units = (by_system(data, data[one].mean("step")) for one in (name, "units"))
    local = "local 2"
    numbers = []
    for system in (one for one in table.system.values if str(one).startswith("adaptive")):
        ratio, more = (
            estimate(log_ratio(one.sel(system=system), one.sel(system=local))) for one in (table, units)
        )
        numbers.append(f"{RELATIVE.text(ratio)} with {RELATIVE.text(more)} of the units ({system})")
    return f"of that of windows (units): {', '.join(numbers)}"


def buffer(results: Results) -> str:
    data = results["f11_buffer"]
    everything, updates = (over_buffer(data, f"{name}bytes_per_step") for name in ("", "update_"))
    most = log_ratio(everything, everything - updates).sel(buffer_entries=0, drop=True)
    return (
        f"were no byte read for updates, {TIMES._replace(spec='.4f').text(estimate(most))} less would be read"
    )


def space(results: Results) -> str:
    found = variants_of(results["f13_updates"], "flash_space")
    more = log_ratio(found["dual head, static clusters"], found["shift, static clusters"])
    return f"without splits, {TIMES.text(estimate(more))} the flash of the naive layout"


def moved(results: Results) -> str:
    data = results["f13_updates"]
    found = {
        name: at_least_a_block(value, data)
        for name, value in variants_of(data, "moved_bytes_per_step").items()
    }
    less = log_ratio(found["shift, static clusters"], found["dual head, static clusters"])
    return f"without splits, {TIMES._replace(spec='.0f').text(estimate(less))} less"


def rig(_: Results) -> str:
    return f"{NOT_FOUND}: the paper says neither the share that is retrieved nor the size of the cache"


def sixteen_bits(_: Results) -> str:
    return "the paper's are those of 16 bits, but for their rounding"


REASONS: dict[str, Callable[[Results], str]] = {
    "T1": sixteen_bits,
    "F10a": recall,
    "F10b": latency,
    "T5": variance,
    "F11": buffer,
    "F13": moved,
    "F13, space": space,
    "T6, absolute": rig,
    "F15": latency,
    "F16": latency,
    "F17": latency,
    "F18": energy,
}


def why(results: Results, figure: str) -> str:
    """The reason, or that none was found."""
    try:
        return REASONS[figure](results) if figure in REASONS else NOT_FOUND
    except FileNotFoundError:
        return "what would show it was not run on this trace"
