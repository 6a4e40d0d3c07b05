"""Reads the results of configs/paper/dynakv: the arrays behind the figures.

Every point was run with several seeds, and two systems with the same seeds, so that arrays keep `seed`, and
`layer` and `head` where they are recorded: paired.py makes intervals of them.
"""

import re
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import xarray as xr
import yaml

ROOT = Path(__file__).resolve().parents[1]
MODEL = "qwen2.5-1.5b"  # of the experiments with one model
OURS = "DynaKV"
IN_DRAM = "DynaKV, representatives in DRAM"
BASELINES = ["no cluster", "PQCache", "ClusterKV"]
CLUSTERED = ["PQCache", "ClusterKV", OURS]
COMPARED = [*BASELINES, OURS, IN_DRAM]  # at equal DRAM; what else was run is shown apart
REUSED_WITHIN = [1, 2, 4, 8, 16]  # steps
LENGTHS = [512, 1024, 1536, 2048, 4096, 8192, 16384]  # tokens at which latency is stated


PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast


class Results:
    """The results files of one folder by the name of their experiment, opened when asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: dict[str, xr.Dataset] = {}

    def __getitem__(self, name: str) -> xr.Dataset:
        if name not in self._open:
            self._open[name] = read(self.folder / f"{name}.h5")
        return self._open[name]

    def curve(self) -> xr.Dataset:
        """What `kvreplay device curve` wrote."""
        return xr.open_dataset(self.folder / "f3b_curve.h5", engine="h5netcdf")

    def trace(self) -> Path:
        """The trace that was replayed."""
        return ROOT / self["f10_systems"].attrs["trace_path"]  # an absolute path stays what it is

    def over_caches(self, name: str) -> xr.Dataset:
        """An experiment with a coordinate `cache`: the share that its cache is of the KV entries of the whole
        trace at 8 bits, which is the same for traces of any length."""
        data = self[name]
        with h5py.File(self.trace()) as file:
            tokens = int(file.attrs["seq_len"])
        shares = []
        for config in data.attrs["configs"]:
            model, capacity = config["model"], config["system"]["cache"]["capacity"]
            entries = 2 * model["layers"] * model["kv_heads"] * (model["head_dim"] + 4) * tokens
            shares.append(f"1/{round(entries / (1024 * int(capacity.removesuffix('KiB'))))}")
        return data.assign_coords(cache=("variant", shares))

    def name(self) -> str:
        """That of the trace."""
        return self.trace().stem

    def seeds(self) -> tuple[int, ...]:
        return tuple(int(seed) for seed in self["f10_systems"].seed.values)


def read(path: Path) -> xr.Dataset:
    """Opens a results file, `variant` and `seed` in place of `point`. Coordinates of a variant: its `system`,
    what the name has after the model or phone and before swept values, its `model` and its `phone`."""
    data = xr.open_dataset(path, engine="h5netcdf")
    with h5py.File(path) as file:
        configs = file["provenance/resolved_config"].asstr()[:]
        trace = file["provenance"].attrs["trace_path"].decode().splitlines()[0]
    names, seeds = data.variant.values.astype(str), data.seed.values.astype(int)
    places = {place: number for number, place in enumerate(zip(names, seeds, strict=True))}
    variants, run = list(dict.fromkeys(names)), sorted(set(seeds))
    if len(places) < len(variants) * len(run):
        raise ValueError(f"{path}: not every point has all seeds {run}; was the run stopped?")
    numbers = np.array([[places[variant, seed] for seed in run] for variant in variants])
    chosen = xr.DataArray(numbers, dims=("variant", "seed"))
    of_variants = [yaml.load(configs[number], PARSER) for number in numbers[:, 0]]
    coordinates = {kind: ("variant", [config[kind]["name"] for config in of_variants])
                   for kind in ("model", "phone")}  # fmt: skip
    coordinates["system"] = ("variant", [system_of(variant) for variant in variants])
    return (
        data.drop_vars(["point", "variant", "seed"])
        .isel(point=chosen)
        .assign_coords(variant=variants, seed=run, **coordinates)
        .assign_attrs(configs=of_variants, trace_path=trace)
    )


def system_of(variant: str) -> str:
    return re.sub(r"(,[^,=]+=[^,]*)+$", "", variant.split(" / ")[-1])


def settings(data: xr.Dataset, key: str) -> list:
    """The value of a dotted key in every variant."""

    def value(config: dict) -> object:
        for part in key.split("."):
            config = config[int(part) if isinstance(config, list) else part]
        return config

    return [value(config) for config in data.attrs["configs"]]


def at(data: xr.Dataset, **names: str) -> xr.Dataset:
    """The variants whose coordinates have these values."""
    chosen = np.ones(data.sizes["variant"], dtype=bool)
    for name, value in names.items():
        chosen &= data[name].values == value
    return data.isel(variant=np.flatnonzero(chosen))


def by_system(data: xr.Dataset, values: str | xr.DataArray, *across: str) -> xr.DataArray:
    """A variable of a dataset or what was made of one, with `system` and the last word of each of `across`,
    coordinates or dotted keys, in place of `variant`; in the order of the configuration. Systems that were
    not run with all values of `across` are left out."""
    array = data[values] if isinstance(values, str) else values
    keys = {key.split(".")[-1]: settings(data, key) if "." in key else list(data[key].values)
            for key in across}  # fmt: skip
    keys["system"] = list(data.system.values)
    index = pd.MultiIndex.from_arrays(list(keys.values()), names=list(keys))
    if index.has_duplicates:
        raise ValueError(f"{array.name}: variants differ in more than {', '.join(keys)}")
    bare = array.drop_vars([name for name in array.coords if "variant" in array[name].dims])
    table = bare.astype(float).assign_coords(xr.Coordinates.from_pandas_multiindex(index, "variant"))
    runs = pd.Series(keys["system"]).value_counts()
    everywhere = [name for name in dict.fromkeys(keys["system"]) if runs[name] == runs.max()]
    order = {key: list(dict.fromkeys(values)) for key, values in keys.items()} | {"system": everywhere}
    return table.unstack("variant").sel(order)


def log_ratio(above: xr.DataArray, below: xr.DataArray) -> xr.DataArray:
    """Of pairs; where they differ in `system` or another name, that is dropped."""
    return np.log(above / below).reset_coords(drop=True)


def gains(table: xr.DataArray, ours: str = OURS, less: bool = True) -> dict[str, xr.DataArray]:
    """Logarithm of how many times our value each baseline's is, or where more is better the inverse."""
    sign = 1 if less else -1
    mine = table.sel(system=ours)
    return {name: sign * log_ratio(table.sel(system=name), mine)
            for name in BASELINES if name in table.system}  # fmt: skip


def per_head(data: xr.Dataset, name: str) -> xr.DataArray:
    """Mean of `name` over the steps on one model: [system, seed, layer, head]."""
    one = at(data, model=MODEL)
    return by_system(one, one[name].mean("step"))


def units_over_steps(data: xr.Dataset) -> xr.Dataset:
    """Units, their entries and their variance by position: [system, seed, step, layer, head]."""
    one = at(data, model=MODEL)
    position = one.position.isel(variant=0, seed=0).values
    units, variance = (by_system(one, name).sel(system=CLUSTERED) for name in ("units", "unit_variance"))
    tokens = xr.DataArray(position, dims="step")
    table = xr.Dataset({"units": units, "variance": variance, "entries": tokens / units})
    return table.assign_coords(position=("step", position))


def reused_within(data: xr.Dataset, steps: int) -> xr.DataArray:
    """Updated units that are demanded in the next `steps` steps. Files written before there was a coordinate
    `window` have a variable for each."""
    old = f"reused_within_{steps}"
    return data[old] if old in data else data.reused_within.sel(window=steps, drop=True)


def reuse_of_updated(data: xr.Dataset) -> xr.DataArray:
    """Share of DynaKV's updated units demanded within so many steps: [within, model, seed, layer, head]."""
    ours = at(data, system=OURS)
    updated = ours.updated_units
    shares = [
        reused_within(ours, steps).sum("step") / updated.isel(step=slice(None, -steps)).sum("step")
        for steps in REUSED_WITHIN
    ]
    within = xr.DataArray(REUSED_WITHIN, dims="within", name="within")
    return by_system(ours, xr.concat(shares, within), "model").sel(system=OURS, drop=True)


def retrieved_share(data: xr.Dataset) -> xr.DataArray:
    """Share of DynaKV's units that a step demands: [seed, layer, head]."""
    one = at(data, model=MODEL, system=OURS).isel(variant=0, drop=True)
    return one.demanded_units.sum("step") / one.units.sum("step")


def latency_over_length(data: xr.Dataset, system: str = OURS, window: int = 64) -> xr.DataArray:
    """Mean latency over the `window` steps that end at each of `LENGTHS`, or at the quarters of the steps
    where they reach but one of them: [length, model, seed]."""
    one = at(data, system=system)
    tokens = one.position.isel(variant=0, seed=0).values + 1
    lengths = [length for length in LENGTHS if tokens[0] + window <= length <= tokens[-1]]
    if len(lengths) < 2:
        lengths = [int(tokens[-1] - len(tokens) * left // 4) for left in (3, 2, 1, 0)]
    means = [
        one.latency_s.isel(step=(tokens > length - window) & (tokens <= length)).mean("step")
        for length in lengths
    ]
    length = xr.DataArray(lengths, dims="length", name="length")
    return by_system(one, xr.concat(means, length), "model").sel(system=system, drop=True)


def over_quarters(data: xr.Dataset, name: str) -> xr.DataArray:
    """Means of `name` over the quarters of the steps on one model: [quarter, system, seed, layer, head]."""
    one = at(data, model=MODEL)
    ends = np.linspace(0, one.sizes["step"], 5).astype(int)
    quarter = xr.DataArray([1, 2, 3, 4], dims="quarter", name="quarter")
    means = [one[name].isel(step=slice(*edge)).mean("step") for edge in pairwise(ends)]
    return by_system(one, xr.concat(means, quarter))


def bandwidth_over_size(curve: xr.Dataset) -> pd.Series:
    """Bytes per second by size in bytes, at the greatest depth."""
    bandwidth = curve.bandwidth_bytes_per_s
    bandwidth = bandwidth.isel({name: -1 for name in bandwidth.dims if name != "size_bytes"})
    return pd.Series(bandwidth.values, index=curve.size_bytes.values)
