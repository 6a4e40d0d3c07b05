"""Which of DynaKV's directions come out on the first 512 steps of the shipped sample, and which do not.

`DIRECTIONS` has every row of the notebook's table, `CLAIMS` what else is true of the results, beside what the
paper says. Both come from intervals over few seeds; where one changes, its test prints what it should hold.
"""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr
from conftest import ROOT
from notebook_runs import run_notebook

sys.path.insert(0, str(ROOT / "notebooks"))

import dynakv_run
import dynakv_t6
from dynakv_paper import FIGURES, compare, compare_all, direction, over_buffer, variants_of
from dynakv_reasons import why
from dynakv_results import (
    COMPARED,
    MODEL,
    OURS,
    REUSED_WITHIN,
    Results,
    at,
    by_system,
    log_ratio,
    over_quarters,
    per_head,
    retrieved_share,
    reuse_of_updated,
    reused_within,
    settings,
)
from dynakv_table import digest_of, page
from paired import Estimate, estimate

CONFIGS = ROOT / "configs" / "paper" / "dynakv"
STEPS, SEEDS = 512, 2  # 768 tokens: twice the prompt beyond it
STEPS_OF_ALL_MODELS = 128
# The paper's direction by figure: as published, and with representatives in DRAM.
DIRECTIONS = {
    "T1": ("no", ""),
    "T2": ("yes", ""),
    "F3b": ("yes", ""),
    "F4": ("yes", ""),
    "F7": ("yes", ""),
    "F10a": ("undecided", ""),
    "F10b": ("undecided", "yes"),
    "F10c": ("no", "no"),
    "T5": ("undecided", ""),
    "F11": ("undecided", ""),
    "F11, updates": ("yes", ""),
    "F12": ("yes", ""),
    "F12, pairing": ("undecided", ""),
    "F13": ("yes", ""),
    "F13, space": ("no", ""),
    "F14a": ("yes", ""),
    "F14b": ("yes", ""),
    "T6": ("undecided", "no"),
    "T6, absolute": ("no", ""),
    "F15": ("undecided", "yes"),
    "F16": ("undecided", "yes"),
    "F17": ("undecided", "yes"),
    "F18": ("no", "no"),
}


def experiments_on(
    folder: Path, steps: int, models: list[str] | None, only: list[str] | None = None
) -> Results:
    """The experiments as scripts/paper-dynakv runs them."""
    configs = dynakv_run.copy_configs(dynakv_run.SAMPLE, folder, models)
    changed = (f"run.steps={steps}", f"run.seeds={SEEDS}", "run.check=every_step")
    tasks = [
        dynakv_run.Task(config, dynakv_run.SAMPLE, folder, changed)
        for config in dynakv_run.experiment_files(configs)
        if only is None or config.stem in only
    ]
    assert dynakv_run.run_all(tasks)
    return Results(folder)


@pytest.fixture(scope="module")
def results(kvreplay, tmp_path_factory) -> Results:
    """All experiments on one model."""
    folder = tmp_path_factory.mktemp("dynakv")
    kvreplay("device", "curve", "ufs40", "--depth", "32", "-o", folder / "f3b_curve.h5")
    return experiments_on(folder, STEPS, [MODEL])


@pytest.fixture(scope="module")
def all_models(kvreplay, tmp_path_factory) -> Results:
    """All systems on all models, few steps."""
    folder = tmp_path_factory.mktemp("models")
    return experiments_on(folder, STEPS_OF_ALL_MODELS, None, ["f10_systems"])


@pytest.fixture(scope="module")
def table(results) -> pd.DataFrame:
    return compare(results, why).set_index("figure")


def literal(found: dict) -> str:
    return "".join(f"    {key!r}: {value!r},\n" for key, value in found.items())


def test_every_row_of_the_table_goes_the_way_it_is_said_to(table) -> None:
    found = {name: (row["direction"], row["direction in DRAM"]) for name, row in table.iterrows()}
    assert found == DIRECTIONS, f"DIRECTIONS should hold\n{literal(found)}"


# What else is claimed of the results: the logarithm of a ratio that exceeds 1 where the claim is true.
Claim = Callable[[Results], xr.DataArray]


def of_systems(above: str, below: str, name: str, across: bool = False) -> Claim:
    """Of two systems: a summary, or `across` layers and heads the mean over the steps."""

    def claim(results: Results) -> xr.DataArray:
        data = at(results["f10_systems"], model=MODEL)
        table = per_head(data, name) if across else by_system(data, name)
        return log_ratio(table.sel(system=above), table.sel(system=below))

    return claim


def of_variants(experiment: str, above: str, below: str, name: str, factor: float = 1.0) -> Claim:
    """Of two points of an experiment: more than `factor` times as much."""

    def claim(results: Results) -> xr.DataArray:
        values = variants_of(results[experiment], name)
        return log_ratio(values[above], values[below]) - math.log(factor)

    return claim


def of_quarters(system: str, later: int, earlier: int) -> Claim:
    """Of the recall in two quarters of the steps."""

    def claim(results: Results) -> xr.DataArray:
        recall = over_quarters(results["f10_systems"], "recall").sel(system=system)
        return log_ratio(recall.sel(quarter=later), recall.sel(quarter=earlier))

    return claim


def over_pages(name: str) -> Claim:
    """DynaKV's over that of runs of 16 consecutive tokens."""

    def claim(results: Results) -> xr.DataArray:
        data = results["units"]
        pages = by_system(data, data[name].mean("step")).sel(system="pages 16")
        return log_ratio(per_head(results["f10_systems"], name).sel(system=OURS), pages)

    return claim


def updates_of_all_reads(results: Results) -> xr.DataArray:
    data = results["f11_buffer"]
    everything, updates = (over_buffer(data, f"{name}bytes_per_step") for name in ("", "update_"))
    return log_ratio(0.01 * everything, updates).sel(buffer_entries=0, drop=True)


def units_and_tightness(results: Results) -> xr.DataArray:
    """Positive where a head that has more of DynaKV's units than of ClusterKV's has tighter ones."""
    units, width = (per_head(results["f10_systems"], name) for name in ("units", "unit_variance"))
    more = log_ratio(units.sel(system=OURS), units.sel(system="ClusterKV"))
    tighter = log_ratio(width.sel(system="ClusterKV"), width.sel(system=OURS))
    return more * tighter


CLAIMS: dict[str, tuple[Claim, str]] = {
    # Table 5 has DynaKV's clusters the tightest in all cases; the threshold is such that there are as many of
    # them as ClusterKV has.
    "static ones are wider than windows": (
        of_systems("PQCache", "ClusterKV", "unit_variance", True),
        "yes",
    ),
    "windows are wider than bounded clusters": (
        of_systems("ClusterKV", OURS, "unit_variance", True),
        "in every seed",
    ),
    "heads with more units have tighter ones": (units_and_tightness, "in every seed"),
    # Figure 10a has DynaKV above ClusterKV.
    "recall is above that of static clusters": (of_systems(OURS, "PQCache", "recall", True), "yes"),
    "recall is above that of windows": (of_systems(OURS, "ClusterKV", "recall", True), "in every seed"),
    "entries one by one are found more often": (of_systems("no cluster", OURS, "recall", True), "yes"),
    "recall is above that of pages": (over_pages("recall"), "in every seed"),
    "mass is above that of pages": (over_pages("mass"), "in every seed"),
    "static clusters lose recall": (of_quarters("PQCache", 1, 4), "yes"),
    "windows gain recall": (of_quarters("ClusterKV", 4, 1), "yes"),
    "bounded clusters gain recall": (of_quarters(OURS, 4, 1), "yes"),
    # Figures 10b and 15 to 17 have DynaKV the fastest, with its pipelines and its replacement.
    "pipelines save time": (of_variants("ablation", "no pipelines", OURS, "latency_mean"), "yes"),
    "pipelines read twice as much": (
        of_variants("ablation", OURS, "no pipelines", "bytes_per_step", 2),
        "yes",
    ),
    "pipelines cost energy": (of_variants("ablation", OURS, "no pipelines", "energy_per_token"), "yes"),
    "representatives on flash cost time": (
        of_variants("ablation", OURS, "representatives in DRAM", "latency_mean"),
        "yes",
    ),
    "LRU is faster": (of_variants("ablation", OURS, "LRU", "latency_mean"), "in no seed"),
    "LRU finds more units": (of_variants("ablation", "LRU", OURS, "hit_rate"), "in no seed"),
    "the published order finds fewer units": (
        of_variants("ablation", OURS, "strict order", "hit_rate"),
        "in every seed",
    ),
    # Figure 12: inter-cluster continuity adds 61 %. Units from splits are in no pair.
    "pairing adds a hundredth": (
        of_variants("f12_continuity", "dual head, correlated", "dual head, order", "contiguous_mean", 1.01),
        "no",
    ),
    # Figure 13: more than 10^4 times less, in minor extra space.
    "pools move a hundredth": (
        of_variants("f13_updates", "shift", "dual head", "moved_bytes_per_step", 100),
        "yes",
    ),
    "pools move a ten-thousandth": (
        of_variants("f13_updates", "shift", "dual head", "moved_bytes_per_step", 1e4),
        "no",
    ),
    "pools move less than a cluster that grows": (
        of_variants("f13_updates", "relocate", "dual head", "moved_bytes_per_step"),
        "yes",
    ),
    "pools of static clusters take half as much again": (
        of_variants(
            "f13_updates", "dual head, static clusters", "shift, static clusters", "flash_space", 1.5
        ),
        "in no seed",
    ),
    # Figure 11 has up to 2.32x less transfer volume.
    "updates cause less than a hundredth of the reads": (updates_of_all_reads, "in every seed"),
}


def verdict(logarithm: xr.DataArray) -> str:
    """The direction; where the interval over so few seeds decides nothing, whether all of them agree."""
    way = direction(estimate(logarithm).exp())
    of_seeds = logarithm.mean([name for name in logarithm.dims if name != "seed"])
    if way == "undecided" and bool((of_seeds > 0).all()):
        return "in every seed"
    return "in no seed" if way == "undecided" and bool((of_seeds < 0).all()) else way


def test_claims_are_true(results) -> None:
    found = {name: verdict(claim(results)) for name, (claim, _) in CLAIMS.items()}
    wrong = {name: found[name] for name, (_, expected) in CLAIMS.items() if found[name] != expected}
    assert not wrong, f"CLAIMS should hold\n{literal(wrong)}"


def test_every_experiment_checks_its_invariants_after_every_step(results) -> None:
    names = [path.stem for path in dynakv_run.experiment_files(ROOT / "configs")]
    assert len(names) == 12
    for name in names:
        assert set(settings(results[name], "run.check")) == {"every_step"}, name
        assert list(results[name].seed.values) == list(results.seeds())
    assert len(results.seeds()) == SEEDS


def test_reuse_is_read_from_files_of_before_there_were_windows_too() -> None:
    counts = xr.DataArray([[3.0, 5.0], [2.0, 4.0]], dims=("step", "window"), coords={"window": [1, 4]})
    now = xr.Dataset({"reused_within": counts})
    before = xr.Dataset({f"reused_within_{n}": counts.sel(window=n, drop=True) for n in (1, 4)})
    for steps in (1, 4):
        xr.testing.assert_identical(
            reused_within(now, steps).rename(None), reused_within(before, steps).rename(None)
        )
    assert reused_within(now, 4).values.tolist() == [5.0, 4.0]


def test_an_updated_cluster_is_retrieved_again_sooner_than_any(results) -> None:
    # Table 2 has 30 to 59 % in the next step and 55 to 80 % within 16.
    reuse = reuse_of_updated(results["f10_systems"]).sel(model=MODEL).mean(["seed", "layer", "kv_head"])
    assert (reuse.diff("within") >= 0).all()
    assert 0.30 < float(reuse.sel(within=REUSED_WITHIN[0])) < 0.594
    assert 0.549 < float(reuse.sel(within=REUSED_WITHIN[-1])) < 0.801
    assert float(reuse.sel(within=1)) > 2 * float(retrieved_share(results["f10_systems"]).mean())


def test_the_oldest_phone_is_the_slowest_with_every_system(results) -> None:
    time = by_system(results["f17_phones"], "latency_mean", "phone").mean("seed")
    assert set(time.phone.values[time.argmax("phone").values]) == {"oneplus_ace2"}


@pytest.mark.parametrize("name", ["f10_systems", "f14_replacement", "f15_share", "f16_codec", "f17_phones"])
def test_systems_that_are_compared_stay_within_their_dram(results, name) -> None:
    data = results[name]
    limits = xr.DataArray([1024 * int(text.removesuffix("KiB")) if text.endswith("KiB") else 0
                           for text in settings(data, "system.dram")], dims="variant")  # fmt: skip
    limited = data.system.values != "no cluster, keys in DRAM"
    assert bool((limits > 0)[limited].all())
    assert bool((data.dram_total_max <= limits)[limited].all())


def test_pools_of_clusters_that_do_not_split_move_nothing(results) -> None:
    moved = variants_of(results["f13_updates"], "moved_bytes_per_step")
    assert float(moved["dual head, static clusters"].max()) == 0
    assert float(moved["relocate, static clusters"].min()) > 0


def test_all_systems_run_on_all_five_models(all_models) -> None:
    table = by_system(all_models["f10_systems"], "latency_mean", "model")
    assert list(table.model.values) == [
        "qwen2.5-1.5b",
        "qwen2.5-3b",
        "llama-3.2-1b",
        "llama-3.2-3b",
        "mistral-7b",
    ]
    assert list(table.system.values) == COMPARED
    assert bool((table > 0).all())
    figure = next(figure for figure in FIGURES if figure.__name__ == "f10b")(all_models)
    for held in (figure.ours, figure.in_dram):
        assert all(one.sizes == {"model": 5, "seed": SEEDS} for one in held.leads.values())
    # Quality is that of the trace: a larger model changes it only through what its cache holds.
    recall = by_system(all_models["f10_systems"], "recall_mean", "model").sel(system="ClusterKV")
    assert float(recall.std("model").max()) < 1e-9


def test_reasons_are_given_where_a_direction_is_not_the_papers_and_only_there(table) -> None:
    missed = table["direction"] != "yes"
    assert (table["why not"][missed] != "").all()
    assert (table["why not"][~missed] == "").all()


class Copy(Results):
    """The same results by another name."""

    def name(self) -> str:
        return "copy"


def test_two_equal_traces_have_the_leads_of_one(results, table) -> None:
    both = compare_all([results, Copy(results.folder)]).set_index("figure")
    one = table.drop(["T1", "F3b", "T6, absolute"])  # which no trace moves
    assert list(both.index) == list(one.index)
    assert both["lead"].to_numpy() == pytest.approx(one["lead"].to_numpy())


def test_caches_are_named_by_their_share_of_the_trace(results) -> None:
    for name in ("f14_cache", "f14_replacement"):
        assert list(dict.fromkeys(results.over_caches(name).cache.values)) == ["1/16", "1/8", "1/4"]


def test_the_page_can_be_made_of_the_results(results) -> None:
    text = page(digest_of([results]))
    for figure in ("T1", "F10a", "F18"):
        assert f"| {figure}, " in text
    assert f"{STEPS} steps" in text


def test_the_notebook_runs_from_top_to_bottom(results, monkeypatch) -> None:
    run_notebook("dynakv_paper.ipynb", monkeypatch, KVREPLAY_PAPER=results.folder)
    assert len(pd.read_csv(results.folder / "comparison.csv")) == len(FIGURES)


@pytest.mark.parametrize(
    ("lead", "way"),
    [
        (Estimate(1.1, 1.05, 1.2), "yes"),
        (Estimate(0.9, 0.8, 0.95), "no"),
        (Estimate(1.1, 0.9, 1.2), "undecided"),
        (Estimate(5.0, float("nan"), float("nan")), "undecided"),
        (Estimate.exact(1.01), "yes"),
        (Estimate.exact(1.0), "no"),
    ],
)
def test_a_direction_is_that_of_the_whole_interval(lead: Estimate, way: str) -> None:
    assert direction(lead) == way


def test_the_page_holds_the_cells_of_table_6() -> None:
    page = (CONFIGS / "README.md").read_text()
    held = page.split("<!-- python notebooks/dynakv_t6.py -->\n")[1].split("<!-- end -->")[0]
    assert held == dynakv_t6.markdown()


def test_longer_is_slower_on_the_rig_and_what_is_fitted_on_the_first_column_is_near() -> None:
    assert (dynakv_t6.simulated_ms().diff(axis=1).iloc[:, 1:] > 0).all(axis=None)
    assert dynakv_t6.errors()["1K"].abs().max() < 0.1


def test_most_predicted_cells_of_the_rig_are_within_the_spread_of_phones_and_long_ones_are_not() -> None:
    # The paper's milliseconds are not met: five of twelve are too fast by more than 1.5x, up to 2.1x.
    factors = dynakv_t6.factors_off()
    assert len(factors) == 12
    assert (factors <= dynakv_t6.SPREAD_OF_PHONES).sum() == 7
    assert factors.max() == pytest.approx(2.07, abs=0.01)
    far = factors[factors > dynakv_t6.SPREAD_OF_PHONES]
    assert set(far.index.get_level_values(1)) == {"4K", "8K", "16K"}
    assert (dynakv_t6.errors().stack()[far.index] < 0).all()
