"""Makes results files say what was swept, in the form that sim/results writes."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Values = list[int] | list[float] | list[str]


def with_axes(
    path: Path, copy: Path, axes: Mapping[str, Values], attrs: Mapping[str, dict[str, Any]]
) -> Path:
    """A copy in which KV heads are called so and each axis has a value per point."""
    shutil.copy(path, copy)
    with h5py.File(copy, "r+") as file:
        for group in (file, file["host"]):
            if "head" in group:
                rename_scale(group)
        for name in axes:
            file.pop(name, None)
        for order, (name, values) in enumerate(axes.items()):
            dataset = file.create_dataset(name, data=stored(values))
            dataset.dims[0].attach_scale(file["point"])
            texts = {"long_name": f"{name} of a point", "key": "", **attrs.get(name, {})}
            for key, text in texts.items():
                dataset.attrs[key] = np.bytes_(text.encode())
            dataset.attrs["axis"] = np.int64(order)
        file.attrs["coordinates"] = np.bytes_(" ".join(("variant", "seed", *axes)).encode())
    return copy


def stored(values: Values) -> np.ndarray:
    """Numbers as 64 bits, texts of fixed length in UTF-8."""
    if not isinstance(values[0], str):
        return np.array(values)
    texts = [text.encode() for text in values]
    kind = h5py.string_dtype("utf-8", max(2, max(map(len, texts)) + 1))
    return np.array(texts, dtype=kind)


def rename_scale(group: h5py.Group) -> None:
    """`head` as `kv_head`; what is attached to it stays so."""
    group.move("head", "kv_head")
    group["kv_head"].attrs["NAME"] = np.bytes_(b"kv_head")
