"""Tables of Parquet hold what the results hold, for pandas and pyarrow."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import kvreplay as package
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import ROOT

PLACES = ("step", "layer", "kv_head", "window")


@pytest.fixture(scope="module")
def tables(demo_results: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return package.export_parquet(demo_results, tmp_path_factory.mktemp("tables") / "new" / "demo")


def stored(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Every metric and summary, as the tables call them."""
    found = {}
    for prefix, group in (("", file), ("host/", file["host"])):
        for name, item in group.items():
            if isinstance(item, h5py.Dataset) and name not in ("point", "variant", "seed", *PLACES):
                found[prefix + name] = item
    return found


def test_every_value_is_where_it_was(demo_results: Path, tables: dict[str, Path]) -> None:
    steps, summary = (pd.read_parquet(tables[name]) for name in ("steps", "summary"))
    assert list(steps) == ["point", "metric", *PLACES, "value"]
    assert list(summary) == ["point", "metric", "value"]
    with h5py.File(demo_results) as file:
        order = {name: place for place, name in enumerate(file["point"].asstr()[:])}
        scales = {name: {one: place for place, one in enumerate(file[name][:])} for name in PLACES}
        datasets = stored(file)
        rows = 0
        for name, dataset in datasets.items():
            table = summary if dataset.ndim == 1 else steps
            mine = table[table["metric"] == name]
            at = [mine["point"].map(order)]
            at += [mine[place].map(scales[place]) for place in PLACES[: dataset.ndim - 1]]
            rebuilt = np.full(dataset.shape, np.nan)
            rebuilt[tuple(one.to_numpy(dtype=int) for one in at)] = mine["value"]
            np.testing.assert_array_equal(rebuilt, dataset[:], err_msg=name)
            if dataset.ndim > 1:
                assert mine[list(PLACES[dataset.ndim - 1 :])].isna().all(axis=None), name
            assert len(mine) == np.count_nonzero(~np.isnan(dataset[:]))
            rows += len(mine)
        assert rows == len(steps) + len(summary)
        described = pd.read_parquet(tables["metrics"]).set_index("metric")
        assert set(described.index) == set(datasets)
        for name, dataset in datasets.items():
            texts = described.loc[name]
            for column, attribute in (("unit", "units"), ("long_name", "long_name"), ("formula", "formula")):
                assert texts[column] == dataset.attrs[attribute].decode()
            assert list(texts["dimensions"]) == ["point", *PLACES[: dataset.ndim - 1]]


def test_points_have_what_was_swept_with_its_type(kvreplay: Callable[..., object], tmp_path: Path) -> None:
    parts = ("phones/oneplus_12", "devices/ufs40", "models/trace", "systems/kmeans_contiguous_lru")
    (tmp_path / "sweep.yaml").write_text(f"""\
include: [{", ".join(f"{ROOT}/configs/{part}.yaml" for part in parts)}]
trace: {{path: {ROOT}/traces/samples/smollm2.h5}}
run: {{steps: 4, seeds: 2}}
sweep: {{system.replacement: [lru, fifo], system.cache.capacity: [64KiB, 1MiB]}}
""")
    kvreplay("run", tmp_path / "sweep.yaml", "-o", tmp_path / "r.h5")
    points = pq.read_table(package.export_parquet(tmp_path / "r.h5", tmp_path / "t")["points"])
    assert points.column_names == ["point", "variant", "seed", "replacement", "capacity"]
    assert points["replacement"].to_pylist() == ["lru"] * 4 + ["fifo"] * 4
    assert points["capacity"].to_pylist() == [1 << 16, 1 << 16, 1 << 20, 1 << 20] * 2
    assert points["seed"].to_pylist() == [1, 2] * 4
    with h5py.File(tmp_path / "r.h5") as file:
        assert points["point"].to_pylist() == list(file["point"].asstr()[:])


def test_each_table_says_where_it_comes_from(demo_results: Path, tables: dict[str, Path]) -> None:
    with h5py.File(demo_results) as file:
        origin = {name: file["provenance"].attrs[name] for name in ("commit", "trace_sha256", "host_cpu")}
    for path in tables.values():
        metadata = pq.read_schema(path).metadata
        assert {name: metadata[name.encode()] for name in origin} == origin, path
        assert metadata[b"complete"] == b"1"


def test_chosen_metrics_have_steps_and_no_others(demo_results: Path, tmp_path: Path) -> None:
    for chosen in (["latency_s", "recall"], ["host/score_kernel_s"], []):
        steps = pd.read_parquet(package.export_parquet(demo_results, tmp_path, chosen)["steps"])
        assert list(steps["metric"].unique()) == chosen
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "metrics.parquet", "points.parquet", "steps.parquet", "summary.parquet",
    ]  # fmt: skip
    with pytest.raises(package.Error, match="has no steps of 'recal'; there are: "):
        package.export_parquet(demo_results, tmp_path, ["recal"])


def test_blocks_of_points_make_the_same_table(
    demo_results: Path, tables: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kvreplay.parquet.VALUES_AT_ONCE", 1)
    blocks = package.export_parquet(demo_results, tmp_path)
    assert pq.ParquetFile(blocks["steps"]).num_row_groups > pq.ParquetFile(tables["steps"]).num_row_groups
    assert pq.read_table(blocks["steps"]).equals(pq.read_table(tables["steps"]))


def test_what_fails_leaves_the_tables_before(
    demo_results: Path, tables: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shutil.copytree(tables["steps"].parent, tmp_path / "t")
    with pytest.raises(package.Error, match="not an HDF5 file"):
        package.export_parquet(tables["steps"], before)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(package.Error, match=r"need pyarrow: pip install 'kvreplay\[parquet\]'"):
        package.export_parquet(demo_results, before)
    monkeypatch.undo()

    def no_room(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", no_room)
    with pytest.raises(OSError, match="no room"):
        package.export_parquet(demo_results, before)
    assert {path.name: path.read_bytes() for path in before.iterdir()} == {
        path.name: path.read_bytes() for path in tables.values()
    }


def test_results_without_steps_have_a_table_without_rows(tmp_path: Path) -> None:
    steps = pq.read_table(package.export_parquet(ROOT / "tests" / "golden" / "systems.h5", tmp_path)["steps"])
    assert steps.num_rows == 0 and steps.column_names == ["point", "metric", "value"]
