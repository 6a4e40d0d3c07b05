"""Means of paired differences with 95 % intervals, where seeds, traces, layers and heads differ at once.

Two systems meet the same trace, seed, layer and head, so that what counts is the difference there. Each of
`trace`, `seed` and `cell` (a layer and head) is a sample of what might have been; all other dimensions are
fixed and averaged. The pigeonhole bootstrap (Owen, Annals of Applied Statistics 2007) draws each of them,
independently, with replacement; it does not understate the variance of the mean, whichever moves it.

Few seeds make an interval of the bootstrap's quantiles too narrow. It is therefore

    mean +- t(0.975, n - 1) * SE * sqrt(n / (n - 1)),   n: size of the smallest dimension above 1

which is Student's paired interval where seeds alone differ.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple, Self

import numpy as np
import xarray as xr

LEVEL = 0.95
RESAMPLES = 2000
RESAMPLING_SEED = 2007  # every interval is drawn with it, so that a table comes out the same again
CELL = ("layer", "head")
DRAWN = ("trace", "seed", "cell")
ROUNDING = 1e-9  # relative; a standard error below is that of sums of equal numbers


class Estimate(NamedTuple):
    """A mean and its interval: of no width where nothing moves it, NaN where there is nothing to draw."""

    mean: float
    low: float
    high: float

    @classmethod
    def exact(cls, value: float) -> Self:
        return cls(float(value), float(value), float(value))

    @property
    def is_exact(self) -> bool:
        return self.low == self.high

    @property
    def has_interval(self) -> bool:
        return bool(self.low < self.high)

    def exp(self) -> Self:
        """Of a ratio, where this one is of its logarithm."""
        return type(self)(*(float(np.exp(value)) for value in self))


def estimate(differences: xr.DataArray) -> Estimate:
    """The mean over everything."""
    return smallest([differences])


def smallest(differences: Sequence[xr.DataArray]) -> Estimate:
    """The smallest of several means, all drawn together: that every one of them is above is known as well as
    that this one is."""
    tables = [drawn_alone(one) for one in differences]
    means = [float(table.mean()) for table in tables]
    least = int(np.argmin(means))
    sizes = sizes_of(tables)
    if any(table.dims and table.size == 1 for table in tables):
        return Estimate(means[least], np.nan, np.nan)
    error = standard_error_of_smallest(tables, least, sizes)
    if error <= ROUNDING * max(1.0, abs(means[least])):
        return Estimate.exact(means[least])
    count = min(size for size in sizes.values() if size > 1)
    half = student_quantile(count - 1) * error * np.sqrt(count / (count - 1))
    return Estimate(means[least], means[least] - half, means[least] + half)


def drawn_alone(differences: xr.DataArray) -> xr.DataArray:
    """Over the dimensions that are drawn; means over all others."""
    if differences.isnull().any():
        raise ValueError(f"{differences.name}: a pair has no value")
    layers_and_heads = [name for name in CELL if name in differences.dims]
    if layers_and_heads:
        differences = differences.stack(cell=layers_and_heads)
    kept = [name for name in DRAWN if name in differences.dims]
    return differences.mean([name for name in differences.dims if name not in kept]).transpose(*kept)


def sizes_of(tables: Sequence[xr.DataArray]) -> dict[str, int]:
    """The size of every dimension; tables that have it agree, as they are drawn together."""
    sizes: dict[str, int] = {}
    for table in tables:
        for name, size in table.sizes.items():
            if sizes.setdefault(str(name), size) != size:
                raise ValueError(f"{name} has {sizes[str(name)]} and {size} values")
    return sizes


def standard_error(table: xr.DataArray) -> float:
    """That of the bootstrap after endlessly many draws. A draw of n of n takes element i w_i times, with
    E[w_i w_j] = 1 - 1/n, and 1 more where i is j; draws of different dimensions are independent."""
    centred = table.values - table.values.mean()
    expected = centred
    for axis, size in enumerate(centred.shape):
        expected = expected + (1 - 1 / size) * expected.sum(axis=axis, keepdims=True)
    return float(np.sqrt(max(0.0, (centred * expected).sum()))) / centred.size


def standard_error_of_smallest(tables: Sequence[xr.DataArray], least: int, sizes: Mapping[str, int]) -> float:
    """From draws; where one table is the smallest in all of them, it is the error of that one."""
    of_least = standard_error(tables[least])
    if len(tables) == 1:
        return of_least
    weights = draws(sizes)
    drawn = np.array([means_of_draws(table, weights) for table in tables])
    of_draws, least_of_draws = drawn.min(axis=0).std(), drawn[least].std()
    return float(of_draws * of_least / least_of_draws) if least_of_draws > 0 else float(of_draws)


def draws(sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """How often each draw takes each element, over the size: [resample, element]."""
    random = np.random.default_rng(RESAMPLING_SEED)
    return {
        name: random.multinomial(sizes[name], np.full(sizes[name], 1 / sizes[name]), RESAMPLES) / sizes[name]
        for name in DRAWN
        if name in sizes
    }


def means_of_draws(table: xr.DataArray, weights: Mapping[str, np.ndarray]) -> np.ndarray:
    """The mean in every draw."""
    means = np.broadcast_to(table.values, (RESAMPLES, *table.shape))
    for name in table.dims:
        means = np.einsum("ri,ri...->r...", weights[str(name)], means)
    return means


@cache
def student_quantile(freedom: int, level: float = LEVEL) -> float:
    """Of |T| with so many degrees of freedom. For T = sqrt(freedom) * tan(angle) the angle has the density
    cos(angle)^(freedom - 1), which is summed up."""
    angle = np.linspace(0, np.pi / 2, 200_001)
    density = np.cos(angle) ** (freedom - 1)
    below = np.concatenate([[0], np.cumsum(density[1:] + density[:-1])])
    return float(np.sqrt(freedom) * np.tan(np.interp(level, below / below[-1], angle)))


def over_traces(of_trace: Mapping[str, Mapping[str, xr.DataArray]]) -> dict[str, xr.DataArray]:
    """Joins what traces have in common, `trace` as a further dimension: labels, seeds and fixed dimensions.
    Layers and heads that are not the same ones in all traces are averaged in each."""
    tables = list(of_trace.values())
    labels = [label for label in tables[0] if all(label in table for table in tables)]
    return {label: joined({trace: of_trace[trace][label] for trace in of_trace}) for label in labels}


def joined(of_trace: Mapping[str, xr.DataArray]) -> xr.DataArray:
    arrays = list(of_trace.values())
    cells = [name for name in CELL if name in arrays[0].dims]
    if any(not array[name].equals(arrays[0][name]) for array in arrays for name in cells):
        arrays = [array.mean(cells) for array in arrays]
    names = xr.DataArray(list(of_trace), dims="trace", name="trace")
    return xr.concat(arrays, names, join="inner", coords="minimal", compat="override")
