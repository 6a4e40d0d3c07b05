"""Placements of hbm_placement.yaml against plans that know the future: time that attention reads, by layer.

    kvreplay run configs/paper/seeds/hbm_placement.yaml -o results/hbm_placement.h5
    python configs/paper/seeds/hbm_placement.py results/hbm_placement.h5

prints the tables of hbm_placement.md. Each captured layer is a sample, whose KV heads share both memories.
"""

import argparse
from collections.abc import Callable, Mapping

import numpy as np
from kvreplay.annealing import Cooling, anneal
from kvreplay.placed import Placed, placed
from kvreplay.placement import (
    PAPER,
    Copies,
    Plan,
    Stream,
    least_times,
    look_ahead,
    most_read,
    plan_times,
)

PLACEMENTS = ["PreferHBM", "PreferHBM, paged", "LookAheadOne", "Split"]
PAGE_ENTRIES = 16
ENTRY_BYTES = 256.0  # K and V of 64 channels in fp16
CAPACITY = 3 * 96 * ENTRY_BYTES  # of a layer: three KV heads
KNOWING: Mapping[str, Callable[[Stream, float], Plan]] = {
    "most read, never moved": most_read,
    "next step known": look_ahead,
}


def microseconds(stream: Stream, plan: Plan, copies: Copies) -> float:
    """Mean of a step."""
    return 1e6 * float(plan_times(stream, plan, PAPER, copies).mean())


def annealed(stream: Stream, starts: list[Plan], seed: int, copies: Copies, cooling: Cooling) -> float:
    """The shortest mean step that is found from any of the starts."""
    found = (anneal(stream, start, CAPACITY, PAPER, seed, copies, cooling) for start in starts)
    return min(microseconds(stream, plan, copies) for plan in found)


def of_layer(
    plans: Mapping[str, Placed], seeds: int, copies: Copies, cooling: Cooling
) -> dict[str, np.ndarray]:
    """Mean microseconds of a step, by plan; of annealing one for each seed."""
    stream = plans[PLACEMENTS[0]].stream
    online = {name: microseconds(stream, each.plan, copies) for name, each in plans.items()}
    knowing = {name: plan(stream, CAPACITY) for name, plan in KNOWING.items()}
    best = min(online, key=lambda name: online[name])
    starts = [plans[best].plan, *knowing.values()]
    result = {name: np.array([time]) for name, time in online.items()}
    result |= {name: np.array([microseconds(stream, plan, copies)]) for name, plan in knowing.items()}
    result["annealed"] = np.array([annealed(stream, starts, seed, copies, cooling) for seed in range(seeds)])
    result["all bytes over both bandwidths"] = np.array([1e6 * least_times(stream, PAPER).mean()])
    return result


def interval(values: np.ndarray) -> str:
    """Mean and 95 % interval of Student's t over layers (2.5 % points of t for 1 to 4 degrees of freedom)."""
    if len(values) == 1:
        return f"{values[0]:.2f}"
    t = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}[len(values)]
    return f"{values.mean():.2f} ± {t * values.std(ddof=1) / np.sqrt(len(values)):.2f}"


def table(layers: Mapping[int, dict[str, np.ndarray]]) -> str:
    """Markdown: by plan, microseconds of each layer's step and how many times the annealed plan's."""
    first = next(iter(layers.values()))
    head = ["plan", *(f"layer {layer}, µs" for layer in layers), "times annealed, 95 %", "most"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name in first:
        cells = [_range(times[name]) for times in layers.values()]
        ratios = np.array([times[name].mean() / times["annealed"].mean() for times in layers.values()])
        lines.append(f"| {name} | {' | '.join(cells)} | {interval(ratios)} | {ratios.max():.2f} |")
    return "\n".join(lines)


def _range(values: np.ndarray) -> str:
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{values.mean():.4f} ({values.min():.4f} to {values.max():.4f})"


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", help="of hbm_placement.yaml")
    parser.add_argument("--seeds", type=int, default=3, help="of the annealer")
    parser.add_argument("--moves", type=int, default=30_000, help="from each of the three starts")
    parser.add_argument("--copies", choices=["inclusive", "exclusive"], default="inclusive")
    arguments = parser.parse_args()
    recorded = {
        name: placed(arguments.results, name, page_entries=PAGE_ENTRIES, entry_bytes=ENTRY_BYTES)
        for name in PLACEMENTS
    }
    cooling = Cooling(moves=arguments.moves)
    layers = {
        layer: of_layer(
            {name: recorded[name][layer] for name in PLACEMENTS}, arguments.seeds, arguments.copies, cooling
        )
        for layer in recorded[PLACEMENTS[0]]
    }
    print(table(layers))


if __name__ == "__main__":
    main()
