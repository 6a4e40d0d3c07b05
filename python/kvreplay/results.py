"""Opens results files as xarray datasets."""

import math
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from .errors import Error, IncompleteWarning

FORMAT = "kvreplay-results"
VERSIONS = (1,)
SEED_KEY = "run.seed"
RENAMED = {"head": "kv_head"}  # what earlier files call a dimension


@dataclass(frozen=True)
class Axis:
    """What varies over the points: the value of each, and how the file describes it."""

    name: str
    values: np.ndarray  # [point]
    attrs: dict[str, Any] = field(default_factory=dict)

    @property
    def order(self) -> int:
        return int(self.attrs["axis"])

    @property
    def is_known(self) -> bool:
        """Whether it has a value at every point."""
        if self.values.dtype.kind == "U":
            return bool((self.values != "").all())
        return not np.isnan(self.values).any()

    def levels(self) -> np.ndarray:
        """The values there are, each once, in the order of the points."""
        return np.array(list(dict.fromkeys(self.values.tolist())), dtype=self.values.dtype)


@dataclass(frozen=True)
class Points:
    """The points of a file, and the lines of the configuration by which they differ."""

    names: Axis
    variants: Axis
    seeds: Axis
    axes: tuple[Axis, ...]

    @property
    def several_seeds(self) -> bool:
        return self.seeds.levels().size > 1

    def dimensions(self) -> tuple[Axis, ...]:
        """What the points may be a product of; nothing where the file names nothing."""
        if not self.several_seeds:
            return self.axes
        return (*(self.axes or (self.variants,)), self.seeds)


@dataclass(frozen=True)
class Grid:
    """Points as a full product: which point is where."""

    dimensions: tuple[Axis, ...]
    places: np.ndarray  # [size of each dimension], numbers of points

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dimension.name for dimension in self.dimensions)


def open(path: str | os.PathLike[str], stack: bool = False, *, group: str | None = None) -> xr.Dataset:
    """Opens a results file; values are read when they are used, and the file stays open until `close()`.

    Where the points are every combination of the values of the swept keys, there is a dimension for each of
    these, with its values as a coordinate (`units`, `long_name`, and in `key` the configuration's), and a
    dimension `seed` where there are several. Where the file does not say what was swept, that is `variant`
    by `seed`, and of one seed `point`. Otherwise, or with `stack`, the first dimension is `point`, with the
    swept values (NaN or an empty text where a point has none), `variant` and `seed` as coordinates along it.
    The others are `step`, `layer`, `kv_head`, `window`, `sequence`, `tier` and `prefill`, as far as a metric
    has them.

    Every metric has the attributes `units`, `long_name` and `formula`; texts are `str`; what was not recorded
    is NaN.

    `group` opens another part of the file in the same form: "host", times that were measured on the machine
    that ran it, or "provenance", the resolved configuration and notes of each point.

    Warns with IncompleteWarning where points are missing. Raises OSError where the file cannot be read, Error
    where it is no results file or has no such group.
    """
    path = Path(path)
    with _results(path) as file:
        _warn_if_incomplete(path, file)
        points = _points(file)
        if group is not None and not isinstance(file.get(group), h5py.Group):
            groups = ", ".join(name for name, item in file.items() if isinstance(item, h5py.Group))
            raise Error(f"{path}: has no group '{group}'; there are: {groups}")
    data = xr.open_dataset(path, engine="h5netcdf", group=group, decode_times=False, decode_timedelta=False)
    close = data.close
    data = _plain_texts(data.rename({old: new for old, new in RENAMED.items() if old in data.dims}))
    if "point" in data.dims:
        grid = None if stack else _grid(points)
        data = _along_points(data, points) if grid is None else _on_grid(data, points, grid)
    data.set_close(close)
    return data


def provenance(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Where results come from: `commit`, `compiler`, `host_cpu`, `trace_sha256`, ... as texts; and
    `resolved_config`, YAML, and `notes`, a list of texts, each by the name of the point.

    Raises OSError where the file cannot be read, Error where it is no results file.
    """
    with _results(Path(path)) as file:
        group = file["provenance"]
        found: dict[str, Any] = {name: _text(value) for name, value in group.attrs.items()}
        names = _texts(file["point"])
        found["resolved_config"] = dict(zip(names, _texts(group["resolved_config"]), strict=True))
        notes = _texts(group["notes"])
        found["notes"] = {name: text.splitlines() for name, text in zip(names, notes, strict=True)}
        return found


@contextmanager
def _results(path: Path) -> Iterator[h5py.File]:
    """The file, of which the format and version are checked."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if not h5py.is_hdf5(path):
        raise Error(f"{path}: not an HDF5 file")
    with h5py.File(path) as file:
        kind = _text(file.attrs.get("format", ""))
        if kind != FORMAT:
            raise Error(f"{path}: its format is '{kind}'; expected results of 'kvreplay run'")
        version = int(file.attrs.get("version", 0))
        if version not in VERSIONS:
            known = ", ".join(str(known) for known in VERSIONS)
            raise Error(f"{path}: version {version} of results; known: {known}")
        yield file


def _warn_if_incomplete(path: Path, file: h5py.File) -> None:
    if int(file.attrs.get("complete", 1)) == 1:
        return
    count = f"{file['point'].size} of {int(file.attrs['points_planned'])} points"
    warnings.warn(f"{path}: has {count}", IncompleteWarning, stacklevel=3)


def _text(value: Any) -> str:
    """An attribute's text; other values as Python writes them."""
    return value.decode().rstrip("\0") if isinstance(value, bytes) else str(value)


def _texts(dataset: h5py.Dataset) -> list[str]:
    return list(dataset.asstr()[:])


def _points(file: h5py.File) -> Points:
    named = [_axis(name, item) for name, item in file.items() if "axis" in item.attrs]
    axes = [axis for axis in named if axis.attrs.get("key") != SEED_KEY]  # that is `seed` already
    names, variants, seeds = (_axis(name, file[name]) for name in ("point", "variant", "seed"))
    return Points(names, variants, seeds, tuple(sorted(axes, key=lambda axis: axis.order)))


def _axis(name: str, dataset: h5py.Dataset) -> Axis:
    is_text = dataset.dtype.kind in "SO"
    values = np.array(_texts(dataset), dtype=str) if is_text else dataset[:]
    attrs = {
        key: value.item() if isinstance(value, np.generic) and not isinstance(value, bytes) else _text(value)
        for key, value in dataset.attrs.items()
        if key in ("long_name", "units", "key", "axis")
    }
    return Axis(name, values, attrs)


def _grid(points: Points) -> Grid | None:
    """The points as a full product, if they are one."""
    dimensions = points.dimensions()
    if not dimensions or not all(dimension.is_known for dimension in dimensions):
        return None
    levels = [dimension.levels().tolist() for dimension in dimensions]
    shape = tuple(len(values) for values in levels)
    if math.prod(shape) != points.names.values.size:
        return None
    places = np.full(shape, -1)
    for point in range(places.size):
        at = (values.index(one.values[point]) for values, one in zip(levels, dimensions, strict=True))
        places[tuple(at)] = point
    return Grid(dimensions, places) if (places >= 0).all() else None


def _plain_texts(data: xr.Dataset) -> xr.Dataset:
    """Texts of fixed length as `str`, and attributes likewise."""

    def plain(attrs: Mapping[Any, Any]) -> dict[Any, Any]:
        return {key: _text(value) if isinstance(value, bytes) else value for key, value in attrs.items()}

    for name, variable in data.variables.items():
        if variable.dtype.kind in "SOT":
            values = [_text(value) for value in variable.values.ravel()]
            texts = np.array(values, dtype=str).reshape(variable.shape)
            data = data.assign({name: (variable.dims, texts, variable.attrs)})
        data.variables[name].attrs = plain(variable.attrs)
    return data.assign_attrs(plain(data.attrs))


def _along_points(data: xr.Dataset, points: Points) -> xr.Dataset:
    """With what is said of the points along `point`."""
    axes = (points.names, points.variants, points.seeds, *points.axes)
    return data.assign_coords({axis.name: ("point", axis.values, axis.attrs) for axis in axes})


def _on_grid(data: xr.Dataset, points: Points, grid: Grid) -> xr.Dataset:
    """With a dimension for each axis in place of `point`."""
    coords = {one.name: (one.name, one.levels(), one.attrs) for one in grid.dimensions}
    others = {}
    for axis in (points.names, points.variants, points.seeds):
        if axis.name not in coords:
            others[axis.name] = _smallest(axis, grid)
    variables = {
        name: _variable_on_grid(variable, grid)
        for name, variable in data.variables.items()
        if name not in coords and name not in others
    }
    here = {name: variables.pop(name) for name in data.coords if name in variables}
    return xr.Dataset(variables, {**here, **coords, **others}, data.attrs)


def _smallest(axis: Axis, grid: Grid) -> xr.Variable:
    """Of what is the same for every seed, or for every point, one."""
    variable = xr.Variable(grid.names, axis.values[grid.places], axis.attrs)
    if axis.name == "seed":
        return variable[(0,) * variable.ndim]
    return variable.isel(seed=0) if axis.name == "variant" and "seed" in grid.names else variable


def _variable_on_grid(variable: xr.Variable, grid: Grid) -> xr.Variable:
    if "point" not in variable.dims:
        return variable
    rest = [name for name in variable.dims if name != "point"]
    lazy = indexing.LazilyIndexedArray(_OnGrid(variable.transpose("point", *rest), grid.places))
    cached = indexing.MemoryCachedArray(indexing.CopyOnWriteArray(lazy))
    return xr.Variable((*grid.names, *rest), cached, variable.attrs)


class _OnGrid(BackendArray):
    """A variable over points as one over the grid; what is indexed is read, no more."""

    def __init__(self, variable: xr.Variable, places: np.ndarray) -> None:
        self._variable = variable
        self._places = places
        self.shape = (*places.shape, *variable.shape[1:])
        self.dtype = variable.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        count = self._places.ndim
        chosen = [np.arange(size)[one] for size, one in zip(self._places.shape, key[:count], strict=True)]
        places = self._places[np.ix_(*map(np.atleast_1d, chosen))]
        values = self._variable[(places.ravel(), *key[count:])].to_numpy()
        shape = [one.size for one in chosen if one.ndim]
        return values.reshape((*shape, *values.shape[1:]))
