"""Points one after the other, however a dataset has them."""

from collections.abc import Hashable

import numpy as np
import pandas as pd
import xarray as xr

from .errors import Error

Dims = tuple[Hashable, ...]


def along_points(data: xr.Dataset, *names: str) -> xr.Dataset:
    """The variables `names` along the one dimension `point`, labelled as people call the points, and their
    other dimensions after it. Means over `seed`, where that is a dimension.

    Raises Error for a variable that is not there or does not vary over the points.
    """
    dims = point_dims(data)
    labels = _labels(data, dims)
    lacking = [name for name in names if name not in data]
    if lacking:
        without_steps = "" if "step" in data.dims else "; record.per_step: false keeps summaries alone"
        raise Error(f"there is no '{lacking[0]}' in the data{without_steps}")
    for name in names:
        alike = [str(one) for one in dims if one not in data[name].dims]
        if alike:
            raise Error(f"{name}: does not vary over {', '.join(alike)}")
    flat = xr.Dataset({name: data[name].reset_coords(drop=True) for name in names})
    if "seed" in flat.dims:
        flat = flat.mean("seed", keep_attrs=True)
    if not dims:
        flat = flat.expand_dims("point")
    elif dims != ("point",):
        flat = flat.drop_vars(dims, errors="ignore").stack(point=dims, create_index=False)
    return flat.transpose("point", ...).assign_coords(point=labels)


def summaries(data: xr.Dataset, *names: str) -> xr.Dataset:
    """As along_points, of variables that have one value per point. Raises Error for others."""
    flat = along_points(data, *names)
    for name in names:
        by = [str(one) for one in flat[name].dims if one != "point"]
        if by:
            raise Error(f"{name}: has values by {', '.join(by)}; expected one per point")
    return flat


def places(data: xr.Dataset) -> pd.Index:
    """Where the points of `along_points` are in `data`."""
    dims = point_dims(data)
    if len(dims) > 1:
        return pd.MultiIndex.from_product([data.coords[name].to_numpy() for name in dims], names=list(dims))
    name = dims[0] if dims else "point"
    return pd.Index(data.coords[name].to_numpy() if dims else _labels(data, dims), name=name)


def point_dims(data: xr.Dataset) -> Dims:
    """The dimensions that points lie along, without `seed`."""
    known = [data.coords[name] for name in ("variant", "point") if name in data.coords]
    if not known:
        raise Error("the data have neither 'point' nor 'variant'; open them with kvreplay.open")
    return tuple(dict.fromkeys(name for one in known for name in one.dims if name != "seed"))


def _labels(data: xr.Dataset, dims: Dims) -> np.ndarray:
    """Names of the points, without their seed where that is a dimension."""
    by = "point" if "point" in dims or "variant" not in data.coords else "variant"
    return np.atleast_1d(data.coords[by].transpose(*dims).to_numpy()).ravel()
