"""The regression gate, end to end: results of tiny runs are compared, looked into and exported."""

import csv
import io
import json
import os
import random
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import ROOT

PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))
SEED = 5
DAMAGED_FILES = 60
SHARE = "system.stages.0.budget.share"
Done = subprocess.CompletedProcess[str]


def kvreplay(*words: str | Path, code: int = 0) -> Done:
    done = subprocess.run(
        [PROGRAM, "--quiet", *words],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
    )
    assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration of six steps, and a trace of another text."""
    folder = tmp_path_factory.mktemp("compare")
    parts = ("phones/oneplus_12", "devices/ufs40", "models/trace", "systems/kmeans_contiguous_lru")
    includes = ", ".join(f"{ROOT}/configs/{part}.yaml" for part in parts)
    config = f"""\
include: [{includes}]
trace: {{path: {ROOT}/traces/samples/smollm2.h5}}
run: {{steps: 6}}
points:
  small: {{system: {{cache: {{capacity: 64KiB}}}}}}
  large: {{system: {{cache: {{capacity: 1MiB}}}}}}
"""
    (folder / "c.yaml").write_text(config)
    sizes = ["--prompt", "128", "--steps", "8", "--head-dim", "16", "--clusters", "4"]
    kvreplay("trace", "synth", folder / "other.h5", *sizes)
    return folder


def results(folder: Path, name: str, *settings: str) -> Path:
    words = [word for setting in settings for word in ("--set", setting)]
    kvreplay("run", folder / "c.yaml", "-o", folder / name, *words)
    return folder / name


@pytest.fixture(scope="module")
def base(folder: Path) -> Path:
    return results(folder, "base.h5")


@pytest.fixture(scope="module")
def worse(folder: Path) -> Path:
    """With half the budget."""
    return results(folder, "worse.h5", f"{SHARE}=0.05")


@pytest.fixture(scope="module")
def seeds(folder: Path) -> Path:
    return results(folder, "seeds.h5", "run.seeds=3")


def compared(*words: str | Path, code: int = 0) -> dict[str, Any]:
    return json.loads(kvreplay("compare", *words, "--json", "-", code=code).stdout)


def rows(report: dict[str, Any], verdict: str) -> set[tuple[str, str]]:
    return {(row["point"], row["summary"]) for row in report["summaries"] if row["verdict"] == verdict}


def row(report: dict[str, Any], point: str, summary: str) -> dict[str, Any]:
    (found,) = [r for r in report["summaries"] if (r["point"], r["summary"]) == (point, summary)]
    return found


def refused(*words: str | Path) -> list[str]:
    done = kvreplay(*words, code=2)
    assert done.stdout == ""
    return done.stderr.splitlines()


def summary(path: Path, name: str) -> np.ndarray:
    with h5py.File(path) as file:
        return file[name][:]


def changed_copy(path: Path, copy: Path, change: Any) -> Path:
    shutil.copy(path, copy)
    with h5py.File(copy, "r+") as file:
        change(file)
    return copy


# --- What moved ---


def test_a_run_that_is_repeated_is_the_same(folder: Path, base: Path) -> None:
    again = results(folder, "again.h5", "run.threads=2", "name=other", "description=text")
    text = kvreplay("compare", base, again, "--exact").stdout
    assert text.splitlines()[-1].startswith("no regression, ") and text.endswith(" the same\n")
    report = compared(base, again, "--exact")
    assert len(rows(report, "same")) == len(report["summaries"]) > 60
    assert report["steps"] == [] and report["regressions"] == 0
    assert kvreplay("compare", base, base, "--host").stdout.count("regression") == 1


def test_a_smaller_budget_is_a_regression_where_it_is_one(base: Path, worse: Path) -> None:
    report = compared(base, worse, "--any-configuration", code=1)
    bad = rows(report, "regression")
    for point in ("small", "large"):
        for name in ("recall_mean", "mass_mean", "output_error_mean"):
            assert name == "recall_mean" or (point, name) in bad
        assert (point, "selected_mean") in rows(report, "changed")
        mass = row(report, point, "mass_mean")
        place = ["small", "large"].index(point)
        assert mass["base"] == summary(base, "mass_mean")[place]
        assert mass["new"] == summary(worse, "mass_mean")[place]
        assert mass["difference"] == mass["new"] - mass["base"] < 0
        assert mass["max_drop"] == {"amount": 0.0, "relative": False} and mass["max_growth"] is None
    assert report["regressions"] == len(bad)
    (condition,) = report["conditions"]
    assert condition["points"] == ["small", "large"]
    assert condition["keys"] == [{"key": SHARE, "base": "0.1", "new": "0.05"}]


def test_the_first_difference_is_that_of_the_steps(base: Path, worse: Path) -> None:
    report = compared(base, worse, "--any-configuration", code=1)
    first = row(report, "large", "mass_mean")["first"]
    with h5py.File(base) as old, h5py.File(worse) as new:
        point = list(old["point"].asstr()).index("large")
        before, after = old["mass"][point], new["mass"][point]
        step, layer, head = np.argwhere(before != after)[0]
        head_name = "kv_head" if "kv_head" in old else "head"
        place = {
            "step": str(step),
            "layer": str(old["layer"][layer]),
            "kv_head": str(old[head_name][head]),
        }
    assert (first["metric"], first["at"], first["seed"]) == ("mass", place, 1)
    assert (first["base"], first["new"]) == (before[step, layer, head], after[step, layer, head])


def test_what_gets_better_is_no_regression(base: Path, worse: Path) -> None:
    report = compared(worse, base, "--any-configuration", "--max-growth", "*=1000%", "--max-drop", "*=1000%")
    assert rows(report, "regression") == set()
    better = compared(worse, base, "--any-configuration", code=1)
    assert ("small", "mass_mean") in rows(better, "improved")
    assert ("small", "bytes_per_step") in rows(better, "regression")


def test_tolerances_are_absolute_or_relative_and_options_come_after_rules(
    base: Path, worse: Path, tmp_path: Path
) -> None:
    before, after = (summary(path, "mass_mean")[0] for path in (base, worse))
    drop = before - after
    rules = tmp_path / "r.yaml"
    rules.write_text(
        "- {metric: '*', ignore: true}\n- {metric: mass, points: sm*, ignore: false, max_drop: 0}\n"
    )
    words = (base, worse, "--any-configuration", "--rules", rules)
    report = compared(*words, code=1)
    assert rows(report, "regression") == {("small", "mass_mean")}
    assert len(report["summaries"]) == 1 and report["steps"] == []
    for tolerance in (f"{drop * 1.001}", f"{drop / before * 100.1}%"):
        assert rows(compared(*words, "--max-drop", f"mass={tolerance}"), "within")
    for tolerance in (f"{drop * 0.999}", f"{drop / before * 99.9}%"):
        compared(*words, "--max-drop", f"mass={tolerance}", code=1)


def test_exact_minds_every_move(base: Path, worse: Path) -> None:
    report = compared(base, worse, "--any-configuration", "--exact", code=1)
    assert rows(report, "improved") == rows(report, "changed") == set()
    assert ("small", "selected_mean") in rows(report, "regression")


def test_a_metric_that_moves_in_steps_alone_is_told(base: Path, tmp_path: Path) -> None:
    def swap(file: h5py.File) -> None:
        values = file["latency_s"][1]
        values[[2, 4]] = values[[4, 2]]
        file["latency_s"][1] = values

    assert summary(base, "latency_s")[1, 2] != summary(base, "latency_s")[1, 4]
    copy = changed_copy(base, tmp_path / "swapped.h5", swap)
    (step,) = compared(base, copy)["steps"]
    assert (step["point"], step["verdict"], step["first"]["at"]) == ("large", "changed", {"step": "2"})
    assert "latency_s at step 2: " in kvreplay("compare", base, copy).stdout
    assert compared(base, copy, "--exact", code=1)["regressions"] == 1


def test_seeds_are_paired(folder: Path, seeds: Path) -> None:
    other = results(folder, "seeds_worse.h5", "run.seeds=3", f"{SHARE}=0.02")
    report = compared(seeds, other, "--any-configuration", code=1)
    found = row(report, "large", "mass_mean")
    with h5py.File(seeds) as file:
        points = file["variant"].asstr()[:] == "large"
    differences = (summary(other, "mass_mean") - summary(seeds, "mass_mean"))[points]
    assert (found["method"], found["base_seeds"], found["new_seeds"]) == ("paired", 3, 3)
    assert found["difference"] == pytest.approx(differences.mean(), rel=1e-12)
    # t(0.975, 2) = 4.3026527
    width = 4.302652729911275 * differences.std(ddof=1) / 3**0.5
    assert found["half_width"] == pytest.approx(width, rel=1e-9)
    assert found["verdict"] == ("regression" if differences.mean() + width < 0 else "uncertain")
    assert "3 seeds" in kvreplay("compare", seeds, other, "--any-configuration", code=1).stdout


def test_seeds_that_one_file_alone_has_are_named(base: Path, seeds: Path) -> None:
    text = kvreplay("compare", base, seeds).stdout
    assert "only in" in text and "seeds 2, 3 of point small" in text
    report = compared(seeds, base)
    assert report["missing"]["seeds"] == [{"point": p, "seeds": [2, 3]} for p in ("small", "large")]


# --- What is not there ---


def renamed_points(file: h5py.File) -> None:
    for name in ("point", "variant"):
        file[name][1] = b"new"
    file["provenance/point"][1] = b"new"


def test_points_of_one_file_alone_are_named(base: Path, tmp_path: Path) -> None:
    copy = changed_copy(base, tmp_path / "renamed.h5", renamed_points)
    report = compared(base, copy, code=1)
    assert report["missing"]["points"] == ["large"] and report["extra"]["points"] == ["new"]
    assert {point for point, _ in rows(report, "same")} == {"small"}
    text = kvreplay("compare", base, copy, "--partial").stdout
    assert "only in" in text and "points large\n" in text and "points new\n" in text
    assert rows(compared(base, copy, "--partial"), "same")


def test_summaries_of_one_file_alone_are_named(base: Path, tmp_path: Path) -> None:
    def drop(file: h5py.File) -> None:
        del file["mass_mean"]

    copy = changed_copy(base, tmp_path / "dropped.h5", drop)
    assert compared(base, copy, code=1)["missing"]["summaries"] == ["mass_mean"]
    assert compared(copy, base)["extra"]["summaries"] == ["mass_mean"]


def test_metrics_by_step_that_are_gone_fail_where_nothing_may_move(
    folder: Path, base: Path, tmp_path: Path
) -> None:
    short = results(folder, "short.h5", "record.per_step=false")
    with h5py.File(base) as file:
        kept = {name for name, data in file.items() if isinstance(data, h5py.Dataset) and data.ndim > 1}
    report = compared(base, short)
    assert set(report["missing"]["metrics"]) == kept and "latency_s" in kept
    assert report["regressions"] == 0 and report["extra"]["metrics"] == []
    text = kvreplay("compare", base, short, "--exact", code=1).stdout
    assert f"only in {base}: metrics by step " in text
    report = compared(base, short, "--exact", "--junit", tmp_path / "c.xml", code=1)
    assert report["regressions"] == len(kept)
    assert {row["verdict"] for row in report["summaries"]} == {"same"}
    failed = ET.parse(tmp_path / "c.xml").getroot().findall("testsuite/testcase[failure]")
    assert {case.get("name") for case in failed} == {f"{name} by step" for name in kept}
    assert compared(base, short, "--exact", "--partial")["regressions"] == 0
    assert set(compared(short, base, "--exact")["extra"]["metrics"]) == kept


def test_one_seed_of_three_that_moved_fails_where_nothing_may_move(seeds: Path, tmp_path: Path) -> None:
    def move(file: h5py.File) -> None:
        place = list(zip(file["variant"].asstr(), file["seed"], strict=True)).index(("large", 2))
        file["mass_mean"][place] *= 0.999
        file["mass"][place, 3] *= 0.999

    copy = changed_copy(seeds, tmp_path / "one_seed.h5", move)
    found = row(compared(seeds, copy), "large", "mass_mean")
    assert (found["verdict"], found["first"]["seed"]) == ("uncertain", 2)
    assert found["first"]["at"]["step"] == "3"
    report = compared(seeds, copy, "--exact", code=1)
    assert rows(report, "regression") == {("large", "mass_mean")}


def test_results_without_a_common_point_are_refused(base: Path, tmp_path: Path) -> None:
    def rename_all(file: h5py.File) -> None:
        for name in ("point", "variant"):
            file[name][:] = [b"one", b"two"]

    copy = changed_copy(base, tmp_path / "strange.h5", rename_all)
    (line,) = refused("compare", base, copy)
    assert "no point is called as one of" in line


def test_incomplete_results_are_refused_unless_told(base: Path, tmp_path: Path) -> None:
    def stop(file: h5py.File) -> None:
        for name in ("complete", "points_planned"):
            file.attrs.pop(name, None)
        file.attrs["complete"] = np.int64(0)
        file.attrs["points_planned"] = np.int64(5)

    copy = changed_copy(base, tmp_path / "part.h5", stop)
    for words in ((base, copy), (copy, base)):
        (line,) = refused("compare", *words)
        assert line == f"{copy}: has 2 of 5 points; --partial compares those"
        assert "has 2 of 5 points" in kvreplay("compare", *words, "--partial").stdout
    assert f"{copy}: 2 of 5 points\n" in kvreplay("result", "show", copy).stdout


# --- Other runs ---


def test_another_configuration_is_refused_with_its_keys(base: Path, worse: Path) -> None:
    (line,) = refused("compare", base, worse)
    assert line == (
        f"{worse}: configuration of small, large is not that of {base}: {SHARE} 0.1 -> 0.05; "
        "--any-configuration compares all the same"
    )


def test_another_trace_is_refused_and_a_copy_elsewhere_is_not(folder: Path, base: Path) -> None:
    other = results(folder, "other_trace.h5", f"trace.path={folder / 'other.h5'}")
    (line,) = refused("compare", base, other)
    assert "trace of small, large is not that of" in line and "trace.path sha256 " in line
    assert line.endswith("; --any-trace compares all the same")
    compared(base, other, "--any-trace", code=1)
    shutil.copy(ROOT / "traces" / "samples" / "smollm2.h5", folder / "copy.h5")
    moved = results(folder, "moved.h5", f"trace.path={folder / 'copy.h5'}")
    assert compared(base, moved)["conditions"] == []


# --- Forms ---


def test_json_has_every_key_and_numbers(base: Path, worse: Path, tmp_path: Path) -> None:
    kvreplay("compare", base, worse, "--any-configuration", "--json", tmp_path / "c.json", code=1)
    report = json.loads((tmp_path / "c.json").read_text())
    assert list(report) == [
        "base",
        "new",
        "regressions",
        "summaries",
        "steps",
        "missing",
        "extra",
        "conditions",
    ]
    assert report["base"]["file"] == str(base) and report["base"]["commit"]
    assert report["base"]["points"] == report["base"]["points_planned"] == 2
    for entry in report["summaries"]:
        assert list(entry) == [
            "point",
            "summary",
            "unit",
            "measured",
            "verdict",
            "base",
            "new",
            "difference",
            "half_width",
            "method",
            "base_seeds",
            "new_seeds",
            "max_drop",
            "max_growth",
            "first",
        ]
        assert entry["measured"] is False


def test_junit_has_a_case_for_every_summary(base: Path, worse: Path, tmp_path: Path) -> None:
    kvreplay("compare", base, worse, "--any-configuration", "--junit", tmp_path / "c.xml", code=1)
    root = ET.parse(tmp_path / "c.xml").getroot()
    report = compared(base, worse, "--any-configuration", code=1)
    suites = root.findall("testsuite")
    assert {suite.get("name") for suite in suites} == {"small", "large"}
    cases = root.findall("testsuite/testcase")
    failures = root.findall("testsuite/testcase/failure")
    assert int(root.get("tests", "")) == len(cases) >= len(report["summaries"])
    assert int(root.get("failures", "")) == len(failures) == report["regressions"]
    (mass,) = root.findall("testsuite[@name='small']/testcase[@name='mass_mean']/failure")
    assert mass.get("message", "").startswith("regression: 0.")


def test_names_cannot_break_xml_or_markdown(base: Path, tmp_path: Path) -> None:
    def rename(file: h5py.File) -> None:
        text = b'<a href="x">&`|\x1b[31m\xff\xed\xa0\x80'[:30]
        size = min(file["variant"].dtype.itemsize, file["point"].dtype.itemsize)
        for name in ("point", "variant"):
            file[name][1] = text[: size - 1]

    copy = changed_copy(base, tmp_path / "named.h5", rename)
    kvreplay(
        "compare",
        base,
        copy,
        "--partial",
        "--junit",
        tmp_path / "c.xml",
        "--markdown",
        tmp_path / "c.md",
        "--json",
        tmp_path / "c.json",
    )
    ET.parse(tmp_path / "c.xml")
    json.loads((tmp_path / "c.json").read_text())
    assert "\x1b" not in (tmp_path / "c.md").read_text()


def test_markdown_is_a_summary_for_a_pull_request(base: Path, worse: Path) -> None:
    text = kvreplay("compare", base, worse, "--any-configuration", "--markdown", "-", code=1).stdout
    assert text.startswith("### kvreplay: ") and " regressions, " in text.splitlines()[0]
    assert "| verdict | point | summary | base | new |" in text
    assert "| regression | `small` | `mass_mean` |" in text


# --- Wrong words ---


def test_everything_that_is_wrong_is_told_at_once(base: Path, tmp_path: Path) -> None:
    rules = tmp_path / "r.yaml"
    rules.write_text(
        "- {metric: recal, max_drop: 0.1}\n- {metric: latency, max_growth: 2}\n- {metrik: recall}\n"
        "- {metric: recall, direction: upp, ignore: perhaps}\n- text\n- {metric: recall}\n"
    )
    lines = refused(
        "compare",
        base,
        tmp_path / "nothing.h5",
        "--rules",
        rules,
        "--max-drop",
        "recal=0.1",
        "--max-drop=recall",
        "--max-growth",
        "latency=1MiB",
        "--max-growth",
        "*=1",
        "--max-drop",
        "recall=-1",
        "--json",
        base,
    )
    text = "\n".join(lines)
    for part in (
        f"--json: {base}: is an input",
        "nothing.h5: no such file",
        "r.yaml:1:4: 0.metric: no summary is called 'recal'; did you mean 'recall'? allowed: ",
        "r.yaml:2:21: 1.max_growth: '2' is no tolerance of latency; allowed: a number, 0 or more, with",
        "r.yaml:3:4: 2.metrik: unknown key; did you mean 'metric'?",
        "r.yaml:4:20: 3.direction: 'upp'; did you mean 'up'?",
        "3.ignore: 'perhaps'; allowed: true, false",
        "4: is not a map (text)",
        "5: says nothing",
        "--max-drop: no summary is called 'recal'; did you mean 'recall'?",
        "--max-drop: 'recall' is no NAME=TOLERANCE",
        "--max-growth: '1MiB' is no tolerance of latency",
        "--max-growth: '1' is no tolerance of *; allowed: a percentage",
        "--max-drop: '-1' is no tolerance of recall",
    ):
        assert part in text, part
    (line,) = refused("compare", base, base, "--json", "-", "--junit", "-")
    assert line.startswith("--json, --junit: standard output (-) is asked for more than once")


@pytest.mark.parametrize("text", ["recall: 0.1\n", "", "- [\n"])
def test_a_file_without_rules_is_refused(base: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "r.yaml").write_text(text)
    (line,) = refused("compare", base, base, "--rules", tmp_path / "r.yaml")
    assert "r.yaml:" in line


def test_the_rules_of_the_page_are_rules(base: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "compare.md").read_text()
    (tmp_path / "r.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])
    report = compared(base, base, "--rules", tmp_path / "r.yaml")
    assert row(report, "small", "recall_mean")["max_drop"] == {"amount": 0.005, "relative": False}
    assert row(report, "small", "latency_p95")["max_growth"] == {"amount": 0.02, "relative": True}
    assert row(report, "small", "selected_mean")["max_drop"] == {"amount": 0.0, "relative": False}
    assert "hidden_io_mean" not in {r["summary"] for r in report["summaries"]}


# --- Damage ---


def damaged(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    if rng.random() < 0.2:
        return data[: rng.randrange(len(data))]
    for _ in range(rng.choice([1, 1, 4, 16])):
        place = rng.randrange(rng.choice([min(8192, len(data)), len(data)]))
        changed[place] = rng.randrange(256)
    return bytes(changed)


def test_a_damaged_file_is_read_or_refused_in_words(base: Path, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    data = base.read_bytes()
    path = tmp_path / "d.h5"
    codes = []
    for number in range(DAMAGED_FILES):
        path.write_bytes(damaged(data, rng))
        words = ["compare", base, path] if number % 2 else ["result", "show", path]
        done = subprocess.run(
            [PROGRAM, *words], check=False, capture_output=True, text=True, errors="replace", timeout=60
        )
        codes.append(done.returncode)
        assert done.returncode in (0, 1, 2), f"file {number}: {done.returncode} {done.stderr}"
        assert done.returncode != 2 or "d.h5" in done.stderr, f"file {number}: {done.stderr}"
    assert codes.count(2) > DAMAGED_FILES // 5


def test_what_is_no_result_is_refused_with_its_name(base: Path, tmp_path: Path) -> None:
    trace = ROOT / "traces" / "samples" / "smollm2.h5"
    (tmp_path / "cut.h5").write_bytes(base.read_bytes()[:-3000])
    (tmp_path / "text.h5").write_text("text")
    for path, what in (
        (trace, "its format is 'kvtrace'; expected results of 'kvreplay run'"),
        (tmp_path / "cut.h5", "cut short"),
        (tmp_path / "text.h5", "not an HDF5 file"),
        (tmp_path, "not a regular file"),
    ):
        for words in (
            ("compare", base, path),
            ("result", "show", path),
            ("result", "export", path, "--csv", "-"),
        ):
            (line,) = refused(*words)
            assert line.startswith(f"{path}: ") and what in line


# --- Looking into results ---


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_show_says_what_a_file_holds(folder: Path, base: Path, seeds: Path) -> None:
    text = kvreplay("result", "show", base).stdout
    assert text.startswith(f"{base}: complete, 2 points\n\nsummary ")
    for part in ("recall_mean", "small", "large", "trace_sha256", "commit"):
        assert part in text, part
    noted = results(folder, "noted.h5", "model.layers=8")
    assert "\nnotes\n- " in kvreplay("result", "show", noted).stdout
    assert "6 points" in kvreplay("result", "show", seeds).stdout
    shown = json.loads(kvreplay("result", "show", seeds, "--point", "small", "--json").stdout)
    assert [point["seed"] for point in shown["points"]] == [1, 2, 3]
    assert shown["points"][0]["summaries"]["mass_mean"] == summary(seeds, "mass_mean")[0]
    assert "seed:" in shown["points"][0]["resolved_config"]
    assert {"name", "unit", "formula", "dimensions"} <= set(shown["datasets"][0])
    (line,) = refused("result", "show", base, "--point", "smal")
    assert line.startswith("--point: no point of ") and "did you mean 'small'? allowed: small, large" in line


def test_notes_are_the_same_when_run_and_when_shown(folder: Path) -> None:
    """Each once: with the variant of which all points have it, and with nobody where all have it."""
    settings = ("run.seeds=2", "system.cache.capacity=64MiB", "model.layers=8")
    words = [word for setting in settings for word in ("--set", setting)]
    (folder / "notes.yaml").write_text(
        (folder / "c.yaml")
        .read_text()
        .replace("large: {system: {cache: {capacity: 1MiB}}}", "none: {system: {replacement: none}}")
    )
    printed = kvreplay("run", folder / "notes.yaml", "-o", folder / "notes.h5", *words).stdout
    lines = printed[printed.index("\nnotes\n") :].splitlines()
    assert "- none: hit_rate: replacement 'none' keeps nothing" in lines
    assert any(line.startswith("- small: the cache in tier 'dram' was never full: ") for line in lines)
    assert any(line.startswith("- extrapolated: ") for line in lines)
    shown = kvreplay("result", "show", folder / "notes.h5").stdout
    assert printed[printed.index("\nnotes\n") :] in shown
    one = kvreplay("result", "show", folder / "notes.h5", "--point", "small,seed=1").stdout
    assert "\n- the cache in tier 'dram' was never full" in one and "'none'" not in one


def test_export_has_a_row_per_point(base: Path, tmp_path: Path) -> None:
    kvreplay("result", "export", base, "--csv", tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_text()
    small, large = table(text)
    assert text == kvreplay("result", "export", base, "--csv", "-").stdout
    assert (small["point"], large["point"]) == ("small", "large")
    assert (small["system.cache.capacity"], large["system.cache.capacity"]) == ("64KiB", "1MiB")
    assert float(large["mass_mean"]) == summary(base, "mass_mean")[1]
    assert small["guess_precision"] == "" and "host/policy_kernel_mean" in small


def test_export_has_a_row_per_step_or_value(base: Path) -> None:
    steps = table(kvreplay("result", "export", base, "--csv", "-", "--per-step").stdout)
    assert [row["step"] for row in steps] == [str(step) for step in range(6)] * 2
    assert [float(row["latency_s"]) for row in steps] == list(summary(base, "latency_s").ravel())
    words = ("--per-step", "--metric", "recall", "--metric", "latency_*")
    values = table(kvreplay("result", "export", base, "--csv", "-", *words).stdout)
    recall = [float(row["value"]) for row in values if row["metric"] == "recall"]
    stored = summary(base, "recall").ravel()
    assert recall == list(stored[~np.isnan(stored)])
    assert {row["kv_head"] for row in values if row["metric"] == "recall"} == {"0", "1", "2"}
    assert {row["kv_head"] for row in values if row["metric"] == "latency_s"} == {""}


def test_wrong_exports_are_refused(base: Path) -> None:
    lines = refused("result", "export", base, "--metric", "recall")
    assert lines[0].startswith("--csv: is not given") and lines[1] == "--metric: goes with --per-step alone"
    (line,) = refused("result", "export", base, "--csv", base)
    assert line.startswith(f"--csv: {base}: is an input")
    (line,) = refused("result", "export", base, "--csv", "-", "--per-step", "--metric", "recal")
    assert "keeps no steps of 'recal'; did you mean 'recall'?" in line
