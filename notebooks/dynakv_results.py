"""Reads the results of configs/paper/dynakv: the tables behind the figures."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import xarray as xr
import yaml

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "traces" / "samples" / "smollm2.h5"
MODEL = "qwen2.5-1.5b"  # of the experiments with one model
REUSED_WITHIN = [1, 2, 4, 8, 16]  # steps
LENGTHS = [512, 1024, 1536, 2048, 4096, 8192, 16384]  # tokens at which latency is stated


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

    def on_sample(self) -> bool:
        """Whether that is the shipped sample, every step of it."""
        data = self["f10_systems"]
        return self.trace() == SAMPLE and set(settings(data, "run.steps")) == {0}


def read(path: Path) -> xr.Dataset:
    """Opens a results file; `system`, `model` and `phone` become coordinates of its points."""
    data = xr.open_dataset(path, engine="h5netcdf")
    with h5py.File(path) as file:
        configs = [yaml.safe_load(text) for text in file["provenance/resolved_config"].asstr()[:]]
        trace = file["provenance"].attrs["trace_path"].decode().splitlines()[0]
    names = {kind: [config[kind]["name"] for config in configs] for kind in ("system", "model", "phone")}
    names["system"] = ["no cluster" if name == "no-cluster" else name for name in names["system"]]
    coordinates = {kind: ("point", values) for kind, values in names.items()}
    return data.assign_attrs(configs=configs, trace_path=trace).assign_coords(coordinates)


def settings(data: xr.Dataset, key: str) -> list:
    """The value of a dotted key at every point."""

    def value(config: dict) -> object:
        for part in key.split("."):
            config = config[int(part) if isinstance(config, list) else part]
        return config

    return [value(config) for config in data.attrs["configs"]]


def at(data: xr.Dataset, **names: str) -> xr.Dataset:
    """The points whose coordinates have these values."""
    chosen = np.ones(data.sizes["point"], dtype=bool)
    for name, value in names.items():
        chosen &= data[name].values == value
    return data.isel(point=np.flatnonzero(chosen))


def grid(data: xr.Dataset, name: str, across: str) -> pd.DataFrame:
    """Summary `name`: a row per value of `across`, a coordinate or a dotted key; a column per system."""
    rows = settings(data, across) if "." in across else list(data[across].values)
    table = pd.DataFrame({"row": rows, "system": data.system.values, "value": data[name].values})
    return table.pivot(index="row", columns="system", values="value").loc[list(dict.fromkeys(rows))]


def gains(table: pd.DataFrame, others: list[str]) -> pd.Series:
    """How many times DynaKV's value each of `others` has: geometric mean over the rows of `table`."""
    return np.exp(np.log(table[others].div(table["DynaKV"], axis=0)).mean())


def listed(values: pd.Series, form: str = "{:.2f}x") -> str:
    """`name value, name value`."""
    return ", ".join(f"{name} {form.format(value)}" for name, value in values.items())


def per_head(data: xr.Dataset, name: str) -> pd.DataFrame:
    """Mean of `name` over the steps: a row per captured layer and head, a column per system."""
    one = at(data, model=MODEL)
    table = one[name].mean("step").stack(head_of_layer=["layer", "head"])
    return pd.DataFrame(table.transpose("head_of_layer", "point").values, columns=one.system.values)


def relative_quality(data: xr.Dataset) -> dict[str, pd.DataFrame]:
    """Recall and relative mass over those without clustering, as `per_head`."""
    tables = {name: per_head(data, name) for name in ("recall", "relative_mass")}
    return {name: table.div(table["no cluster"], axis=0) for name, table in tables.items()}


def units_over_steps(data: xr.Dataset) -> dict[str, pd.DataFrame]:
    """Units, their entries and their variance over the position, by system; means over layers and heads."""
    tables = {}
    for system in ("PQCache", "ClusterKV", "DynaKV"):
        point = at(data, model=MODEL, system=system).isel(point=0)
        mean = point[["units", "unit_variance"]].mean(["layer", "head"])
        columns = {"units": mean.units.values, "variance": mean.unit_variance.values}
        table = pd.DataFrame(columns, index=point.position.values)
        tables[system] = table.assign(entries=table.index / table["units"])
    return tables


def reuse_of_updated(data: xr.Dataset) -> pd.DataFrame:
    """Share of DynaKV's updated units demanded within so many steps: a row each, a column per model."""
    dynakv = at(data, system="DynaKV")
    rows = {steps: dynakv[f"reuse_probability_{steps}"].values for steps in REUSED_WITHIN}
    return pd.DataFrame.from_dict(rows, orient="index", columns=dynakv.model.values)


def retrieved_share(data: xr.Dataset) -> float:
    """Share of DynaKV's units that a step demands."""
    one = at(data, model=MODEL, system="DynaKV")
    return float(one.demanded_units.sum() / one.units.sum())


def over_buffer(data: xr.Dataset) -> pd.DataFrame:
    """Bytes read a step over the entries of the pending buffer: `all`, and those that `updates` cause."""
    columns = {"all": data.bytes_per_step.values, "updates": data.update_bytes_per_step.values}
    return pd.DataFrame(columns, index=settings(data, "system.clustering.buffer_entries"))


def by_capacity(data: xr.Dataset, name: str) -> pd.DataFrame:
    """Summary `name`: a row per cache capacity, as configured, and a column per variant."""
    capacity = settings(data, "system.cache.capacity")
    variants = [str(point).split(",capacity=")[0] for point in data.point.values]
    table = pd.DataFrame({"capacity": capacity, "variant": variants, "value": data[name].values})
    return table.pivot(index="capacity", columns="variant", values="value").loc[list(dict.fromkeys(capacity))]


def latency_over_length(data: xr.Dataset, window: int = 64) -> pd.DataFrame:
    """DynaKV's mean latency over the `window` steps that end at each of `LENGTHS`, or at the quarters of the
    steps where they reach but one of them; a column per model."""
    dynakv = at(data, system="DynaKV")
    tokens = dynakv.position.isel(point=0).values + 1
    lengths = [length for length in LENGTHS if tokens[0] + window <= length <= tokens[-1]]
    if len(lengths) < 2:
        lengths = [int(tokens[-1] - len(tokens) * left // 4) for left in (3, 2, 1, 0)]
    means = [
        dynakv.latency_s.isel(step=(tokens > length - window) & (tokens <= length)).mean("step").values
        for length in lengths
    ]
    return pd.DataFrame(means, index=lengths, columns=dynakv.model.values)


def bandwidth_over_size(curve: xr.Dataset) -> pd.Series:
    """Bytes per second by size in bytes, at the greatest depth."""
    bandwidth = curve.bandwidth_bytes_per_s
    bandwidth = bandwidth.isel({name: -1 for name in bandwidth.dims if name != "size_bytes"})
    return pd.Series(bandwidth.values, index=curve.size_bytes.values)
