"""The pictures of the package: readable on light and dark ground, and of the numbers in the results."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import kvreplay as package
import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from conftest import ROOT
from kvreplay.labels import place_labels, short_names
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.text import Annotation
from swept_results import CAPACITIES, SHARES, plain_sweep, points, said_sweep

mpl.use("agg")

STYLES = ("default", "dark_background")
Draw = Callable[[Axes], Axes]


@pytest.fixture(autouse=True)
def the_program(program_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package calls the program under test."""
    monkeypatch.setenv("KVREPLAY", str(program_path))


@pytest.fixture(scope="module")
def swept(kvreplay: Callable[..., object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plots")
    return said_sweep(plain_sweep(kvreplay, folder), folder / "swept.h5")


@pytest.fixture(scope="module")
def grid(swept: Path) -> Iterator[xr.Dataset]:
    with package.open(swept) as data:
        yield data


def pictures(grid: xr.Dataset) -> dict[str, Draw]:
    plots = package.plots
    return {
        "pareto": lambda axes: plots.pareto(grid, axes),
        "latency_stack": lambda axes: plots.latency_stack(grid, axes),
        "energy_stack": lambda axes: plots.energy_stack(grid, axes),
        "recall_over_position": lambda axes: plots.recall_over_position(grid, axes),
        "layer_head_map": lambda axes: plots.layer_head_map(grid.isel(share=0, capacity=0), axes),
        "hit_rate_over_capacity": lambda axes: plots.hit_rate_over_capacity(grid, axes),
        "two_results": lambda axes: plots.two_results(grid, grid.isel(share=[1]), axes),
    }


@pytest.fixture
def axes() -> Iterator[Axes]:
    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    yield axes
    plt.close(figure)


def brightness(colour: object) -> float:
    return float(np.dot((0.2126, 0.7152, 0.0722), np.power(to_rgb(colour), 2.2)))


def contrast(a: object, b: object) -> float:
    """As WCAG has it, 1 to 21."""
    low, high = sorted((brightness(a), brightness(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("style", STYLES)
def test_every_picture_is_drawn_and_readable(grid: xr.Dataset, style: str) -> None:
    for name, draw in pictures(grid).items():
        with plt.style.context(style):
            figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
            assert draw(axes) is axes, name
            assert axes.get_xlabel(), name
            figure.canvas.draw()
            ground = figure.get_facecolor()
            texts = [text for one in figure.axes for text in one.findobj(mpl.text.Text)]
            shown = [text for text in texts if text.get_visible() and text.get_text()]
            assert shown and all(contrast(text.get_color(), ground) > 4.5 for text in shown), name
            for line in axes.get_lines():
                assert contrast(line.get_color(), ground) > 2, (name, line)
            plt.close(figure)


def test_the_names_of_all_pictures_are_tried_above(grid: xr.Dataset) -> None:
    public = {
        name
        for name, item in vars(package.plots).items()
        if getattr(item, "__module__", "") == "kvreplay.plots" and not name.startswith("_")
    }
    assert public == set(pictures(grid))


def labels_of(axes: Axes) -> list[Annotation]:
    return [text for text in axes.texts if isinstance(text, Annotation) and text.get_text()]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [(5, 3.5), (7, 5), (12, 9)])
def test_fifty_labels_do_not_cover_one_another(size: tuple[float, float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    latency = rng.lognormal(-5, 0.7, 50)
    error = 0.002 / latency**0.6 * rng.lognormal(0, 0.5, 50)
    data = points(latency_p50=latency, output_error_mean=error)
    data["point"] = [f"share=0.{i},capacity={i}MiB" for i in range(50)]
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    package.plots.pareto(data, axes)
    figure.canvas.draw()
    labels = labels_of(axes)
    boxes = [text.get_window_extent() for text in labels]
    for one, other in itertools.combinations(boxes, 2):
        covered = min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(covered) <= 0.01, (one, other)
    inside = axes.get_window_extent()
    assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 for box in boxes)
    markers = axes.transData.transform(np.concatenate([one.get_offsets() for one in axes.collections]))
    assert not any(box.contains(*marker) for box in boxes for marker in markers)
    said = [text.get_text() for text in axes.texts if "room" in text.get_text()]
    left_out = int(said[0].split()[0]) if said else 0
    assert len(labels) + left_out == 50 and len(labels) >= {5: 8, 7: 15, 12: 35}[size[0]]
    assert axes.get_title(loc="left") == "points by share, capacity"
    named = ["share={},capacity={}".format(*text.get_text().split(", ")) for text in labels]
    front = package.pareto(data)
    assert set(named) <= set(data.point.values)
    assert named[: front.isin(named).sum()] == [name for name in front if name in named]
    plt.close(figure)


def test_the_line_of_the_front_divides_what_was_reached(axes: Axes) -> None:
    seed = int(np.random.default_rng().integers(2**32))
    print(f"seed {seed}")
    values = np.random.default_rng(seed).random((2, 30))
    data = points(a=values[0], b=values[1])
    for directions in itertools.product(("min", "max"), repeat=2):
        axes.clear()
        package.plots.pareto(data, axes, ("a", directions[0]), ("b", directions[1]), labels=False)
        (line,) = axes.get_lines()
        signs = [1 if one == "min" else -1 for one in directions]
        corners = line.get_xydata() / 100  # per cent
        for a, b in values.T:
            for x, y in corners:  # no point beats a corner
                assert not (signs[0] * (a - x) < -1e-12 and signs[1] * (b - y) < -1e-12)


def bars(axes: Axes) -> np.ndarray:
    """[part, point]"""
    return np.array([[bar.get_width() for bar in container] for container in axes.containers])


def test_parts_of_latency_and_energy_add_up(
    grid: xr.Dataset, kvreplay: Callable[..., object], tmp_path: Path, axes: Axes
) -> None:
    package.plots.latency_stack(grid, axes)
    expected = 1e3 * grid.latency_mean.mean("seed").to_numpy().ravel()
    np.testing.assert_allclose(bars(axes).sum(axis=0), expected, rtol=1e-9)
    assert [one.get_label() for one in axes.containers] == ["computing", "policy", "exposed I/O"]
    axes.clear()
    package.plots.energy_stack(grid, axes)
    energy = 1e3 * grid.energy_j.mean(["seed", "step"]).to_numpy().ravel()
    np.testing.assert_allclose(bars(axes).sum(axis=0), energy, rtol=1e-9)
    tiers = ROOT / "configs" / "experiments" / "tiers.yaml"
    with package.open(package.run(tiers, tmp_path / "tiers.h5", {"run.steps": 8})) as data:
        axes.clear()
        package.plots.latency_stack(data, axes)
        links = bars(axes)[3]
        expected = 1e3 * data.exposed_link_s.mean("step").fillna(0).to_numpy()
        np.testing.assert_allclose(links, expected, rtol=1e-6, atol=1e-9)
        assert links.max() > 0


def test_pictures_show_the_numbers(grid: xr.Dataset, axes: Axes) -> None:
    package.plots.recall_over_position(grid, axes, window=1)
    lines = axes.get_lines()
    assert len(lines) == len(SHARES) * len(CAPACITIES)
    recall = grid.recall.isel(share=0, capacity=0).mean(["seed", "layer", "kv_head"])
    np.testing.assert_allclose(lines[0].get_ydata(), 100 * recall)
    np.testing.assert_array_equal(lines[0].get_xdata(), grid.position.isel(share=0, capacity=0, seed=0))
    axes.clear()
    package.plots.hit_rate_over_capacity(grid, axes)
    assert [line.get_label() for line in axes.get_lines()] == [f"share={share}" for share in SHARES]
    hits = 100 * grid.hit_rate.mean("seed").sel(share=0.2)
    np.testing.assert_allclose(axes.get_lines()[1].get_ydata(), hits)
    axes.clear()
    one = grid.sel(share=0.2, capacity=65536)
    package.plots.layer_head_map(one, axes)
    shown = axes.get_images()[0].get_array()
    np.testing.assert_allclose(shown, 100 * one.recall.mean(["seed", "step"]))


def test_a_swept_capacity_is_the_scale_of_single_points(swept: Path, axes: Axes) -> None:
    with package.open(swept, stack=True) as data:
        package.plots.hit_rate_over_capacity(data, axes)
        drawn = axes.collections[0].get_offsets()
        np.testing.assert_allclose(drawn[:, 0], data.capacity / 1e6)
        np.testing.assert_allclose(drawn[:, 1], 100 * data.hit_rate)
    assert axes.get_xlabel() == "capacity of the cache [MB]"


def test_a_line_is_broken_where_the_position_jumps(axes: Axes, tmp_path: Path) -> None:
    turns = ROOT / "configs" / "experiments" / "turns.yaml"
    with package.open(package.run(turns, tmp_path / "turns.h5"), stack=True) as data:
        package.plots.recall_over_position(data, axes)
        assert (np.diff(data.position, axis=1) != 1).any()
    for line in axes.get_lines():
        steps = np.diff(line.get_xdata())
        assert (np.isnan(steps) | (steps == 1)).all()


def test_two_results_have_a_row_for_each_point_of_either(grid: xr.Dataset, axes: Axes) -> None:
    package.plots.two_results(grid.isel(share=[0]), grid, axes, names=("old", "now"))
    rows = [text.get_text() for text in axes.get_yticklabels()]
    assert rows == grid.variant.to_numpy().ravel().tolist()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["old", "now"]


def test_pictures_say_what_they_lack(grid: xr.Dataset, axes: Axes) -> None:
    with pytest.raises(package.Error, match="a map is of one point, these are 6; choose with sel or isel"):
        package.plots.layer_head_map(grid, axes)
    with pytest.raises(package.Error, match="there is no 'nothing' in the data"):
        package.plots.two_results(grid, grid, axes, "nothing")
    with pytest.raises(package.Error, match="neither 'point' nor 'variant'"):
        package.plots.latency_stack(xr.Dataset(), axes)


def test_points_without_axes_are_drawn_over_their_caches(demo_results: Path, axes: Axes) -> None:
    with package.open(demo_results, stack=True) as data:
        package.plots.hit_rate_over_capacity(data, axes, "cache_bytes_max")
        assert {text.get_text() for text in labels_of(axes)} == set(data.point.values)
    assert axes.get_title(loc="left") == "capacity was not swept: a dot for what each point has"


def test_names_are_short_where_all_have_the_same_keys() -> None:
    assert short_names(["a=1,b=x y", "a=2,b=z=1"]) == (["1, x y", "2, z=1"], "a, b")
    for names in (["a=1,b=2", "b=2,a=1"], ["a=1", "DynaKV"], ["full", "Quest, ahead"], []):
        assert short_names(names) == (names, "")


def test_what_is_far_apart_is_spread_out(axes: Axes) -> None:
    """The smallest and the largest of the positive values lie apart, and a zero beside them."""
    for error, scale in (
        ([0.5, 0.9, 1.0], "linear"),
        ([0.01, 0.02, 1.0], "log"),
        ([0.0, 0.01, 1.0], "symlog"),
        ([0.0, 0.0, 0.0], "linear"),
        ([-1.0, 0.01, 1.0], "linear"),
    ):
        axes.clear()
        data = points(latency_p50=np.array([1.0, 2, 3]), output_error_mean=np.array(error))
        package.plots.pareto(data, axes)
        assert axes.get_yscale() == scale, error
        percent = np.stack([np.ones(3), 100 * np.array(error)], axis=1)
        heights = np.diff((axes.transData - axes.transAxes).transform(percent)[:, 1])
        assert scale == "linear" or (heights > 0.04).all(), (error, heights)


def test_names_keep_off_markers_of_any_size(axes: Axes) -> None:
    at = np.array([[1.0, 1], [1, 1.08], [1, 1.16], [3, 2], [0, 0]])
    halves = np.array([12.0, 10, 12, 3, 2])
    axes.scatter(*at.T, s=(2 * halves) ** 2)
    place_labels(axes, at, ["1", "2", "3", "4", "5"], half_sizes=halves)
    axes.figure.canvas.draw()
    assert len(labels_of(axes)) == 5
    scale = axes.figure.dpi / 72
    for text, (centre, half) in itertools.product(labels_of(axes), zip(at, halves, strict=True)):
        box, (x, y) = text.get_window_extent(), axes.transData.transform(centre)
        away = max(box.x0 - x, x - box.x1, box.y0 - y, y - box.y1)
        assert away >= half * scale, (text, centre)
