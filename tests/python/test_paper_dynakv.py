"""Which of DynaKV's directions come out on the first 512 steps of the shipped sample, and which do not.

`DIRECTIONS` has every row of the notebook's table. Where one fails, a test says what is true, what the paper
claims, and the reason found.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
import xarray as xr
from conftest import ROOT
from notebook_runs import run_notebook

sys.path.insert(0, str(ROOT / "notebooks"))

import dynakv_t6
from dynakv_paper import CLUSTERED, FIGURES, compare, direction, speedup_over
from dynakv_results import (
    MODEL,
    Results,
    at,
    by_capacity,
    grid,
    over_buffer,
    per_head,
    retrieved_share,
    reuse_of_updated,
    settings,
)

CONFIGS = ROOT / "configs" / "paper" / "dynakv"
PARTS = ("base", "no_cluster")  # included by experiments
LONG = "t6_rig"  # on traces that are not shipped; its results are
EXPERIMENTS = sorted(path.stem for path in CONFIGS.glob("*.yaml") if path.stem not in (*PARTS, LONG))
STEPS = 512  # 768 tokens: twice the prompt beyond it
DIRECTIONS = {
    "T1": "yes",
    "T2": "yes",
    "F3b": "yes",
    "F4": "yes",
    "F7": "yes",
    "F10a": "no",
    "F10b": "barely",  # over all steps it is not
    "F10c": "yes",
    "T5": "no",
    "F11": "yes",
    "F11, updates": "yes",
    "F12": "yes",
    "F12, pairing": "barely",
    "F13": "yes",
    "F13, space": "no",
    "F14a": "yes",
    "F14b": "no",
    "T6": "barely",  # a token of 768 takes little longer than one of 640
    "T6, absolute": "no",
    "F15": "no",
    "F16": "no",
    "F17": "no",
    "F18": "no",
}


@pytest.fixture(scope="module")
def results(kvreplay, tmp_path_factory) -> Results:
    """All experiments, `STEPS` steps each, one on each core."""
    out = tmp_path_factory.mktemp("dynakv")

    def run(experiment: str) -> None:
        options = ("--set", f"run.steps={STEPS}", "--together", "32")
        kvreplay("run", CONFIGS / f"{experiment}.yaml", "-o", out / f"{experiment}.h5", *options)

    def size(experiment: str) -> int:
        return (CONFIGS / f"{experiment}.yaml").stat().st_size

    longest_first = sorted(EXPERIMENTS, key=size, reverse=True)
    with ThreadPoolExecutor(os.cpu_count()) as cores:
        list(cores.map(run, longest_first))
    kvreplay("device", "curve", "ufs40", "--depth", "32", "-o", out / "f3b_curve.h5")
    return Results(out)


@pytest.fixture(scope="module")
def table(results) -> pd.DataFrame:
    return compare(results, {})


def by_point(data: xr.Dataset, name: str) -> dict[str, float]:
    return dict(zip(data.point.values.astype(str), data[name].values.astype(float), strict=True))


def of_systems(results: Results, name: str) -> dict[str, float]:
    """Means on one model."""
    data = at(results["f10_systems"], model=MODEL)
    values = data[name].mean([dimension for dimension in data[name].dims if dimension != "point"])
    return dict(zip(data.system.values, values.values.astype(float), strict=True))


def test_every_row_of_the_table_goes_the_way_it_is_said_to(table) -> None:
    assert table["same direction"].to_dict() == DIRECTIONS


def test_every_experiment_checks_its_invariants_after_every_step(results) -> None:
    assert len(EXPERIMENTS) == 10
    for experiment in EXPERIMENTS:
        assert set(settings(results[experiment], "run.check")) == {"every_step"}, experiment


def test_static_clusters_are_the_widest_and_windows_as_tight_as_bounded_clusters(results) -> None:
    # The paper has DynaKV's clusters the tightest in all of its cases (table 5). The threshold is such that
    # there are as many as ClusterKV has, on average: where a head has more, they are the tighter ones.
    variance = of_systems(results, "unit_variance")
    assert variance["ClusterKV"] < variance["PQCache"]
    assert variance["DynaKV"] == pytest.approx(variance["ClusterKV"], rel=0.02)
    units, width = (per_head(results["f10_systems"], name) for name in ("units", "unit_variance"))
    more, tighter = units["DynaKV"] > units["ClusterKV"], width["DynaKV"] < width["ClusterKV"]
    assert (more == tighter).sum() >= 10
    assert len(width) == 12


def test_an_updated_cluster_is_retrieved_again_sooner_than_any(results) -> None:
    # Table 2 has 30 to 59 % in the next step and 55 to 80 % within 16.
    reuse = reuse_of_updated(results["f10_systems"])
    assert (reuse.diff().iloc[1:] >= 0).all(axis=None)
    assert reuse.loc[1].between(0.30, 0.594).all()
    assert reuse.loc[16].between(0.549, 0.801).all()
    assert reuse.loc[1, MODEL] > 2 * retrieved_share(results["f10_systems"])


def test_quality_is_level_with_that_of_windows_and_above_static_clusters_and_positions(results) -> None:
    # The paper has DynaKV above ClusterKV (figure 10a). Here they are level, at equal numbers of units.
    recall, mass = (of_systems(results, name) for name in ("recall_mean", "mass_mean"))
    pages = results["units"].sel(point="pages 16")
    for quality in (recall, mass):
        assert quality["PQCache"] < quality["DynaKV"] < quality["no cluster"]
        assert quality["DynaKV"] == pytest.approx(quality["ClusterKV"], rel=0.02)
    assert recall["DynaKV"] > 1.02 * float(pages.recall_mean)
    assert mass["DynaKV"] > 1.02 * float(pages.mass_mean)


def test_static_clusters_lose_recall_while_the_others_gain(results) -> None:
    data = at(results["f10_systems"], model=MODEL)
    over = pd.DataFrame(data.recall.mean(["layer", "head"]).values.T, columns=data.system.values)
    quarter = len(over) // 4
    first, last = over[:quarter].mean(), over[-quarter:].mean()
    assert last["PQCache"] < 0.9 * first["PQCache"]
    assert (last[["ClusterKV", "DynaKV"]] > 1.1 * first[["ClusterKV", "DynaKV"]]).all()


def test_pipelines_pay_little_and_replacement_costs_time(results) -> None:
    # The paper has DynaKV the fastest (figures 10b, 15 to 17), with its pipelines and its replacement. A
    # representative takes 512 B and stands for some 16 entries of 264 B; a tenth of them is retrieved, and
    # most of that is cached: the representatives that pipeline 1 reads are more bytes than the entries.
    # Compute hides them, and no more.
    latency, volume = (by_point(results["ablation"], name) for name in ("latency_mean", "bytes_per_step"))
    assert 0.99 * latency["no pipelines"] < latency["DynaKV"] < latency["no pipelines"]
    assert volume["DynaKV"] > 2 * volume["no pipelines"]
    assert latency["DynaKV"] > latency["LRU"]
    # With both as the baselines have them, and pipeline 2 alone, it is, by what is left beside the compute.
    others = of_systems(results, "latency_mean")
    assert latency["representatives in DRAM, LRU"] < 0.985 * min(others["ClusterKV"], others["PQCache"])


def test_effective_bandwidth_is_that_of_misses(results) -> None:
    # The paper has DynaKV ahead (figure 10c), and so it is: its misses lie in longer runs. But there are more
    # of them, and where LRU leaves only short ones it is behind.
    bandwidth, hits = (of_systems(results, name) for name in ("effective_bandwidth", "hit_rate"))
    assert bandwidth["DynaKV"] > 1.2 * max(bandwidth[name] for name in ("no cluster", "PQCache", "ClusterKV"))
    assert hits["DynaKV"] < min(hits["PQCache"], hits["ClusterKV"])
    assert by_point(results["ablation"], "effective_bandwidth")["LRU"] < bandwidth["ClusterKV"]


def test_windows_and_bounded_clusters_are_level_at_every_share_codec_and_phone(results) -> None:
    # The paper has DynaKV 1.31x faster than ClusterKV (figure 10b) and ahead everywhere (figures 15 to 17). A
    # step of this length is mostly compute, and ClusterKV does less I/O.
    for name, key in (("f15_share", "system.stages.0.budget.share"), ("f16_codec", "system.codec.k.type")):
        ahead = speedup_over(results, name, key)
        assert ahead["ClusterKV"].between(0.98, 1.01).all()
        assert (ahead["no cluster"] > 1).all()
    phones = grid(results["f17_phones"], "latency_mean", "phone")
    assert (phones["ClusterKV"] / phones["DynaKV"]).between(0.98, 1.01).all()
    assert (phones.idxmax() == "oneplus_ace2").all()


def test_pipelines_pay_where_a_layer_computes_longest(results) -> None:
    # There DynaKV is the fastest, as the paper has it, because more of what it reads is hidden.
    latency, exposed = (
        grid(results["f10_systems"], name, "model") for name in ("latency_mean", "exposed_io_mean")
    )
    fastest = latency[["no cluster", *CLUSTERED]].idxmin(axis=1) == "DynaKV"
    assert set(fastest[fastest].index) == {"llama-3.2-3b", "mistral-7b", "qwen2.5-3b"}
    assert ((exposed["DynaKV"] < exposed["ClusterKV"]) == fastest).all()


def test_energy_follows_the_bytes_that_pipelines_read_again(results) -> None:
    # The paper has 1.57x less energy (figure 18).
    energy, pipelines = (
        of_systems(results, "energy_per_token"),
        by_point(results["ablation"], "energy_per_token"),
    )
    assert energy["DynaKV"] > energy["ClusterKV"]
    assert pipelines["no pipelines"] < pipelines["DynaKV"]


def test_reads_lengthen_from_token_order_to_clusters_to_pools(results) -> None:
    length = by_point(results["f12_continuity"], "contiguous_mean")
    assert length["token order"] < length["cluster contiguous"] < length["dual head, correlated"]
    # The paper's inter-cluster continuity adds 61 % (figure 12). Here the pools alone add nearly all of it;
    # pairing them by co-retrieval adds less than a per cent, as units from splits are in no pair.
    assert 1 < length["dual head, correlated"] / length["dual head, order"] < 1.01


def test_pools_move_a_hundredth_of_what_the_naive_layout_moves(results) -> None:
    moved, space = (
        by_point(results["f13_updates"], name) for name in ("moved_bytes_per_step", "flash_space")
    )
    # Appends move nothing in a pool; the paper's claim, more than 10^4 x (figure 13), is met without splits.
    assert moved["dual head, static clusters"] == 0 < moved["relocate, static clusters"]
    # What is left is what splits write anew: hundreds of times less, not 10^4.
    assert 100 * moved["dual head"] < moved["shift"] < 1e4 * moved["dual head"]
    assert moved["dual head"] < moved["relocate"] < moved["shift"]
    # The paper has minor extra space. Splits open pools with twice the room of the prompt's largest cluster.
    assert space["dual head"] > 1.5 * space["shift"]
    assert space["dual head, static clusters"] < 1.5 * space["shift, static clusters"]


def test_entries_that_wait_for_a_split_save_reads_of_updates(results) -> None:
    # The paper has up to 2.32x less transfer volume (figure 11). What updates cause falls about so much, but
    # it is next to nothing beside what retrieval reads.
    volume = over_buffer(results["f11_buffer"])
    assert volume["updates"][0] > 2 * volume["updates"][16]
    assert (volume["updates"] < 0.01 * volume["all"]).all()
    assert 1 < volume["all"][0] / volume["all"][16] < 1.2


def test_the_virtual_cache_saves_memory_and_lru_hits_more_often(results) -> None:
    memory, hits = (by_capacity(results["f14_cache"], name) for name in ("dram_total_max", "hit_rate"))
    assert (memory["DynaKV"] < memory["whole cache in DRAM"]).all()
    # The paper has cluster-aligned replacement up to 1.12x faster (figure 14b). It gives up large clusters
    # first, and here those are wanted most often.
    assert (hits["whole cache in DRAM"] < hits["LRU, whole cache in DRAM"]).all()


def test_reasons_are_shown_only_for_the_sample_and_only_where_a_direction_fails(results) -> None:
    reasons = {row.figure: "a reason" for row in (figure(results) for figure in FIGURES)}
    short = compare(results, reasons)
    assert set(short["why not"]) <= {"", "not looked into on this trace"}
    whole = Results(results.folder)
    whole.on_sample = lambda: True
    shown = compare(whole, reasons)
    fails = shown["same direction"].isin(["no", "barely"])
    assert (shown["why not"][fails] == "a reason").all()
    assert (shown["why not"][~fails] == "").all()


def test_the_notebook_runs_from_top_to_bottom(results, monkeypatch) -> None:
    run_notebook("dynakv_paper.ipynb", monkeypatch, KVREPLAY_PAPER=results.folder)


def test_a_direction_is_barely_met_below_two_per_cent() -> None:
    assert [direction(lead) for lead in (0.9, 1.01, 1.5)] == ["no", "barely", "yes"]


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
