"""The package `kvreplay`: it opens results and traces, calls the program, finds fronts and draws."""

import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import kvreplay as package
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import ROOT
from kvreplay import fronts
from kvreplay.program import COLUMNS, program
from swept_results import (
    ATTRS,
    CAPACITIES,
    SEEDS,
    SHARES,
    plain_sweep,
    points,
    product,
    said_sweep,
    with_axes,
    without_axes,
)

mpl.use("agg")

SAMPLE = ROOT / "traces" / "samples" / "smollm2.h5"


@pytest.fixture(autouse=True)
def the_program(program_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package calls the program under test."""
    monkeypatch.setenv("KVREPLAY", str(program_path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("package")


@pytest.fixture(scope="module")
def plain(kvreplay: Callable[..., object], folder: Path) -> Path:
    return plain_sweep(kvreplay, folder)


@pytest.fixture(scope="module")
def systems(demo_results: Path, folder: Path) -> Path:
    """Four points that are no product of anything."""
    return without_axes(demo_results, folder / "systems.h5")


@pytest.fixture(scope="module")
def swept(plain: Path, folder: Path) -> Path:
    return said_sweep(plain, folder / "swept.h5")


@pytest.fixture(scope="module")
def grid(swept: Path) -> Iterator[xr.Dataset]:
    with package.open(swept) as data:
        yield data


# --- Opening results ---


def test_a_file_that_does_not_say_what_was_swept_has_points(systems: Path) -> None:
    with package.open(systems) as data, h5py.File(systems) as file:
        assert data.recall.dims == ("point", "step", "layer", "kv_head")
        assert data.reused_within.dims == (*data.recall.dims, "window")
        assert set(data.coords) == {"point", "variant", "seed", "step", "layer", "kv_head", "window"}
        assert data.point.values.tolist() == list(file["point"].asstr()[:])
        np.testing.assert_array_equal(data.recall, file["recall"][:])
        assert data.latency_s.attrs["units"] == "s" and data.latency_s.attrs["formula"]
        assert data.sel(point="DynaKV").latency_p50 > 0


def test_texts_are_str(demo_results: Path) -> None:
    for group in (None, "host", "provenance"):
        with package.open(demo_results, group=group) as data:
            texts = [one for one in data.variables.values() if one.dtype.kind not in "if"]
            assert texts and all(one.dtype.kind == "U" for one in texts)
            attrs = [data.attrs, *(one.attrs for one in data.variables.values())]
            assert not any(isinstance(value, bytes) for one in attrs for value in one.values())


def test_texts_in_ascii_bytes_are_str_too(systems: Path, tmp_path: Path) -> None:
    copy = shutil.copy(systems, tmp_path / "ascii.h5")
    with h5py.File(copy, "r+") as file:
        names = file["variant"][:].astype("S40")
        del file["variant"]
        file["variant"] = names
        file["variant"].dims[0].attach_scale(file["point"])
        file["variant"].attrs["long_name"] = np.bytes_(b"name")
    with package.open(copy) as data:
        assert data.variant.values.tolist() == data.point.values.tolist()
        assert data.variant.attrs["long_name"] == "name"


def test_a_file_that_does_not_say_what_was_swept_has_variants_and_seeds(plain: Path) -> None:
    with package.open(plain) as data, package.open(plain, stack=True) as points:
        assert data.latency_s.dims == ("variant", "seed", "step")
        assert data.seed.values.tolist() == SEEDS
        for variant, seed in itertools.product(data.variant.values, SEEDS):
            at = f"{variant},seed={seed}"
            assert data.point.sel(variant=variant, seed=seed).item() == at
            np.testing.assert_array_equal(
                data.recall.sel(variant=variant, seed=seed), points.recall.sel(point=at)
            )


def test_swept_keys_are_dimensions(grid: xr.Dataset) -> None:
    assert grid.recall.dims == ("share", "capacity", "seed", "step", "layer", "kv_head")
    assert grid.recall_mean.dims == grid.point.dims == ("share", "capacity", "seed")
    assert grid.variant.dims == ("share", "capacity")
    assert (grid.share.dtype, grid.capacity.dtype) == (np.dtype(float), np.dtype(np.int64))
    assert grid.share.values.tolist() == SHARES and grid.capacity.values.tolist() == CAPACITIES
    assert grid.capacity.attrs == {**ATTRS["capacity"], "axis": 1}
    assert grid.recall_mean.sel(share=0.2).min() > grid.recall_mean.sel(share=0.05).max()
    assert set(grid.coords) == {*grid.dims, "variant", "point"}


def test_a_value_is_where_its_point_was(plain: Path, folder: Path) -> None:
    seed = int(np.random.default_rng().integers(2**32))
    print(f"seed {seed}")
    order = np.random.default_rng(seed).permutation(len(product())).tolist()
    points = [(product()[i][0], product()[i][1], f"text {product()[i][2]}") for i in order]
    axes = {name: [one[i] for one in points] for i, name in enumerate(("share", "capacity", "system"))}
    path = with_axes(plain, folder / "shuffled.h5", axes, {})
    with h5py.File(path, "r+") as file:
        file["seed"][:] = 1
    with package.open(path) as data, package.open(path, stack=True) as stacked:
        assert data.latency_s.dims == ("share", "capacity", "system", "step")
        assert data.share.values.tolist() == list(dict.fromkeys(axes["share"]))
        assert data.system.dtype.kind == "U" and data.seed.dims == ()
        for number, (share, capacity, system) in enumerate(points):
            one = data.sel(share=share, capacity=capacity, system=system)
            assert one.point.item() == stacked.point.values[number]
            for name in ("recall", "latency_s", "latency_p50"):
                np.testing.assert_array_equal(one[name], stacked[name][number])


def test_parts_are_read_as_from_the_whole(swept: Path, grid: xr.Dataset) -> None:
    seed = int(np.random.default_rng().integers(2**32))
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    whole = grid.recall.to_numpy()
    with package.open(swept) as data:
        for _ in range(40):
            key = tuple(
                [int(rng.integers(size)), slice(None), slice(None, None, -1), rng.integers(size, size=3)][
                    rng.integers(4)
                ]
                for size in whole.shape
            )
            expected = whole
            for axis in reversed(range(whole.ndim)):
                expected = expected[(slice(None),) * axis + (key[axis],)]
            np.testing.assert_array_equal(data.recall[key], expected)
        assert not data.recall.variable._in_memory


def changed(path: Path, copy: Path, change: Callable[[h5py.File], None]) -> Path:
    shutil.copy(path, copy)
    with h5py.File(copy, "r+") as file:
        change(file)
    return copy


def no_value(file: h5py.File) -> None:
    file["share"][3] = np.nan


def a_value_twice(file: h5py.File) -> None:
    file["capacity"][0] = CAPACITIES[1]


def a_value_more(file: h5py.File) -> None:
    file["capacity"][0] = 7


@pytest.mark.parametrize("change", [no_value, a_value_twice, a_value_more])
def test_points_that_are_no_full_product_stay(
    swept: Path, tmp_path: Path, change: Callable[[h5py.File], None]
) -> None:
    path = changed(swept, tmp_path / "part.h5", change)
    with package.open(path) as data:
        assert data.recall.dims == ("point", "step", "layer", "kv_head")
        assert all(data[name].dims == ("point",) for name in ("share", "capacity", "variant", "seed"))
        assert set(data.coords) >= {"share", "capacity", "variant", "seed"}
        assert data.capacity.attrs["units"] == "B"


@pytest.mark.parametrize("values", [["", *"abcdefghijk"], [np.nan, *(float(i) for i in range(11))]])
def test_an_empty_text_and_nan_are_no_values(
    plain: Path, folder: Path, values: list[str] | list[float]
) -> None:
    path = with_axes(plain, folder / "texts.h5", {"system": values}, {})
    with h5py.File(path, "r+") as file:
        file["seed"][:] = 1
    with package.open(path) as data:
        assert data.system.dims == ("point",)
        np.testing.assert_array_equal(data.system, values)
    with h5py.File(path, "r+") as file:
        file["system"][0] = b"l" if isinstance(values[0], str) else 11.0
    with package.open(path) as data:
        assert data.system.dims == ("system",)


def test_a_swept_seed_is_the_seed(plain: Path, folder: Path, grid: xr.Dataset) -> None:
    axes = {name: [one[i] for one in product()] for i, name in enumerate(("share", "capacity", "run.seed"))}
    with package.open(with_axes(plain, folder / "s.h5", axes, {"run.seed": {"key": "run.seed"}})) as data:
        assert data.recall.dims == grid.recall.dims
        np.testing.assert_array_equal(data.recall, grid.recall)


def test_stack_keeps_points(swept: Path, grid: xr.Dataset) -> None:
    with package.open(swept, stack=True) as data:
        assert data.recall.dims == ("point", "step", "layer", "kv_head")
        assert data.share.values.tolist() == [one[0] for one in product()]
        np.testing.assert_array_equal(data.latency_p50, grid.latency_p50.to_numpy().ravel())


def test_groups_have_the_same_form(swept: Path, grid: xr.Dataset) -> None:
    with package.open(swept, group="host") as host:
        assert host.score_kernel_s.dims == ("share", "capacity", "seed", "step")
        assert host.score_kernel_s.attrs["units"] == "s"
        assert host.share.equals(grid.share)
    with package.open(swept, group="provenance") as said:
        assert said.resolved_config.dims == ("share", "capacity", "seed")
        text = said.resolved_config.sel(share=0.2, capacity=65536, seed=2).item()
        assert re.search(r"\n +capacity: 64KiB\n", text) and "\nrun:\n" in text
    with pytest.raises(package.Error, match="has no group 'hosts'; there are: host, provenance"):
        package.open(swept, group="hosts")


def test_provenance_is_texts(demo_results: Path) -> None:
    found = package.provenance(demo_results)
    assert found["trace_sha256"] and found["compiler"] and isinstance(found["commit"], str)
    assert list(found["resolved_config"]) == list(found["notes"])
    assert "seed: " in found["resolved_config"]["DynaKV"]
    assert any("extrapolated" in note for note in found["notes"]["DynaKV"])


def test_incomplete_results_warn(swept: Path, tmp_path: Path) -> None:
    def stop(file: h5py.File) -> None:
        file.attrs["complete"] = np.int64(0)
        file.attrs["points_planned"] = np.int64(20)

    path = changed(swept, tmp_path / "part.h5", stop)
    with pytest.warns(package.IncompleteWarning, match=r"part\.h5: has 12 of 20 points") as caught:
        package.open(path).close()
    assert caught[0].filename == __file__


def test_what_is_no_result_is_refused(swept: Path, tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("text")

    def raise_version(file: h5py.File) -> None:
        file.attrs["version"] = np.int64(2)

    later = changed(swept, tmp_path / "later.h5", raise_version)
    for path, what in (
        (SAMPLE, "its format is 'kvtrace'; expected results of 'kvreplay run'"),
        (tmp_path / "text.h5", "not an HDF5 file"),
        (later, "version 2 of results; known: 1$"),
    ):
        for reader in (package.open, package.provenance):
            with pytest.raises(package.Error, match=f"{re.escape(str(path))}: {what}"):
                reader(path)
    with pytest.raises(FileNotFoundError, match=r"nothing\.h5"):
        package.open(tmp_path / "nothing.h5")


# --- Traces ---


def test_a_trace_has_its_geometry() -> None:
    with package.open_trace(SAMPLE) as trace, h5py.File(SAMPLE) as file:
        for name in ("layers", "query_heads", "kv_heads", "head_dim", "vocab_size", "rope_theta"):
            assert getattr(trace.model, name) == file.attrs[name]
        assert trace.model.model_name == file.attrs["model_name"].decode()
        assert (trace.model.group, type(trace.model.head_dim)) == (3, int)
        assert (trace.prefill_len, trace.seq_len) == (file.attrs["prefill_len"], file.attrs["seq_len"])
        assert trace.layers == (5, 12, 19, 26) and trace.kv_heads == (0, 1, 2)
        assert trace.tokens.dtype == np.int32 and trace.tokens.size == trace.seq_len
        assert trace.query_positions.dtype == np.int64
        assert trace.query_positions[-1] == trace.seq_len - 1
        assert "SmolLM2" in repr(trace)


def test_a_trace_is_read_by_layer_and_head() -> None:
    with package.open_trace(SAMPLE) as trace, h5py.File(SAMPLE) as file:
        for name, array in (("keys", trace.keys(12, 2)), ("values", trace.values(12, 2))):
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, file[f"layers/12/{name}"][2])
        queries = trace.queries(26, 1)
        assert queries.dtype == np.float32 and queries.shape == (3, trace.query_positions.size, 64)
        np.testing.assert_array_equal(queries, file["layers/26/queries"][3:6])
        for read in (trace.keys, trace.values, trace.queries):
            with pytest.raises(IndexError, match="has no layer 6; there are 5, 12, 19, 26"):
                read(6, 0)
            for head in (-1, 3):
                with pytest.raises(IndexError, match=f"has no KV head {head}; there are 0, 1, 2"):
                    read(5, head)
    with pytest.raises(ValueError, match="is closed"):
        trace.keys(12, 2)


def test_heads_are_those_of_the_model(kvreplay: Callable[..., object], tmp_path: Path) -> None:
    path = tmp_path / "tiny.h5"
    kvreplay("trace", "synth", path, "--prompt", "64", "--steps", "8", "--head-dim", "16", "--kv-heads", "2")

    def call_them_otherwise(file: h5py.File) -> None:
        file.attrs["kv_heads"], file.attrs["query_heads"] = 8, 8 * file.attrs["query_heads"] // 2
        file.attrs["captured_kv_heads"] = np.array([3, 6])

    with package.open_trace(changed(path, tmp_path / "some.h5", call_them_otherwise)) as trace:
        np.testing.assert_array_equal(trace.keys(0, 6), trace._file["layers/0/keys"][1])
        assert trace.queries(0, 3).shape[0] == trace.model.group


def test_a_damaged_trace_is_refused(demo_results: Path, tmp_path: Path) -> None:
    def without_scale(file: h5py.File) -> None:
        del file.attrs["attention_scale"]

    def without_values(file: h5py.File) -> None:
        del file["layers/12/values"]

    def too_short(file: h5py.File) -> None:
        file.attrs["seq_len"] = 1700

    def odd_heads(file: h5py.File) -> None:
        file.attrs["query_heads"] = 10

    def a_text(file: h5py.File) -> None:
        file.attrs["head_dim"] = "wide"

    for change, what in (
        (without_scale, "lacks the attribute 'attention_scale'"),
        (without_values, "lacks the dataset 'layers/12/values'"),
        (too_short, r"'tokens' has the shape \(1632,\); expected \(1700,\)"),
        (odd_heads, "10 query heads of 3 KV heads"),
        (a_text, "attribute 'head_dim' is 'wide'"),
    ):
        with pytest.raises(package.Error, match=what):
            package.open_trace(changed(SAMPLE, tmp_path / "damaged.h5", change))
    with pytest.raises(package.Error, match=r"format 'kvreplay-results', version \d; expected kvtrace"):
        package.open_trace(demo_results)
    with pytest.raises(FileNotFoundError):
        package.open_trace(tmp_path / "nothing.h5")


# --- The program ---


@pytest.fixture(scope="module")
def worse(folder: Path, plain: Path) -> Path:
    sets = {"system.stages.0.pins.sinks": 0, "run.seeds": 2}
    return package.run(folder / "sweep.yaml", folder / "worse.h5", sets)


def test_run_writes_results(folder: Path, plain: Path, worse: Path) -> None:
    with package.open(worse) as data:
        assert data.sizes["step"] == 12 and data.sizes["seed"] == 2
    again = package.run(folder / "sweep.yaml", folder / "again.h5", {"name": "other", "run.check": "end"}, 2)
    assert not package.compare(plain, again, exact=True).regression


def test_run_says_what_is_wrong(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(package.Error, match=r"(?s)run\.stepz.*did you mean.*run\.threads|run\.stepz"):
        package.run(folder / "sweep.yaml", tmp_path / "out.h5", {"run.stepz": 2})
    assert not (tmp_path / "out.h5").exists()


def test_the_same_is_no_regression(plain: Path) -> None:
    found = package.compare(plain, plain)
    assert not found.regression and found.moved.empty
    assert list(found.moved) == list(COLUMNS)
    assert found.report["summaries"]


def test_what_moved_is_a_table(plain: Path, worse: Path) -> None:
    found = package.compare(plain, worse, any_configuration=True)
    assert found.regression and isinstance(found.moved, pd.DataFrame)
    rows = found.moved.set_index(["point", "summary"])
    mass = rows.loc[("share=0.05,capacity=64KiB", "mass_mean")]
    assert mass["difference"] == pytest.approx(mass["new"] - mass["base"])
    assert mass["base_seeds"] == 2 and mass["first"]["metric"] == "mass"
    assert set(found.moved["verdict"]) <= {"regression", "uncertain", "changed", "improved", "within"}
    assert len(found.report["summaries"]) > len(found.moved)


def test_tolerances_and_rules_are_handed_on(plain: Path, worse: Path, tmp_path: Path) -> None:
    tolerant = {"any_configuration": True, "max_growth": {"*": "900000%"}}
    assert not package.compare(plain, worse, max_drop={"*": "100%"}, **tolerant).regression
    rules = [{"metric": "*", "ignore": True}, {"metric": "mass", "ignore": False, "max_drop": 0}]
    strict = package.compare(plain, worse, rules, any_configuration=True)
    assert strict.regression and set(strict.moved["summary"]) == {"mass_mean"}
    (tmp_path / "r.yaml").write_text("- {metric: '*', ignore: true}\n")
    none = package.compare(plain, worse, tmp_path / "r.yaml", any_configuration=True)
    assert none.moved.empty and not none.regression


def test_what_cannot_be_compared_is_said(plain: Path, worse: Path, demo_results: Path) -> None:
    with pytest.raises(package.Error, match="--any-configuration compares all the same"):
        package.compare(plain, worse)
    with pytest.raises(package.Error, match="is no tolerance of"):
        package.compare(plain, plain, max_drop={"recall": -1})


def test_any_command_gives_what_it_prints(kvreplay: Callable[..., object]) -> None:
    words = ("list", "scorer", "centroid")
    assert package.command(*words) == kvreplay(*words).stdout
    assert str(SAMPLE) in package.command("trace", "info", SAMPLE)
    with pytest.raises(package.Error, match=r"no such scorer \(centroids\); did you mean 'centroid'"):
        package.command("list", "scorer", "centroids")


def test_the_program_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "named"
    named.write_text("")
    monkeypatch.setenv("KVREPLAY", str(named))
    assert program() == named
    monkeypatch.setenv("KVREPLAY", str(tmp_path / "nothing"))
    with pytest.raises(package.Error, match=r"KVREPLAY is .*nothing: no such file"):
        program()
    monkeypatch.delenv("KVREPLAY")
    on_path = tmp_path / "kvreplay"
    on_path.write_text("#!/bin/sh\n")
    on_path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == on_path
    on_path.unlink()
    monkeypatch.setattr("kvreplay.program.IN_TREE", named)
    assert program() == named
    monkeypatch.setattr("kvreplay.program.IN_TREE", tmp_path / "nothing")
    with pytest.raises(package.Error, match="is not found; set KVREPLAY"):
        package.run("c.yaml", "o.h5")


# --- Fronts ---


def plain_front(costs: np.ndarray) -> set[int]:
    """By the definition, one pair after the other."""

    def beats(a: np.ndarray, b: np.ndarray) -> bool:
        return all(x <= y for x, y in zip(a, b, strict=True)) and any(
            x < y for x, y in zip(a, b, strict=True)
        )

    known = [i for i, row in enumerate(costs) if not any(np.isnan(value) for value in row)]
    return {i for i in known if not any(beats(costs[j], costs[i]) for j in known)}


def test_a_front_is_what_the_definition_says() -> None:
    seed = int(np.random.default_rng().integers(2**32))
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    for _ in range(150):
        count, metrics = int(rng.integers(0, 40)), int(rng.integers(2, 5))
        costs = rng.integers(0, rng.choice([3, 8, 1000]), (count, metrics)).astype(float)
        costs[rng.random(costs.shape) < 0.05] = np.nan
        costs[rng.random(costs.shape) < 0.03] = np.inf
        signs = rng.choice([1, -1], metrics)
        data = points(**{f"m{i}": signs[i] * costs[:, i] for i in range(metrics)})
        asked = [(f"m{i}", "min" if sign > 0 else "max") for i, sign in enumerate(signs)]
        front = package.pareto(data, *asked)
        numbers = [int(name[1:]) for name in front]
        assert set(numbers) == plain_front(costs) and len(set(numbers)) == len(numbers)
        order = [(costs[number, 0], number) for number in numbers]
        assert order == sorted(order)


def test_equal_points_are_on_the_front_together_and_nan_is_not() -> None:
    data = points(a=np.array([1.0, 1, 2, np.nan, 1]), b=np.array([5.0, 5, 1, 0, 6]))
    assert package.pareto(data, ("a", "min"), ("b", "min")).tolist() == ["p0", "p1", "p2"]
    assert package.pareto(data.isel(point=[3]), ("a", "min"), ("b", "min")).empty


def test_directions_are_those_of_compare(plain: Path) -> None:
    rows = package.compare(plain, plain, host=True).report["summaries"]
    drops, growths = ({row["summary"] for row in rows if row[limit]} for limit in ("max_drop", "max_growth"))
    every = {row["summary"] for row in rows}
    assert fronts.LARGEST & every == drops - growths
    assert fronts.SMALLEST & every == growths - drops
    page = (ROOT / "sim" / "results" / "METRICS.md").read_text()
    assert all(f"`{name}`" in page or f"`/host/{name}`" in page for name in fronts.LARGEST | fronts.SMALLEST)


def test_a_front_of_dimensions_is_an_index_of_them(grid: xr.Dataset, swept: Path) -> None:
    front = package.pareto(grid, "latency_p50", "output_error_mean", ("dram_total_max", "min"))
    assert front.names == ["share", "capacity"]
    means = grid[["latency_p50", "output_error_mean", "dram_total_max"]].mean("seed")
    table = means.to_dataframe()[list(means)]
    assert {table.index.get_loc(place) for place in front} == plain_front(table.to_numpy())
    one = package.pareto(grid.isel(seed=0, share=0), "latency_p50", "dram_total_max")
    assert one.name == "capacity" and len(grid.sel(capacity=one).capacity) == len(one)
    with package.open(swept, stack=True) as data:
        each = package.pareto(data)
        assert each.name == "point" and data.sel(point=each).sizes["point"] == len(each)


def test_what_is_no_metric_of_points_is_refused(grid: xr.Dataset) -> None:
    for metrics, what in (
        (("latency_p50", "selected_mean"), "selected_mean: it is not known what is better"),
        (("latency_p50", ("recall_mean", "up")), "'up' is no direction; allowed: min, max"),
        (("latency_p51", "recall_mean"), "latency_p51: it is not known"),
        ((("nothing", "min"), "recall_mean"), "there is no 'nothing' in the data"),
        ((("share", "min"), "recall_mean"), "share: does not vary over capacity"),
        ((("latency_s", "min"), "recall_mean"), "latency_s: has values by step"),
    ):
        with pytest.raises(package.Error, match=what):
            package.pareto(grid, *metrics)


# --- What is said of it ---


def test_the_pages_say_what_works(demo_results: Path, tmp_path: Path) -> None:
    pages = [(ROOT / "docs" / name).read_text() for name in ("results.md", "sweeps.md", "releases.md")]
    code = [text for page in pages for text in re.findall(r"```python\n(.*?)```", page, re.DOTALL)]
    assert len(code) == 4
    (tmp_path / "results").mkdir()
    shutil.copy(demo_results, tmp_path / "results" / "demo.h5")
    environment = {**os.environ, "MPLBACKEND": "agg", "PYTHONPATH": str(ROOT / "python")}
    for text in code:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", text],
            check=False, cwd=tmp_path, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), text


def test_the_package_is_typed_and_documented() -> None:
    assert (Path(package.__file__).parent / "py.typed").is_file()
    for name in package.__all__:
        assert getattr(package, name).__doc__, name
