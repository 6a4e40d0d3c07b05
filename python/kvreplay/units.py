"""What stages chose, unit by unit, in the steps of `record.units`."""

import os
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pandas as pd

from .errors import Error
from .results import _results, _text, _texts

Table = Literal["choices", "entries", "extents", "requests"]

# What of a choice its entries and extents say too.
KEYS = ["point", "step", "layer", "sequence", "kv_head", "query_head", "stage", "role", "unit", "rank"]


def units(
    path: str | os.PathLike[str], table: Table = "choices", *, point: str | None = None
) -> pd.DataFrame:
    """What was recorded of the units of all points, or of `point`, as a table.

    - "choices": a row for each unit of each choice, with `role` ("chosen", "pinned", "missed", ...), `stage`,
      `unit`, `rank` (0: not ranked), `score`, `weight` (true softmax, summed over its entries),
      `entry_count`, `in_first_tier` (of its entries; -1: nothing was asked of the memory), `came_ahead`,
      `hit` (all of them were in the first tier or, where nothing was asked, <NA>), `read_bytes` of records,
      and `positions`, an array of the entries' positions.
    - "entries": a row for each of those entries, with `position`, `tier` (its name, or None) and `weight`.
    - "extents": a row for each range of flash that was read for a unit: `offset_bytes`, `length_bytes`.
    - "requests": what each layer asked the flash for, in whole blocks and over all its heads: `use`,
      `offset_bytes`, `length_bytes`.

    `kv_head` is -1 where all heads of a layer decide as one, `query_head` where a choice is that of all,
    `unit` where entries are of none; `stage` is None where no stage chose.

    Raises OSError where the file cannot be read, Error where it is no results file, has no units of the point
    or no such point.
    """
    with _results(Path(path)) as file:
        names, recorded = _points(path, file, point)
        if table == "requests":
            requests = _columns(file["unit_record/requests"])
            requests["use"] = _flags(file["unit_record/requests/use"], requests["use"])
            return _of_points(requests, names, recorded).reset_index(drop=True)
        choices = _choices(file, names)
        kept = choices["point"].isin([names[place] for place in recorded])
        if table == "choices":
            return _with_lists(file, choices)[kept].reset_index(drop=True)
        if table not in ("entries", "extents"):
            raise Error(
                f"there is no table '{table}' of units; there are choices, entries, extents, requests"
            )
        parts = _columns(file[f"unit_record/{table}"])
        owners = parts.pop("choice").to_numpy()
        if table == "entries":
            parts["tier"] = _tier_names(file, choices["place"].to_numpy()[owners], parts["tier"].to_numpy())
        keys = choices[KEYS].iloc[owners].reset_index(drop=True)
        joined = pd.concat([keys, parts], axis=1)
        return joined[kept.to_numpy()[owners]].reset_index(drop=True)


def _points(path: str | os.PathLike[str], file: h5py.File, point: str | None) -> tuple[list[str], list[int]]:
    """The names of all points, and the places of those that are wanted and have units."""
    names = _texts(file["point"])
    if point is not None and point not in names:
        raise Error(f"{path}: has no point '{point}'; there are: {', '.join(names)}")
    has = (
        [bool(text) for text in _texts(file["unit_record/tiers"])]
        if "unit_record" in file
        else [False] * len(names)
    )
    wanted = [place for place, name in enumerate(names) if has[place] and point in (None, name)]
    if not wanted:
        of = "" if point is None else f" of the point '{point}'"
        raise Error(
            f"{path}: no units{of} are recorded; run it with record.units, as in --set record.units=0..3"
        )
    return names, wanted


def _columns(group: h5py.Group) -> pd.DataFrame:
    """The columns of a table; its scale only numbers the rows."""
    return pd.DataFrame({name: dataset[:] for name, dataset in group.items() if not _is_scale(dataset)})


def _is_scale(dataset: h5py.Dataset) -> bool:
    return _text(dataset.attrs.get("CLASS", "")) == "DIMENSION_SCALE"


def _flags(dataset: h5py.Dataset, values: pd.Series) -> np.ndarray:
    """What numbers mean, by the attribute `flag_meanings`."""
    meanings = np.array(_text(dataset.attrs["flag_meanings"]).split(), dtype=object)
    return meanings[values.to_numpy()]


def _of_points(table: pd.DataFrame, names: list[str], wanted: list[int]) -> pd.DataFrame:
    kept = table[table["point"].isin(wanted)].copy()
    kept["point"] = [names[place] for place in kept["point"]]
    return kept[["point", *(name for name in kept.columns if name != "point")]]


def _choices(file: h5py.File, names: list[str]) -> pd.DataFrame:
    """Of all points; `place` is that of the point."""
    table = _columns(file["unit_record/choices"])
    stages = [text.split("\n") for text in _texts(file["unit_record/stages"])]
    table["place"] = table["point"]
    table["stage"] = [
        stages[place][stage] if stage >= 0 else None
        for place, stage in zip(table["point"], table["stage"], strict=True)
    ]
    table["point"] = [names[place] for place in table["point"]]
    table["role"] = _flags(file["unit_record/choices/role"], table["role"])
    return table


def _with_lists(file: h5py.File, choices: pd.DataFrame) -> pd.DataFrame:
    positions = file["unit_record/entries/position"][:]
    lengths = file["unit_record/extents/length_bytes"][:]
    parts = file["unit_record/extents/choice"][:]
    table = choices.copy()
    asked = table["in_first_tier"] >= 0
    table["hit"] = (table["in_first_tier"] == table["entry_count"]).astype("boolean").where(asked)
    table["read_bytes"] = np.bincount(parts, weights=lengths, minlength=len(table)).astype(np.int64)
    lists: list[Any] = (
        np.split(positions, np.cumsum(table["entry_count"].to_numpy())[:-1]) if len(table) else []
    )
    table["positions"] = pd.Series(lists, index=table.index, dtype=object)
    first = [*KEYS, "score", "weight", "entry_count", "hit", "in_first_tier", "came_ahead", "read_bytes"]
    return table[[*first, "positions"]]


def _tier_names(file: h5py.File, places: np.ndarray, tiers: np.ndarray) -> list[str | None]:
    names = [text.split("\n") for text in _texts(file["unit_record/tiers"])]
    return [names[place][tier] if tier >= 0 else None for place, tier in zip(places, tiers, strict=True)]
