"""Every file that the program writes opens in h5py, xarray and pandas, with the same values in each."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import ROOT

SAMPLE = ROOT / "traces" / "samples" / "smollm2.h5"
Run = Callable[..., object]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("products")


@pytest.fixture(scope="module")
def config(folder: Path) -> Path:
    """A sweep of numbers and words over two seeds."""
    parts = ("phones/oneplus_12", "devices/ufs40", "models/trace", "systems/kmeans_contiguous_lru")
    (folder / "sweep.yaml").write_text(f"""\
include: [{", ".join(f"{ROOT}/configs/{part}.yaml" for part in parts)}]
trace: {{path: {SAMPLE}}}
run: {{steps: 4, seeds: 2}}
sweep: {{system.replacement: [lru, fifo], system.cache.capacity: [64KiB, 1MiB]}}
""")
    return folder / "sweep.yaml"


@pytest.fixture(scope="module")
def products(kvreplay: Run, config: Path, demo_results: Path, folder: Path) -> dict[str, Path]:
    """One file of each kind."""
    made = {
        "sweep": ("run", config, "-o"),
        "shard 1": ("run", config, "--shard", "1/2", "-o"),
        "shard 2": ("run", config, "--shard", "2/2", "-o"),
        "tiers": ("run", ROOT / "configs/experiments/tiers.yaml", "--set", "run.steps=4", "-o"),
        "turns": ("run", ROOT / "configs/experiments/turns.yaml", "-o"),
        "curve": ("device", "curve", "ufs40", "--size", "4KiB,64KiB", "--depth", "1,8", "-o"),
        "basis": ("calibrate", SAMPLE, "--rank", "4", "-o"),
        "basis of each head": ("calibrate", SAMPLE, "--rank", "4", "--heads", "each", "--centred", "-o"),
        "made trace": ("trace", "synth"),
    }
    files = {"result": demo_results, "trace": SAMPLE}
    for number, (name, words) in enumerate(made.items()):
        files[name] = folder / f"{number}.h5"
        kvreplay(*words, files[name])
    files["merged"] = folder / "merged.h5"
    kvreplay("result", "merge", files["shard 1"], files["shard 2"], "-o", files["merged"])
    return files


def groups(path: Path) -> dict[str, list[str]]:
    """The datasets of every group."""
    found: dict[str, list[str]] = {"/": []}

    def look(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Group):
            found.setdefault(f"/{name}", [])
        else:
            group, _, last = f"/{name}".rpartition("/")
            found.setdefault(group or "/", []).append(last)

    with h5py.File(path) as file:
        file.visititems(look)
    return found


def values_of(dataset: h5py.Dataset) -> np.ndarray:
    return np.asarray(dataset.asstr()[:]) if h5py.check_string_dtype(dataset.dtype) else dataset[()]


NAMES = (
    "result", "sweep", "shard 1", "merged", "tiers", "turns", "curve", "basis", "basis of each head", "trace",
    "made trace",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_xarray_has_what_h5py_has(products: dict[str, Path], name: str) -> None:
    """Traces and calibrations have no names of dimensions, which have to be made up."""
    path = products[name]
    unnamed = {"phony_dims": "sort"} if "trace" in name or "basis" in name else {}
    for group, datasets in groups(path).items():
        with (
            xr.open_dataset(path, engine="h5netcdf", group=group, **unnamed) as data,
            h5py.File(path) as file,
        ):
            assert set(datasets) == set(map(str, data.variables)), group
            for dataset in datasets:
                stored = values_of(file[group][dataset])
                read = data[dataset].values
                assert read.shape == stored.shape, (group, dataset)
                np.testing.assert_array_equal(read.astype(stored.dtype), stored, err_msg=f"{group}/{dataset}")
            assert set(file[group].attrs) - {"coordinates"} <= set(data.attrs), group


@pytest.mark.parametrize("name", NAMES)
def test_pandas_has_what_h5py_has(products: dict[str, Path], name: str) -> None:
    """A table of each dataset, by way of xarray: its places are the index."""
    path = products[name]
    unnamed = {"phony_dims": "sort"} if "trace" in name or "basis" in name else {}
    for group, datasets in groups(path).items():
        with (
            xr.open_dataset(path, engine="h5netcdf", group=group, **unnamed) as data,
            h5py.File(path) as file,
        ):
            for dataset in datasets:
                if dataset in data.dims or not data[dataset].dims:
                    continue
                series = data[dataset].reset_coords(drop=True).to_series()
                stored = values_of(file[group][dataset])
                assert series.size == stored.size
                np.testing.assert_array_equal(series.to_numpy().astype(stored.dtype), stored.ravel())
                assert list(series.index.names) == list(data[dataset].dims)


def test_curves_have_coordinates_and_units(products: dict[str, Path]) -> None:
    with xr.open_dataset(products["curve"], engine="h5netcdf") as curve:
        assert curve.bandwidth_bytes_per_s.dims == ("range_bytes", "threads", "depth", "size_bytes")
        assert curve.size_bytes.values.tolist() == [4096, 65536]
        frame = curve.bandwidth_bytes_per_s.squeeze().to_pandas()
        assert (frame.index.name, frame.columns.name) == ("depth", "size_bytes")
        assert frame.loc[8, 65536] > frame.loc[1, 4096] > 0
        assert all("units" in one.attrs for one in curve.variables.values())


def test_merged_shards_are_the_sweep(products: dict[str, Path]) -> None:
    with (
        xr.open_dataset(products["sweep"], engine="h5netcdf") as whole,
        xr.open_dataset(products["merged"], engine="h5netcdf") as merged,
    ):
        xr.testing.assert_identical(whole.load(), merged.load())


def test_texts_for_programs_are_tables_of_pandas(
    kvreplay: Run, products: dict[str, Path], config: Path
) -> None:
    """What is printed as JSON or CSV."""
    result, sample = products["sweep"], products["trace"]
    table = pd.read_csv(io.StringIO(kvreplay("result", "export", result, "--csv", "-").stdout))
    with h5py.File(result) as file:
        np.testing.assert_array_equal(table["latency_p50"], file["latency_p50"][:])
        np.testing.assert_array_equal(table["point"], file["point"].asstr()[:])
    for words, key, columns in (
        (("run", config, "--json"), "points", {"variant", "seed"}),
        (("result", "show", result, "--json"), "points", {"name", "seed"}),
        (("device", "curve", "ufs40", "--size", "4KiB", "--json"), "points", {"size_bytes", "iops"}),
        (("trace", "stats", sample, "--steps", "4", "--json"), "heads", {"layer", "head"}),
        (("compare", result, result, "--json", "-"), "summaries", {"point", "summary", "verdict"}),
    ):
        rows = pd.json_normalize(json.loads(kvreplay("--quiet", *words).stdout)[key])
        assert len(rows) and columns <= set(rows), (words, list(rows))
