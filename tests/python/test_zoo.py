"""configs/experiments/zoo.yaml in short: that all systems run, and what its table says of them."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from notebook_runs import run_notebook


@pytest.fixture(scope="module")
def results(kvreplay, project_root: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("zoo") / "zoo.h5"
    config = project_root / "configs" / "experiments" / "zoo.yaml"
    kvreplay("run", config, "-o", out, "--set", "run.steps=12", "--set", "run.seeds=2", "--together", "8")
    return out


def printed(root: Path, *arguments: str | Path) -> list[list[str]]:
    command = [sys.executable, root / "notebooks" / "zoo.py", *arguments]
    done = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()[2:]]


def test_every_system_has_a_row_and_none_on_the_front_is_beaten(results, project_root, tmp_path) -> None:
    rows = printed(project_root, results, "--png", tmp_path / "zoo.png")
    config = yaml.safe_load((project_root / "configs" / "experiments" / "zoo.yaml").read_text())
    assert [row[0] for row in rows] == list(config["points"])
    assert (tmp_path / "zoo.png").stat().st_size > 10_000
    costs = {row[0]: tuple(float(row[column].split()[0]) for column in (3, 4, 5)) for row in rows}
    front = {row[0] for row in rows if row[7] == "yes"}
    assert {"full", "FlexGen"} & front  # nothing is missed; FlexGen takes no DRAM to speak of
    for name in front:
        for other in costs:
            better = [a < b - 0.011 for a, b in zip(costs[other], costs[name], strict=True)]  # rounded
            assert not all(better), (name, other)


def test_what_has_a_limit_keeps_to_it(results, project_root) -> None:
    rows = {row[0]: float(row[5].split()[0]) for row in printed(project_root, results)}
    config = yaml.safe_load((project_root / "configs" / "experiments" / "zoo.yaml").read_text())
    limited = [name for name, point in config["points"].items() if "dram" in point.get("system", {})]
    assert len(limited) >= 12
    assert all(rows[name] <= 12.59 for name in limited)  # MB of 12 MiB


def test_kernels_have_a_row_a_system(results, project_root) -> None:
    rows = printed(project_root, results, "--kernels")
    assert all(float(row[1].split()[0]) > 0 for row in rows)


def test_several_texts_have_their_errors_side_by_side_and_a_front_that_is_on_all(
    results, project_root, tmp_path
) -> None:
    """Twice the same text: its errors are the mean, and its front is that of every text."""
    copies = [tmp_path / "one.h5", tmp_path / "two.h5"]
    for copy in copies:
        copy.symlink_to(results)
    single = {row[0]: row for row in printed(project_root, results)}
    rows = printed(project_root, *copies)
    assert [row[0] for row in rows] == list(single)
    for name, one, two, everything, latency, dram, front in rows:
        error = single[name][3]
        assert one == two == everything.split(" [")[0] == error.split(" [")[0]
        assert (latency, dram) == (single[name][4], single[name][5])
        assert (front == "every text") == (single[name][7] == "yes")


def test_the_notebook_runs_from_top_to_bottom(results, monkeypatch: pytest.MonkeyPatch) -> None:
    run_notebook("zoo.ipynb", monkeypatch, KVREPLAY_ZOO=results)


def test_the_front_of_readme_is_that_of_the_page(project_root) -> None:
    def rows(text: str) -> list[list[str]]:
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]

    readme = (project_root / "README.md").read_text()
    page = (project_root / "configs" / "experiments" / "zoo.md").read_text()
    begin = "<!-- python notebooks/zoo.py results/zoo.h5 --front -->\n"
    front = rows(readme.split(begin)[1].split("<!-- end -->")[0])
    table = rows("| system | recall" + page.split("| system | recall")[1].split("\n\n")[0])
    on_front = [[row[0], row[3], row[4], row[5]] for row in table if row[7] == "yes"]
    assert sorted(front) == sorted(on_front)
    config = yaml.safe_load((project_root / "configs" / "experiments" / "zoo.yaml").read_text())
    assert [row[0] for row in table] == list(config["points"])


def test_the_short_table_is_the_front(results, project_root) -> None:
    whole = [row for row in printed(project_root, results) if row[7] == "yes"]
    short = printed(project_root, results, "--front")
    assert sorted(short) == sorted([row[0], row[3], row[4], row[5]] for row in whole)
