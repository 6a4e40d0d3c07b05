"""The experiment of replacement policies: where units have one size, the oracle has the most hits."""

from pathlib import Path

import pytest
import xarray as xr

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENT = ROOT / "configs" / "experiments" / "replacement.yaml"


def hit_rates(kvreplay, out: Path, *settings: str) -> dict[str, dict[str, float]]:
    """By capacity, then by policy."""
    kvreplay("run", EXPERIMENT, "-o", out, *(word for setting in settings for word in ("--set", setting)))
    data = xr.load_dataset(out, engine="h5netcdf")
    rates: dict[str, dict[str, float]] = {}
    for point, rate in zip(data.point.values.astype(str), data.hit_rate.values, strict=True):
        policy, capacity = point.split(",capacity=")
        rates.setdefault(capacity, {})[policy] = float(rate)
    return rates


def policies(kvreplay) -> set[str]:
    return {
        line.split()[0] for line in kvreplay("list", "replacement").stdout.splitlines()[1:] if line.strip()
    }


@pytest.mark.parametrize(
    "settings",
    [
        # Pages have one size but for the page that is leaving the window; entries have exactly one.
        pytest.param(("run.steps=128",), id="pages"),
        pytest.param(("run.steps=64", "system.clustering.page_tokens=1"), id="entries"),
    ],
)
def test_belady_bounds_the_hit_rate_of_every_policy_at_every_size(kvreplay, tmp_path, settings) -> None:
    rates = hit_rates(kvreplay, tmp_path / "results.h5", *settings)
    assert len(rates) >= 3
    for capacity, by_policy in rates.items():
        assert set(by_policy) == policies(kvreplay), capacity  # a policy added must be in the experiment
        for policy, rate in by_policy.items():
            assert rate <= by_policy["belady"], (capacity, policy)
        assert by_policy["none"] == 0 < by_policy["belady"]
    most = [by_policy["belady"] for by_policy in rates.values()]
    assert most == sorted(most)  # capacities ascend: more room is never fewer hits


def test_the_oracle_refuses_clusters_whose_splits_depend_on_the_cache(kvreplay) -> None:
    config = ROOT / "configs" / "paper" / "dynakv" / "ablation.yaml"
    settings = ("--set", "points.DynaKV.system.replacement=belady", "--set", "run.steps=512")
    with pytest.raises(AssertionError, match=r"clustering 'adaptive' .* asks for other units"):
        kvreplay("run", config, *settings)
