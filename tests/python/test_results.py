"""A results file: readable with h5py, pandas and xarray, described, right and reproducible."""

from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

AXES = ("point", "step", "layer", "kv_head", "window")


@pytest.fixture
def file(demo_results: Path) -> Iterator[h5py.File]:
    with h5py.File(demo_results) as opened:
        yield opened


def datasets(group: h5py.Group) -> dict[str, h5py.Dataset]:
    """The datasets of a group that hold what was measured."""
    names = {*AXES, "variant", "seed"}
    return {
        name: item for name, item in group.items() if isinstance(item, h5py.Dataset) and name not in names
    }


def data_bytes(path: Path) -> dict[str, bytes]:
    """What must be the same for the same inputs: the root's datasets, their types, shapes, attributes."""
    with h5py.File(path) as file:
        sections = {}
        for name, item in file.items():
            if isinstance(item, h5py.Dataset):
                texts = [
                    f"{key}={item.attrs[key]}"
                    for key in ("units", "long_name", "formula")
                    if key in item.attrs
                ]
                sections[name] = f"{item.dtype} {item.shape} {texts}".encode() + item[()].tobytes()
        return sections


# --- Form ---


def test_the_axes_are_dimension_scales_of_every_dataset(file: h5py.File) -> None:
    assert len(datasets(file)) > 30
    for group in (file, file["host"]):
        for name, dataset in datasets(group).items():
            labels = tuple(dim[0].name.rsplit("/", 1)[1] for dim in dataset.dims)
            assert labels == AXES[: dataset.ndim], name


def test_every_dataset_says_its_unit_meaning_and_formula(file: h5py.File) -> None:
    for group in (file, file["host"]):
        for name, dataset in datasets(group).items():
            for attribute in ("units", "long_name", "formula"):
                assert dataset.attrs[attribute].decode(), f"{name}@{attribute}"


def test_the_provenance_names_build_host_and_inputs(file: h5py.File) -> None:
    attributes = file["provenance"].attrs
    names = (
        "schema_version kvreplay_version commit compiler build_type host_cpu host_os trace_path trace_sha256"
    )
    for name in names.split():
        assert attributes[name].decode(), name
    assert len(file["provenance/resolved_config"]) == len(file["provenance/notes"]) == len(file["point"])
    assert all("seed:" in config for config in file["provenance/resolved_config"].asstr()[:])


def test_xarray_opens_the_root_and_the_groups(demo_results: Path) -> None:
    with xr.open_dataset(demo_results, engine="h5netcdf") as data:
        assert set(data.coords) == {*AXES, "variant", "seed"}
        assert data.latency_s.dims == ("point", "step")
        assert data.recall.dims == AXES[:4]
        assert data.reused_within.dims == AXES
        assert data.window.values.tolist() == [1, 2, 4, 8, 16]
        assert data.latency_s.units == "s"
        first = data.recall.sel(point=data.point[0], layer=data.layer[0], kv_head=data.kv_head[0])
        assert first.sizes == {"step": 32}
    with xr.open_dataset(demo_results, engine="h5netcdf", group="host") as host:
        assert host.score_kernel_s.dims == ("point", "step")
    with xr.open_dataset(demo_results, engine="h5netcdf", group="provenance") as provenance:
        assert provenance.resolved_config.dims == ("point",)


def test_xarray_sees_text_where_text_is_written(demo_results: Path) -> None:
    with xr.open_dataset(demo_results, engine="h5netcdf") as data:
        names = data.point.values.tolist()
        assert all(isinstance(name, str) for name in names)
        assert data.sel(point=names[-1]).latency_p50 > 0
        assert isinstance(data.attrs["format"], str) and isinstance(data.recall.attrs["units"], str)
    with xr.open_dataset(demo_results, engine="h5netcdf", group="provenance") as provenance:
        assert all(isinstance(text, str) for text in provenance.attrs.values())
        for name in ("resolved_config", "notes"):
            assert all(isinstance(text, str) for text in provenance[name].values)


def test_every_text_has_a_fixed_length(file: h5py.File) -> None:
    def kinds(item: h5py.Dataset | h5py.Group) -> Iterator[h5py.h5t.TypeID]:
        yield from (item.attrs.get_id(name).get_type() for name in item.attrs)
        if isinstance(item, h5py.Dataset):
            yield item.id.get_type()

    def check(name: str, item: h5py.Dataset | h5py.Group) -> None:
        texts = [kind for kind in kinds(item) if isinstance(kind, h5py.h5t.TypeStringID)]
        assert not any(kind.is_variable_str() for kind in texts), name

    check("/", file)
    file.visititems(check)


def test_names_come_back_whatever_letters_they_have(demo_run) -> None:
    with h5py.File(demo_run("name=Größe “8”")) as file:
        assert file["point"].asstr()[0].startswith("single entries")
        assert "Größe “8”" in file["provenance/resolved_config"].asstr()[0]


def test_points_say_what_they_repeat_and_with_which_seed(demo_run) -> None:
    with xr.open_dataset(demo_run("run.seeds=2"), engine="h5netcdf") as data:
        assert data.point.values[:2].tolist() == ["single entries,seed=1", "single entries,seed=2"]
        assert data.variant.values[:3].tolist() == ["single entries", "single entries", "static clusters"]
        assert data.seed.values.tolist() == [1, 2] * 4
        assert data.variant.dims == data.seed.dims == ("point",)


def test_pandas_makes_a_table_of_the_summary(file: h5py.File) -> None:
    summary = {name: dataset[:] for name, dataset in datasets(file).items() if dataset.ndim == 1}
    table = pd.DataFrame(summary, index=file["point"].asstr()[:])
    assert table.loc[file["point"].asstr()[0], "latency_p50"] > 0
    assert table["recall_mean"].between(0, 1).all()


# --- Values ---


def per_step(values: np.ndarray) -> np.ndarray:
    """[step]: sums over layers and heads; NaN where nothing was recorded."""
    rows = values.reshape(len(values), -1)
    return np.where(np.isnan(rows).all(axis=1), np.nan, np.nansum(rows, axis=1))


def percentile(q: float) -> Callable[[h5py.Group, int], float]:
    return lambda data, point: np.nanpercentile(data["latency_s"][point], q)


def mean_of(name: str) -> Callable[[h5py.Group, int], float]:
    return lambda data, point: np.nanmean(data[name][point])


def max_of(name: str) -> Callable[[h5py.Group, int], float]:
    return lambda data, point: np.nanmax(data[name][point])


def step_mean_of(name: str) -> Callable[[h5py.Group, int], float]:
    return lambda data, point: np.nanmean(per_step(data[name][point]))


def ratio_of(numerator: str, denominator: str) -> Callable[[h5py.Group, int], float]:
    def ratio(data: h5py.Group, point: int) -> float:
        below = np.nansum(data[denominator][point])
        return np.nansum(data[numerator][point]) / below if below != 0 else np.nan

    return ratio


def reuse_probability(within: int) -> Callable[[h5py.Group, int], float]:
    def share(data: h5py.Group, point: int) -> float:
        window = data["window"][:].tolist().index(within)
        reused = data["reused_within"][point][..., window]
        known = data["updated_units"][point][~np.isnan(reused)].sum()
        return np.nansum(reused) / known if known > 0 else np.nan

    return share


def where_guessed(of: Callable[[h5py.Group, int], float]) -> Callable[[h5py.Group, int], float]:
    def value(data: h5py.Group, point: int) -> float:
        return of(data, point) if np.nansum(data["guessed_bytes"][point]) > 0 else np.nan

    return value


def guess_coverage(data: h5py.Group, point: int) -> float:
    missed = np.nansum(data["demanded_bytes"][point]) - np.nansum(data["hit_bytes"][point])
    return np.nansum(data["rightly_guessed_bytes"][point]) / missed if missed != 0 else np.nan


def dram_total_max(data: h5py.Group, point: int) -> float:
    parts = (
        "cache_bytes",
        "working_buffer_bytes",
        "write_buffer_bytes",
        "pinned_bytes",
        "representative_bytes",
        "metadata_bytes",
    )
    return np.nanmax(sum(data[part][point] for part in parts))


def time_to_first_token(data: h5py.Group, point: int) -> float:
    return data["prefill_s"][point, 0] + data["latency_s"][point, 0] if "prefill_s" in data else np.nan


def policy_kernel_mean(data: h5py.Group, point: int) -> float:
    return np.nanmean(data["score_kernel_s"][point] + data["update_kernel_s"][point])


SUMMARIES: dict[str, Callable[[h5py.Group, int], float]] = {
    "recall_mean": mean_of("recall"),
    "mass_mean": mean_of("mass"),
    "relative_mass_mean": mean_of("relative_mass"),
    "output_error_mean": mean_of("output_error"),
    "retained_mean": mean_of("retained"),
    "needed_loaded_mean": mean_of("needed_loaded"),
    "selected_mean": mean_of("selected_entries"),
    "latency_mean": mean_of("latency_s"),
    "latency_p50": percentile(50),
    "latency_p95": percentile(95),
    "latency_p99": percentile(99),
    "time_to_first_token": time_to_first_token,
    "tokens_per_s": lambda data, point: 1 / np.nanmean(data["latency_s"][point]),
    "compute_mean": mean_of("compute_s"),
    "policy_mean": mean_of("policy_s"),
    "exposed_io_mean": mean_of("exposed_io_s"),
    "hidden_io_mean": mean_of("hidden_io_s"),
    "hit_rate": ratio_of("hit_units", "demanded_units"),
    "hit_rate_bytes": ratio_of("hit_bytes", "demanded_bytes"),
    "guess_precision": ratio_of("rightly_guessed_bytes", "guessed_bytes"),
    "guess_coverage": where_guessed(guess_coverage),
    "prefetch_wait_mean": where_guessed(mean_of("prefetch_wait_s")),
    "reuse_probability_1": reuse_probability(1),
    "reuse_probability_2": reuse_probability(2),
    "reuse_probability_4": reuse_probability(4),
    "reuse_probability_8": reuse_probability(8),
    "reuse_probability_16": reuse_probability(16),
    "reads_per_step": step_mean_of("read_requests"),
    "bytes_per_step": step_mean_of("read_bytes"),
    "update_bytes_per_step": step_mean_of("update_read_bytes"),
    "contiguous_mean": mean_of("contiguous_mean_entries"),
    "contiguous_max": max_of("contiguous_max_entries"),
    "effective_bandwidth": ratio_of("useful_read_bytes", "io_s"),
    "read_amplification": ratio_of("read_bytes", "useful_read_bytes"),
    "write_bytes_per_step": step_mean_of("write_bytes"),
    "moved_bytes_per_step": step_mean_of("moved_bytes"),
    "write_amplification": ratio_of("write_bytes", "appended_bytes"),
    "flash_space": max_of("flash_space_bytes"),
    "cache_bytes_max": max_of("cache_bytes"),
    "dram_total_max": dram_total_max,
    "energy_per_token": mean_of("energy_j"),
    "flash_energy_share": ratio_of("flash_energy_j", "energy_j"),
    "policy_kernel_mean": policy_kernel_mean,
}


def test_every_stored_summary_is_recomputed_below(file: h5py.File) -> None:
    groups = (file, file["host"])
    stored = {name for group in groups for name, dataset in datasets(group).items() if dataset.ndim == 1}
    assert stored == set(SUMMARIES)


@pytest.mark.filterwarnings("ignore:(All-NaN|Mean of empty)")
@pytest.mark.parametrize("name", SUMMARIES)
def test_a_summary_is_what_numpy_computes_from_the_steps(file: h5py.File, name: str) -> None:
    group = file if name in file else file["host"]
    computed = [SUMMARIES[name](group, point) for point in range(len(file["point"]))]
    np.testing.assert_allclose(group[name][:], computed, rtol=1e-12, atol=0, equal_nan=True)


def test_what_is_counted_and_timed_agrees_with_itself(file: h5py.File) -> None:
    assert (file["hit_units"][:] <= file["demanded_units"][:]).all()
    assert (file["hit_bytes"][:] <= file["demanded_bytes"][:]).all()
    assert (file["selected_entries"][:] <= file["attended_entries"][:]).all()
    hidden = file["io_s"][:] - file["exposed_io_s"][:]
    np.testing.assert_allclose(file["hidden_io_s"][:], hidden, rtol=1e-9, atol=1e-12)
    assert (file["latency_s"][:] >= file["io_s"][:] - 1e-9).all()
    assert (np.diff(file["position"][:], axis=1) == 1).all()
    bounds = file["critical_compute_s"][:] + file["critical_flash_s"][:]
    np.testing.assert_allclose(file["latency_s"][:], bounds, rtol=1e-9)
    purposes = [file[name][:] for name in file if name.startswith("critical_")]
    np.testing.assert_allclose(2 * file["latency_s"][:], sum(purposes), rtol=1e-9)
    assert (file["critical_flash_s"][:] <= file["io_s"][:] * (1 + 1e-9)).all()
    parts = [file[f"{part}_energy_j"][:] for part in ("flash", "dram", "host_io", "compute", "base")]
    assert (np.array(parts) > 0).all()
    np.testing.assert_allclose(file["energy_j"][:], sum(parts), rtol=1e-12)


def test_figures_of_policies_own_are_read_like_metrics(demo_results: Path) -> None:
    with xr.open_dataset(demo_results, engine="h5netcdf") as data:
        splits = data["adaptive.splits"]
        assert splits.dims == AXES[:4]
        assert splits.attrs["policy"] == "clustering 'adaptive'"
        assert {"units", "long_name", "formula"} <= set(splits.attrs)
        ours = splits.sel(point="DynaKV")
        assert splits.drop_sel(point="DynaKV").isnull().all() and ours.notnull().all()
        grown = data.units.sel(point="DynaKV").diff("step")
        np.testing.assert_array_equal(ours.isel(step=slice(1, None)), grown)
        assert ours.sum() > 0
        sensed = data["analytic.sensed_bytes"]
        assert sensed.dims == AXES[:2]
        assert (sensed >= data.read_bytes.sum("layer")).all()
    with h5py.File(demo_results) as file:
        notes = file["provenance/notes"].asstr()[:]
        assert not any("adaptive.splits" in note for note in notes)


# --- Reproducibility ---


def test_a_second_run_gives_the_same_bytes(demo_results: Path, demo_run: Callable[..., Path]) -> None:
    assert data_bytes(demo_run()) == data_bytes(demo_results)


def test_the_number_of_threads_changes_no_byte(demo_run: Callable[..., Path]) -> None:
    assert data_bytes(demo_run("run.threads=1")) == data_bytes(demo_run("run.threads=2"))


def test_summaries_can_be_all_that_is_kept(demo_run) -> None:
    with h5py.File(demo_run("record.per_step=false")) as brief, h5py.File(demo_run()) as full:
        assert "recall" not in brief and "recall" in full
        np.testing.assert_array_equal(brief["recall_mean"][:], full["recall_mean"][:])
