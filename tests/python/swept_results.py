"""Results files that say what was swept, as sim/results writes them, and that do not, as it did once."""

import itertools
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from conftest import ROOT

Values = list[int] | list[float] | list[str]

SHARES, CAPACITIES, SEEDS = [0.05, 0.2], [65536, 262144, 1048576], [1, 2]
SIZES = "[64KiB, 256KiB, 1MiB]"  # the capacities
ATTRS = {
    "share": {"units": "1", "key": "system.stages.0.budget.share", "long_name": "retrieved share"},
    "capacity": {"units": "B", "key": "system.cache.capacity", "long_name": "capacity of the cache"},
}


def plain_sweep(kvreplay: Callable[..., object], folder: Path) -> Path:
    """Twelve points, shares by capacities by seeds, in a file that does not say so; sweep.yaml made them."""
    parts = ("phones/oneplus_12", "devices/ufs40", "models/trace", "systems/kmeans_contiguous_lru")
    includes = ", ".join(f"{ROOT}/configs/{part}.yaml" for part in parts)
    (folder / "sweep.yaml").write_text(f"""\
include: [{includes}]
trace: {{path: {ROOT}/traces/samples/smollm2.h5}}
run: {{steps: 12, seeds: {len(SEEDS)}}}
sweep: {{system.stages.0.budget.share: {SHARES}, system.cache.capacity: {SIZES}}}
""")
    kvreplay("run", folder / "sweep.yaml", "-o", folder / "run.h5")
    return without_axes(folder / "run.h5", folder / "plain.h5")


def product() -> list[tuple[float, int, int]]:
    """Share, capacity and seed of each of its points, in the file's order."""
    return list(itertools.product(SHARES, CAPACITIES, SEEDS))


def said_sweep(plain: Path, copy: Path) -> Path:
    """The same, saying what was swept."""
    axes = {"share": [one[0] for one in product()], "capacity": [one[1] for one in product()]}
    return with_axes(plain, copy, axes, ATTRS)


def points(**metrics: np.ndarray) -> xr.Dataset:
    """As results that have summaries alone."""
    count = len(next(iter(metrics.values())))
    names = [f"p{i}" for i in range(count)]
    return xr.Dataset({name: ("point", values) for name, values in metrics.items()}, {"point": names})


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
