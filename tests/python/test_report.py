"""`kvreplay report`: what its page holds is what h5py reads, and a browser without network shows it."""

import json
import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import kvreplay as kvreplay_package
import numpy as np
import pytest
from chromium import Chromium, Page, chromium_program
from conftest import DEMO, ROOT

DATA = re.compile(r'<script type="application/json" id="([^"]+)">(.*?)</script>', re.DOTALL)
READY = "document.body && document.body.dataset.ready === 'yes'"
WIDTHS = (390, 1440)
SCHEMES = ("light", "dark")
PLOTS = ("pareto", "latency", "critical", "energy", "spread", "steps", "map", "bounds", "timeline")
LEAST_CONTRAST = 4.5  # of text, WCAG 2.2, 1.4.3


def data_of(page: Path) -> dict[str, Any]:
    """The JSON in a page, by the name of its element."""
    return {name: json.loads(text) for name, text in DATA.findall(page.read_text())}


@pytest.fixture(scope="module")
def folder(kvreplay, tmp_path_factory) -> Path:
    """Three seeds of 12 steps of the demo with the timeline of two of them, and the page about that."""
    folder = tmp_path_factory.mktemp("report")
    kvreplay("run", DEMO, "-o", folder / "r.h5", "--timeline", folder / "t.json", "--timeline-steps", "3-4",
             "--set", "run.steps=12", "--set", "run.seeds=3")  # fmt: skip
    kvreplay("report", folder / "r.h5", "-o", folder / "r.html", "--timeline", folder / "t.json")
    return folder


@pytest.fixture(scope="module")
def data(folder: Path) -> dict[str, Any]:
    return data_of(folder / "r.html")


def number(value: float | None) -> float:
    return math.nan if value is None else value


def test_summaries_are_those_of_the_file_to_the_last_bit(folder: Path, data: dict[str, Any]) -> None:
    page = data["results"]
    with h5py.File(folder / "r.h5") as file:
        names = [name.decode() for name in file["point"][:]]
        assert [point["name"] for point in page["points"]] == names
        assert len(page["variants"]) * 3 == len(names)
        for summary in page["summaries"]:
            group = file["host"] if summary["host"] else file
            assert summary["unit"] == group[summary["name"]].attrs["units"].decode()
            values = [number(value) for value in summary["values"]]
            np.testing.assert_array_equal(values, group[summary["name"]][:])
        own = [
            name
            for name, one in file.items()
            if getattr(one, "shape", None) == (len(names),) and "formula" in one.attrs
        ]
        assert {one["name"] for one in page["summaries"] if not one["host"]} == set(own)


def test_intervals_over_seeds_are_students(data: dict[str, Any]) -> None:
    page = data["results"]
    t_2 = 4.302652729911275  # t(0.975, 2), from tables
    for variant in page["variants"]:
        for place, summary in enumerate(page["summaries"]):
            values = np.array([number(summary["values"][point]) for point in variant["points"]])
            assert number(variant["mean"][place]) == pytest.approx(values.mean(), rel=1e-12, nan_ok=True)
            half = t_2 * values.std(ddof=1) / math.sqrt(3)
            assert number(variant["half_width"][place]) == pytest.approx(
                half, rel=1e-9, abs=1e-12 * abs(values.mean()), nan_ok=True
            )


def test_series_are_the_steps_of_the_file(folder: Path, data: dict[str, Any]) -> None:
    page = data["results"]
    assert page["steps"]["steps_per_bin"] == 1
    with h5py.File(folder / "r.h5") as file:
        for point in page["steps"]["points"]:
            steps = data[f"steps-{point}"]
            for one, values in zip(page["series"], steps["series"], strict=True):
                block = (file["host"] if one["host"] else file)[one["name"]][point]
                if one["label"]:  # of a window of reuse; the demo has no tiers
                    block = block[..., file["window"][:].tolist().index(int(one["label"]))]
                if one["over"]:
                    with np.errstate(invalid="ignore"):
                        counts = np.sum(~np.isnan(block), axis=tuple(range(1, block.ndim)))
                        block = np.nansum(block, axis=tuple(range(1, block.ndim))) / np.where(
                            counts, counts, np.nan
                        )
                    np.testing.assert_allclose([number(value) for value in values], block, rtol=1e-12)
                else:
                    np.testing.assert_array_equal([number(value) for value in values], block)
            np.testing.assert_allclose(
                steps["quantiles"], np.quantile(file["latency_s"][point], np.arange(101) / 100), rtol=1e-14
            )


def test_maps_are_means_over_steps(folder: Path, data: dict[str, Any]) -> None:
    page = data["results"]
    with h5py.File(folder / "r.h5") as file:
        for one, values in zip(page["steps"]["maps"], data["steps-0"]["maps"], strict=True):
            block = file[one["name"]][0]
            counts = np.sum(~np.isnan(block), axis=0)
            expected = (np.nansum(block, axis=0) / np.where(counts, counts, np.nan)).ravel()
            np.testing.assert_allclose([number(value) for value in values], expected, rtol=1e-12)
        assert page["steps"]["layers"] == file["layer"][:].tolist()


def test_the_timeline_is_the_steps_own(folder: Path, data: dict[str, Any]) -> None:
    timeline = data["results"]["timeline"]
    with h5py.File(folder / "r.h5") as file:
        assert len(timeline["points"]) == len(file["point"])
        for of_point in timeline["points"]:
            assert [step["step"] for step in of_point["steps"]] == [3, 4]
            for step in of_point["steps"]:
                expected_us = 1e6 * file["latency_s"][of_point["point"], step["step"]]
                assert step["latency_us"] == pytest.approx(expected_us, abs=0.002)
                critical = [span for span in step["spans"] if span[5]]
                assert sum(span[3] for span in critical) == pytest.approx(expected_us, rel=1e-4)
                assert min(span[2] for span in step["spans"]) == 0


def test_the_configuration_is_the_resolved_one(folder: Path, data: dict[str, Any]) -> None:
    page = data["results"]
    keys = {one["key"]: one["values"] for one in page["configuration"]["differing"]}
    common = page["configuration"]["common"]
    assert not keys.keys() & common.keys()
    assert len(set(keys["run.seed"])) == 3
    assert common["run.steps"] == "12"
    assert page["provenance"]["trace_sha256"]


def test_the_same_input_gives_the_same_bytes(kvreplay, folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.html"
    kvreplay("report", folder / "r.h5", "-o", again, "--timeline", folder / "t.json")
    assert again.read_bytes() == (folder / "r.html").read_bytes()


def test_no_text_of_a_file_becomes_part_of_the_page(kvreplay, folder: Path, tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>"
    shutil.copy(folder / "r.h5", tmp_path / "r.h5")
    with h5py.File(tmp_path / "r.h5", "r+") as file:
        file["provenance"].attrs["commit"] = np.bytes_(evil)
    kvreplay("report", tmp_path / "r.h5", "-o", tmp_path / "r.html")
    assert evil not in (tmp_path / "r.html").read_text()
    assert data_of(tmp_path / "r.html")["results"]["provenance"]["commit"] == evil


def test_points_are_chosen_by_name_variant_or_pattern(kvreplay, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    kvreplay("report", folder / "r.h5", "-o", out, "--steps-of", "DynaKV", "--steps-of", "single*,seed=1")
    names = [point["name"] for point in data_of(out)["results"]["points"]]
    chosen = [names[point] for point in data_of(out)["results"]["steps"]["points"]]
    assert len(chosen) == 4 and all(name.startswith(("DynaKV", "single")) for name in chosen)


@pytest.fixture
def refused(program_path: Path, folder: Path, tmp_path: Path):
    """Runs a report that must be refused with exit 2, which leaves nothing; returns what is told."""

    def run(*arguments: str | Path) -> str:
        before = sorted(folder.iterdir()), sorted(tmp_path.iterdir())
        done = subprocess.run(
            [program_path, "report", *arguments], check=False, cwd=folder, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert (sorted(folder.iterdir()), sorted(tmp_path.iterdir())) == before
        return done.stderr

    return run


def test_an_output_that_is_an_input_is_refused(refused) -> None:
    assert "--out: r.h5: is an input (" in refused("r.h5", "-o", "r.h5")
    assert "--out: t.json: is an input (" in refused("r.h5", "-o", "t.json", "--timeline", "t.json")


def test_everything_that_is_wrong_is_told_at_once(refused) -> None:
    told = refused("r.h5", "--timeline", "r.h5", "--steps-of", "DynaKW")
    assert "--out: is not given" in told
    assert "r.h5: is no JSON" in told
    assert "--steps-of: r.h5 has no point 'DynaKW'; did you mean 'DynaKV'?" in told


def test_a_damaged_file_is_refused(refused, folder: Path, tmp_path: Path) -> None:
    whole = (folder / "r.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    assert "cut.h5" in refused(tmp_path / "cut.h5", "-o", tmp_path / "x.html")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda events: events[0]["args"].update(name="nobody"), "has no point 'nobody'"),
        (lambda events: events[-1].update(dur=1e9), "expected a timeline of the same run"),
        (lambda events: events[-1].update(name="step 99"), "has no step 99"),
        (lambda events: events[-1].update(name="step"), "is no step"),
        (lambda events: events[5].pop("pid"), "is no timeline of 'kvreplay run'"),
        (lambda events: events[-1].update(tid=77), "on a track without a name"),
        (lambda events: events[-1].update(pid=77), "process 77 has no name"),
    ],
)
def test_a_timeline_of_something_else_is_refused(
    refused, folder: Path, tmp_path: Path, change, told: str
) -> None:
    timeline = json.loads((folder / "t.json").read_text())
    change(timeline["traceEvents"])
    (tmp_path / "t.json").write_text(json.dumps(timeline))
    assert told in refused("r.h5", "-o", tmp_path / "x.html", "--timeline", tmp_path / "t.json")


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    program = chromium_program()
    if program is None:
        pytest.fail("no Chromium is here: scripts/setup --browser installs Debian's")
    with Chromium(program) as chromium:
        yield chromium


@pytest.fixture
def page(browser: Chromium) -> Iterator[Page]:
    """A page that complains of nothing and asks for nothing but its own file."""
    with browser.page() as page:
        yield page
        assert not page.complaints
        assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []
        assert len([url for url in page.requests if url.startswith("file:")]) == 1


# What a plot has drawn: markers, bars, lines or the image of a heat map.
MARKS = """(id) => document.getElementById(`${id}-plot`).querySelectorAll(
  ".point path, path.point, .js-line, .heatmaplayer image").length"""

# Of each element that has text of its own, the contrast with what it stands on; the least comes back.
CONTRAST = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = channels(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const SILENT = ["SCRIPT", "STYLE", "OPTION", "OPTGROUP"];
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const svg = element instanceof SVGElement;
    if (!own || !element.getClientRects().length || SILENT.includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const text = channels(svg ? style.fill : style.color);
    if (svg && element.closest(".heatmap-label")) continue;  // stands on the map, of which the next test is
    const [light, dark] = [luminance(text), luminance(ground(element))].sort((a, b) => b - a);
    const where = `${element.tagName} ${element.getAttribute("class")} ${element.textContent.slice(0, 30)}`;
    found.push([(light + 0.05) / (dark + 0.05), where]);
  }
  return [found.length, found.reduce((least, one) => (one[0] < least[0] ? one : least))];
}"""


MAP_CONTRAST = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const style = getComputedStyle(document.documentElement);
  const parsed = (name) => {
    const box = document.body.appendChild(document.createElement("i"));
    box.style.color = style.getPropertyValue(name);
    return channels(getComputedStyle(box).color);
  };
  const luminance = (colour) => colour.slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  return ["--map-low", "--map-high"].map((end) => {
    const [light, dark] = [luminance(parsed("--text")), luminance(parsed(end))].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  });
}"""


@pytest.mark.parametrize("scheme", SCHEMES)
def test_numbers_on_a_map_are_readable(page: Page, folder: Path, scheme: str) -> None:
    """Between its ends the colours of a map are between them, so that the ends are enough."""
    page.show(1440, scheme=scheme)
    page.open(folder / "r.html", READY)
    assert min(page.run(f"({MAP_CONTRAST})()")) >= LEAST_CONTRAST


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_browser_without_network_shows_everything(
    page: Page, folder: Path, width: int, scheme: str
) -> None:
    page.show(width, scheme=scheme)
    page.open(folder / "r.html", READY)
    for plot in PLOTS:
        page.wait(f"({MARKS})('{plot}') > 0")
    assert page.run("document.documentElement.dataset.theme") == scheme
    assert page.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    texts, (contrast, where) = page.run(f"({CONTRAST})()")
    assert texts > 200
    assert contrast >= LEAST_CONTRAST, where
    # Each point is there to be hovered.
    assert page.run("document.querySelectorAll('#pareto-plot .point').length") == 4
    assert page.run("document.querySelectorAll('#pareto-plot .annotation').length") > 0


@pytest.fixture(scope="module")
def many_points(kvreplay, tmp_path_factory) -> Path:
    """The page about every shipped system, without steps."""
    out = tmp_path_factory.mktemp("many") / "systems.html"
    kvreplay("report", ROOT / "tests" / "golden" / "systems.h5", "-o", out)
    return out


@pytest.mark.parametrize("width", WIDTHS)
def test_names_of_many_points_do_not_cover_one_another(page: Page, many_points: Path, width: int) -> None:
    page.show(width)
    page.open(many_points, READY)
    page.wait("document.querySelectorAll('#pareto-plot .annotation').length > 10")
    overlaps = page.run("""(() => {
      const names = [...document.querySelectorAll("#pareto-plot .annotation-text-g")];
      const boxes = names.map((one) => one.getBoundingClientRect());
      const cover = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
      return boxes.flatMap((a, i) => boxes.slice(i + 1).filter((b) => cover(a, b))).length;
    })()""")
    assert overlaps == 0


def choose(page: Page, element: str, value: str) -> None:
    page.run(f"""(() => {{ const box = document.getElementById("{element}"); box.value = "{value}";
      box.dispatchEvent(new Event("change")); }})()""")


def test_metrics_points_and_order_are_chosen(page: Page, folder: Path, data: dict[str, Any]) -> None:
    page.show(1440)
    page.open(folder / "r.html", READY)
    choose(page, "pareto-y", "recall_mean")
    page.wait("document.querySelector('#pareto-plot .ytitle').textContent.includes('higher is better')")
    recall = next(place for place, one in enumerate(data["results"]["series"]) if one["name"] == "recall")
    choose(page, "series", str(recall))
    page.wait("document.querySelector('#steps-plot .ytitle').textContent.includes('recall')")
    page.run("document.querySelectorAll('#summary-table input')[0].click()")
    page.wait("document.querySelectorAll('#steps-plot .js-line').length === 3")
    page.run("document.querySelectorAll('#summary-table th button')[1].click()")
    assert page.run("document.querySelectorAll('#summary-table th')[1].getAttribute('aria-sort')") in (
        "ascending",
        "descending",
    )
    place = next(i for i, one in enumerate(data["results"]["summaries"]) if one["name"] == "recall_mean")
    means = [variant["mean"][place] for variant in data["results"]["variants"]]
    names = [variant["name"] for variant in data["results"]["variants"]]
    best = page.run(
        "[...document.querySelectorAll('#summary-table tbody tr')]"
        ".filter((row) => row.cells[1].className === 'best').map((row) => row.cells[0].innerText.trim())"
    )
    assert best == [f"{names[int(np.argmax(means))]} (3 seeds)"]
    page.run("document.getElementById('filter').value = 'kv'")
    page.run("document.getElementById('filter').dispatchEvent(new Event('input'))")
    assert page.run("document.querySelectorAll('#summary-table tbody tr').length") == 2


def test_the_theme_is_switched_by_hand(page: Page, folder: Path) -> None:
    page.show(1440, scheme="light")
    page.open(folder / "r.html", READY)
    light = page.run("getComputedStyle(document.body).backgroundColor")
    page.run("document.getElementById('theme').click()")
    assert page.run("document.documentElement.dataset.theme") == "dark"
    assert page.run("getComputedStyle(document.body).backgroundColor") != light
    page.wait("document.querySelector('#steps-plot .main-svg').style.background !== 'rgb(255, 255, 255)'")


def test_results_that_are_not_complete_say_so_on_top(
    kvreplay, page: Page, folder: Path, tmp_path: Path
) -> None:
    kvreplay("run", DEMO, "-o", tmp_path / "part.h5", "--shard", "1/2", "--set", "run.steps=2")
    kvreplay("report", tmp_path / "part.h5", "-o", tmp_path / "part.html")
    page.show(390)
    page.open(tmp_path / "part.html", READY)
    assert "2 of 4 points" in page.run("document.getElementById('incomplete').innerText")
    assert "timeline" in page.run("document.getElementById('moment').innerText")  # how to get one


def test_a_result_without_steps_is_shown_too(page: Page, many_points: Path) -> None:
    page.show(1440)
    page.open(many_points, READY)
    assert "keep no steps" in page.run("document.getElementById('steps').innerText")
    assert page.run("document.querySelectorAll('#pareto-plot .point').length") >= 20


def test_the_front_is_that_of_the_package(page: Page, many_points: Path) -> None:
    data = kvreplay_package.open(ROOT / "tests" / "golden" / "systems.h5")
    page.show(1440)
    page.open(many_points, READY)
    for x, y in (("latency_p50", "output_error_mean"), ("dram_total_max", "mass_mean")):
        choose(page, "pareto-x", x)
        choose(page, "pareto-y", y)
        best = page.run(
            "[...document.querySelectorAll('#pareto-table tbody tr')]"
            ".filter((row) => row.cells[row.cells.length - 1].innerText === 'none')"
            ".map((row) => row.cells[0].innerText.trim())"
        )
        assert sorted(best) == sorted(kvreplay_package.pareto(data, x, y))


LONG = """
include: [{root}/configs/phones/oneplus_12.yaml, {root}/configs/devices/ufs40.yaml,
          {root}/configs/systems/clusterkv.yaml]
trace: {{path: long.h5}}
"""


def test_steps_that_have_no_room_are_put_together(kvreplay, page: Page, tmp_path: Path) -> None:
    sizes = ["--prompt", "64", "--steps", "10000", "--head-dim", "8", "--kv-heads", "1", "--group", "1"]
    kvreplay("trace", "synth", tmp_path / "long.h5", *sizes)
    (tmp_path / "c.yaml").write_text(LONG.format(root=ROOT))
    kvreplay("run", tmp_path / "c.yaml", "-o", tmp_path / "r.h5")
    kvreplay("report", tmp_path / "r.h5", "-o", tmp_path / "r.html")
    data = data_of(tmp_path / "r.html")
    size = data["results"]["steps"]["steps_per_bin"]
    assert size > 1
    place = next(i for i, one in enumerate(data["results"]["series"]) if one["name"] == "latency_s")
    bins = data["steps-0"]["series"][place]
    with h5py.File(tmp_path / "r.h5") as file:
        latency = file["latency_s"][0]
        slowest = data["steps-0"]["slowest"]
        assert (slowest["step"], slowest["values"][place]) == (latency.argmax(), latency.max())
        starts = np.arange(0, len(latency), size)
        np.testing.assert_array_equal(bins["min"], np.minimum.reduceat(latency, starts))
        np.testing.assert_array_equal(bins["max"], np.maximum.reduceat(latency, starts))
        sums = np.add.reduceat(latency, starts) / np.diff([*starts, len(latency)])
        np.testing.assert_allclose(bins["mean"], sums, rtol=1e-12)
    page.show(1440)
    page.open(tmp_path / "r.html", READY)
    assert f"the mean of {size} steps" in page.run("document.getElementById('steps-note').innerText")
    page.wait("document.querySelectorAll('#steps-plot .js-line').length >= 1")
