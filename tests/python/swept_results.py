"""Results files that say what was swept, as sim/results writes them, and that do not, as it did once."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Values = list[int] | list[float] | list[str]


def without_axes(path: Path, copy: Path) -> Path:
    """A copy that does not say what was swept, and calls KV heads `head`."""
    shutil.copy(path, copy)
    with h5py.File(copy, "r+") as file:
        drop_axes(file)
        rename_scale(file, "kv_head", "head")
    return copy


def with_axes(
    path: Path, copy: Path, axes: Mapping[str, Values], attrs: Mapping[str, dict[str, Any]]
) -> Path:
    """A copy that says what was swept: each axis with a value per point."""
    shutil.copy(path, copy)
    with h5py.File(copy, "r+") as file:
        drop_axes(file)
        rename_scale(file, "head", "kv_head")
        for order, (name, values) in enumerate(axes.items()):
            dataset = file.create_dataset(name, data=stored(values))
            dataset.dims[0].attach_scale(file["point"])
            texts = {"long_name": f"{name} of a point", "key": "", **attrs.get(name, {})}
            for key, text in texts.items():
                dataset.attrs[key] = np.bytes_(text.encode())
            dataset.attrs["axis"] = np.int64(order)
        file.attrs["coordinates"] = np.bytes_(" ".join(("variant", "seed", *axes)).encode())
    return copy


def drop_axes(file: h5py.File) -> None:
    for name in [name for name, item in file.items() if "axis" in item.attrs]:
        del file[name]
    file.attrs.pop("coordinates", None)


def stored(values: Values) -> np.ndarray:
    """Numbers as 64 bits, texts of fixed length in UTF-8."""
    if not isinstance(values[0], str):
        return np.array(values)
    texts = [text.encode() for text in values]
    kind = h5py.string_dtype("utf-8", max(2, max(map(len, texts)) + 1))
    return np.array(texts, dtype=kind)


def rename_scale(file: h5py.File, old: str, new: str) -> None:
    """What is attached to it stays so."""
    for group in (file, file["host"]):
        if old in group:
            group.move(old, new)
            group[new].attrs["NAME"] = np.bytes_(new.encode())
