"""What layers read, and where a stage had placed it, from the units that a results file recorded."""

import os
from dataclasses import dataclass

import numpy as np

from .errors import Error
from .placement import Plan, Stream
from .units import units


@dataclass(frozen=True)
class Placed:
    """Of one layer: its reads, and the plan that its stage made. Pages of all KV heads, head by head."""

    stream: Stream
    plan: Plan


def placed(
    path: str | os.PathLike[str], point: str, *, page_entries: int, entry_bytes: float
) -> dict[int, Placed]:
    """By layer, what a point read and placed in the recorded steps, without the first: its plan is not.

    For a system of pages in token order, a choice for each KV head, and a stage that places pages in every
    step. An entry of a head takes `entry_bytes`. The current entry is read in the first memory, and written
    to the second.

    Raises Error where no stage placed in every recorded step, OSError where the file cannot be read.
    """
    rows = units(path, point=point)
    steps = np.unique(rows["step"])
    heads = np.unique(rows["kv_head"])
    current = rows[rows["role"] == "pinned"].groupby("step")["positions"].first()
    ends = np.array([current[step][-1] for step in steps])  # entries before the current one
    pages = int(-(-(ends[-1] + 1) // page_entries))
    sizes = np.clip(ends[:, None] - page_entries * np.arange(pages), 0, page_entries) * entry_bytes
    if (np.diff(steps) != 1).any():
        raise Error(f"{path}: the recorded steps of '{point}' have gaps")
    result = {}
    for layer, of_layer in rows.groupby("layer"):
        table = np.zeros((2, len(steps), len(heads), pages))
        for which, role in enumerate(("chosen", "placed")):
            those = of_layer[of_layer["role"] == role]
            if role == "placed" and set(those["step"]) != set(steps):
                raise Error(f"{path}: '{point}' places nothing in some of the recorded steps")
            at = (those["step"] - steps[0], np.searchsorted(heads, those["kv_head"]), those["unit"])
            table[which][at] = those["entry_count"] * entry_bytes
        reads, places = table.reshape(2, len(steps), -1)
        every = np.tile(sizes, len(heads))
        fixed = np.full(len(steps) - 1, len(heads) * entry_bytes)
        result[int(layer)] = Placed(
            Stream(reads[1:], every[1:], fixed, fixed.copy()), (places[:-1] > 0) & (every[1:] > 0)
        )
    return result
