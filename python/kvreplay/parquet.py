"""Writes results as tables of Apache Parquet, for what reads columns: pandas, polars, DuckDB, Spark."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import xarray as xr

from .errors import Error
from .files import whole
from .results import open as open_results
from .results import provenance

if TYPE_CHECKING:
    import pyarrow as pa

TABLES = ("points", "metrics", "summary", "steps")
GROUPS = (None, "host")
VALUES_AT_ONCE = 1 << 20
POINT_COORDINATES = ("point", "variant", "seed")


def export_parquet(
    result: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    metrics: Sequence[str] | None = None,
) -> dict[str, Path]:
    """Writes a results file as four tables into `folder`, which is made; returns the path of each by name.

    - `points.parquet`: a row for each point, its `variant`, `seed` and the values of the swept keys;
    - `metrics.parquet`: a row for each metric and summary, its `unit`, `long_name`, `formula` and dimensions;
    - `summary.parquet`: a row for each `point` and summary (`metric`), its `value`;
    - `steps.parquet`: a row for each value by step: `point`, `metric`, `value` and where it is, `step`,
      `layer`, `kv_head` and so on, null where the metric has no such dimension.

    What was not recorded (NaN) has no row. Times that were measured on the host are called `host/...`, as
    `kvreplay result export` calls them. `metrics` names those that `steps` shall have, where not all. Of each
    table the metadata say where the results come from: commit, trace, host. A table appears whole or not at
    all, and takes the place of one that is there.

    Raises Error where pyarrow is not installed, the file is no results file or has no such metric; OSError
    where a file cannot be read or written.
    """
    source, target = Path(result), Path(folder)
    arrow = _arrow()
    with _groups(source) as groups:
        variables = {_name(group, name): one for group, data in groups.items() for name, one in data.items()}
        by_step = {name: one for name, one in variables.items() if one.dims != ("point",)}
        chosen = _chosen(source, by_step, metrics)
        points = groups[None]
        origin = _origin(source)
        target.mkdir(parents=True, exist_ok=True)
        places = {name: target / f"{name}.parquet" for name in TABLES}
        for name, table in (
            ("points", _points_table(arrow, points)),
            ("metrics", _metrics_table(arrow, variables)),
            ("summary", _summary_table(arrow, points, variables)),
        ):
            _write(places[name], table.schema, [table], origin)
        schema = _steps_schema(arrow, points, chosen)
        _write(places["steps"], schema, _step_tables(arrow, schema, points, chosen), origin)
    return places


def _arrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise Error("tables of Parquet need pyarrow: pip install 'kvreplay[parquet]'") from None
    return pyarrow


@contextmanager
def _groups(path: Path) -> Iterator[dict[str | None, xr.Dataset]]:
    """What the file holds of points, by group."""
    with open_results(path, stack=True) as root:
        with h5py.File(path) as file:
            has_host = "host" in file
        if not has_host:
            yield {None: root}
            return
        with open_results(path, stack=True, group="host") as host:
            yield {None: root, "host": host}


def _name(group: str | None, name: Any) -> str:
    return str(name) if group is None else f"{group}/{name}"


def _chosen(
    path: Path, by_step: Mapping[str, xr.DataArray], metrics: Sequence[str] | None
) -> dict[str, xr.DataArray]:
    if metrics is None:
        return dict(by_step)
    unknown = [name for name in metrics if name not in by_step]
    if unknown:
        raise Error(f"{path}: has no steps of '{unknown[0]}'; there are: {', '.join(by_step)}")
    return {name: by_step[name] for name in metrics}


def _origin(path: Path) -> dict[str, str]:
    with h5py.File(path) as file:
        complete = int(file.attrs.get("complete", 1))
    texts = {name: text for name, text in provenance(path).items() if isinstance(text, str)}
    return {**texts, "complete": str(complete)}


def _points_table(arrow: Any, points: xr.Dataset) -> "pa.Table":
    """The three names first, then what was swept in its order."""
    along = [name for name, one in points.coords.items() if one.dims == ("point",)]
    swept = sorted(
        (name for name in along if name not in POINT_COORDINATES),
        key=lambda name: int(points[name].attrs.get("axis", 0)),
    )
    return arrow.table({str(name): arrow.array(points[name].values) for name in (*POINT_COORDINATES, *swept)})


def _metrics_table(arrow: Any, variables: Mapping[str, xr.DataArray]) -> "pa.Table":
    def texts(attribute: str) -> list[str]:
        return [str(one.attrs.get(attribute, "")) for one in variables.values()]

    return arrow.table(
        {
            "metric": list(variables),
            "unit": texts("units"),
            "long_name": texts("long_name"),
            "formula": texts("formula"),
            "dimensions": [[str(dim) for dim in one.dims] for one in variables.values()],
        },
        schema=arrow.schema(
            [(name, arrow.string()) for name in ("metric", "unit", "long_name", "formula")]
            + [("dimensions", arrow.list_(arrow.string()))]
        ),
    )


def _summary_table(arrow: Any, points: xr.Dataset, variables: Mapping[str, xr.DataArray]) -> "pa.Table":
    summaries = {name: one for name, one in variables.items() if one.dims == ("point",)}
    values = np.array([one.to_numpy() for one in summaries.values()], dtype=float).T
    point, summary = np.nonzero(~np.isnan(values))
    return arrow.table(
        {
            "point": _dictionary(arrow, point, points["point"].values),
            "metric": _dictionary(arrow, summary, list(summaries)),
            "value": values[point, summary],
        }
    )


def _steps_schema(arrow: Any, points: xr.Dataset, metrics: Mapping[str, xr.DataArray]) -> "pa.Schema":
    names = arrow.dictionary(arrow.int32(), arrow.string())
    dims = dict.fromkeys(dim for one in metrics.values() for dim in one.dims if dim != "point")
    places = [(str(dim), arrow.array(points[dim].to_numpy()[:1]).type) for dim in dims]
    return arrow.schema([("point", names), ("metric", names), *places, ("value", arrow.float64())])


def _step_tables(
    arrow: Any, schema: "pa.Schema", points: xr.Dataset, metrics: Mapping[str, xr.DataArray]
) -> Iterator["pa.Table"]:
    """Each of some points of one metric."""
    names = points["point"].values
    for number, variable in enumerate(metrics.values()):
        count = max(1, VALUES_AT_ONCE * len(names) // max(1, variable.size))
        for begin in range(0, len(names), count):
            block = variable.isel(point=slice(begin, begin + count)).transpose("point", ...)
            values = block.to_numpy().astype(float)
            there = np.nonzero(~np.isnan(values))
            rows = there[0].size
            columns = {
                "point": _dictionary(arrow, there[0] + begin, names),
                "metric": _dictionary(arrow, np.full(rows, number), list(metrics)),
                "value": arrow.array(values[there]),
            }
            for dim, place in zip(block.dims[1:], there[1:], strict=True):
                columns[str(dim)] = arrow.array(points[dim].to_numpy()[place])
            lacking = {one.name: arrow.nulls(rows, one.type) for one in schema if one.name not in columns}
            yield arrow.table({**columns, **lacking}).select(schema.names)


def _dictionary(arrow: Any, places: np.ndarray, names: Any) -> "pa.Array":
    return arrow.DictionaryArray.from_arrays(
        arrow.array(places, arrow.int32()), arrow.array(list(map(str, names)))
    )


def _write(path: Path, schema: "pa.Schema", tables: Iterable["pa.Table"], origin: Mapping[str, str]) -> None:
    import pyarrow.parquet as pq

    described = schema.with_metadata(origin)
    with whole(path) as unfinished, pq.ParquetWriter(unfinished, described) as writer:
        for table in tables:
            writer.write_table(table.cast(described))
