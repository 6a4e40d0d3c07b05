"""The intervals of paired differences: against closed forms, and by how often they hold the truth."""

import sys

import numpy as np
import pytest
import xarray as xr
from conftest import ROOT

sys.path.insert(0, str(ROOT / "notebooks"))

from paired import (
    Estimate,
    drawn_alone,
    draws,
    estimate,
    means_of_draws,
    over_traces,
    smallest,
    student_quantile,
    variance,
)

# Any table of Student's distribution, two-sided 95 %.
STUDENT = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764, 9: 2.2622, 11: 2.2010, 30: 2.0423, 1000: 1.9623}


def array(values: np.ndarray, *dims: str, **coordinates: list) -> xr.DataArray:
    return xr.DataArray(values, dims=dims, coords=coordinates)


def random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("freedom", STUDENT)
def test_quantiles_are_students(freedom: int) -> None:
    assert student_quantile(freedom) == pytest.approx(STUDENT[freedom], abs=5e-5)


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_where_seeds_alone_differ_the_interval_is_students(count: int) -> None:
    values = random(count).normal(2, 1, count)
    mean, low, high = estimate(array(values, "seed"))
    half = student_quantile(count - 1) * values.std(ddof=1) / np.sqrt(count)
    assert (mean, low, high) == pytest.approx((values.mean(), values.mean() - half, values.mean() + half))


def test_the_variance_is_that_of_the_draws() -> None:
    table = drawn_alone(array(random(1).normal(size=(4, 5, 3, 2)), "trace", "seed", "layer", "kv_head"))
    drawn = means_of_draws(table, draws({"trace": 4, "seed": 5, "cell": 6}))
    assert drawn.mean() == pytest.approx(float(table.mean()), abs=4 * drawn.std() / np.sqrt(len(drawn)))
    assert np.sqrt(variance(table)) == pytest.approx(drawn.std(), rel=0.05)


def test_the_variance_does_not_understate_that_of_any_effect() -> None:
    """Owen 2007: that of an effect of one dimension but for (n - 1) / n, and more of what all share."""
    for dimension, size in (("trace", 4), ("seed", 5), ("cell", 6)):
        effect = array(random(2).normal(size=size), dimension)
        whole = (effect + xr.zeros_like(array(np.zeros((4, 5, 6)), "trace", "seed", "cell"))).transpose(
            "trace", "seed", "cell"
        )
        assert variance(whole) == pytest.approx(float(effect.var()) / size)
    noise = random(3).normal(size=(4, 5, 6))
    assert variance(array(noise, "trace", "seed", "cell")) > noise.var() / noise.size


@pytest.mark.parametrize(
    ("sizes", "spread"),
    [
        ({"seed": 5}, {"seed": 1.0}),
        ({"seed": 5, "cell": 12}, {"seed": 1.0, "cell": 1.0}),
        ({"trace": 5, "seed": 5, "cell": 12}, {"trace": 1.0, "seed": 0.3, "cell": 0.5}),
        ({"seed": 5, "cell": 12}, {"seed": 0.1, "cell": 1.0}),
    ],
    ids=["seeds", "both", "traces", "heads"],
)
def test_nineteen_of_twenty_intervals_hold_the_truth_or_more(sizes: dict, spread: dict) -> None:
    source, held, count = random(4), 0, 500
    for _ in range(count):
        values = array(source.normal(1, 0.2, tuple(sizes.values())), *sizes)
        for name, width in spread.items():
            values = values + array(source.normal(0, width, sizes[name]), name)
        found = estimate(values)
        held += found.low <= 1 <= found.high
    assert held / count > 0.95 - 2 * np.sqrt(0.95 * 0.05 / count)


def test_heads_that_differ_are_not_made_less_by_few_seeds() -> None:
    """The degrees of freedom are those of what differs."""
    values = random(10).normal(0, 1, 12) + random(11).normal(0, 0.01, (2, 12))
    both, heads = estimate(array(values, "seed", "cell")), estimate(array(values.mean(0), "cell"))
    assert both.high - both.low == pytest.approx(heads.high - heads.low, rel=0.01)


def test_the_smallest_of_equal_means_is_seldom_said_to_be_above_them() -> None:
    source, above, count = random(5), 0, 300
    for _ in range(count):
        found = smallest([array(source.normal(0, 1, 5), "seed") for _ in range(3)])
        above += found.low > 0
    assert above / count < 0.05


def test_where_one_is_always_the_smallest_its_interval_is_that_of_all() -> None:
    lower, upper = (array(random(6).normal(mean, 0.1, 5), "seed") for mean in (0, 9))
    assert smallest([upper, lower]) == pytest.approx(estimate(lower))


def test_a_smallest_that_nothing_moves_is_as_uncertain_as_what_is_near_it() -> None:
    """And exact where all others are above it in every draw."""
    fixed, moving = array(np.array(0.0)), array(np.array([-1, -0.5, 0.3, 1, 1.2]), "seed")
    found = smallest([fixed, moving])
    assert found.mean == 0 and found.has_interval
    assert smallest([fixed, moving + 9]).is_exact


def test_pairs_tell_what_means_do_not() -> None:
    """A seed that slows both systems alike is no reason to doubt which is faster."""
    source = random(7)
    luck = source.normal(0, 1, 5)
    ours, theirs = (array(luck + level + source.normal(0, 0.01, 5), "seed") for level in (0.1, 0.0))
    paired = estimate(ours - theirs)
    assert paired.low > 0
    of_ours, of_theirs = estimate(ours), estimate(theirs)
    assert of_ours.low < of_theirs.mean < of_ours.high
    assert paired.high - paired.low < 0.1 * (of_ours.high - of_ours.low)


def test_fixed_dimensions_are_averaged() -> None:
    values = random(8).normal(size=(5, 3))
    assert estimate(array(values, "seed", "model")) == estimate(array(values.mean(axis=1), "seed"))


def test_one_seed_has_no_interval() -> None:
    found = estimate(array(np.array([1.5]), "seed"))
    assert found.mean == 1.5
    assert np.isnan([found.low, found.high]).all()
    assert not found.has_interval and not found.is_exact
    several = smallest([array(np.array([1.5]), "seed"), array(np.array(2.0))])
    assert several.mean == 1.5 and not several.has_interval


def test_one_seed_with_several_heads_has_the_interval_of_the_heads() -> None:
    values = random(9).normal(size=(1, 3, 4))
    assert estimate(array(values, "seed", "layer", "kv_head")) == pytest.approx(
        estimate(array(values[0], "layer", "kv_head"))
    )


@pytest.mark.parametrize(
    "values",
    [array(np.array(0.1)), array(np.full(5, 0.1), "seed"), array(np.full((5, 3), 0.1), "seed", "layer")],
)
def test_what_nothing_moves_is_exact(values: xr.DataArray) -> None:
    found = estimate(values)
    assert found == Estimate.exact(float(values.mean()))
    assert found.is_exact and not found.has_interval


def test_a_pair_without_a_value_is_refused() -> None:
    with pytest.raises(ValueError, match="no value"):
        estimate(array(np.array([1, np.nan]), "seed"))


def test_tables_that_are_drawn_together_have_the_same_sizes() -> None:
    with pytest.raises(ValueError, match="5 and 4"):
        smallest([array(np.zeros(size), "seed") for size in (5, 4)])


def test_an_interval_of_logarithms_is_one_of_ratios() -> None:
    assert Estimate(0.0, -np.log(2), np.log(2)).exp() == pytest.approx((1, 0.5, 2))


def test_traces_are_joined_over_what_they_share() -> None:
    first = array(np.arange(6.0).reshape(3, 2), "seed", "model", seed=[1, 2, 3], model=["a", "b"])
    second = array(np.arange(2.0).reshape(2, 1), "seed", "model", seed=[1, 2], model=["b"])
    both = over_traces({"x": {"lead": first, "other": first}, "y": {"lead": second}})
    assert list(both) == ["lead"]
    assert both["lead"].sizes == {"trace": 2, "seed": 2, "model": 1}
    assert both["lead"].sel(trace="x").values.ravel().tolist() == [1, 3]


def test_heads_of_different_layers_are_averaged_in_each_trace() -> None:
    one, other = (array(np.array([1.0, 3.0]) + level, "layer", layer=[level, 9]) for level in (0, 1))
    joined = over_traces({"x": {"": one}, "y": {"": other}})[""]
    assert joined.dims == ("trace",)
    assert joined.values.tolist() == [2, 3]
    same = over_traces({"x": {"": one}, "y": {"": one}})[""]
    assert same.sizes == {"trace": 2, "layer": 2}
