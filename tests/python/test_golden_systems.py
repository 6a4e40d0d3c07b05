"""tests/golden/systems.h5: each system is in it, does what it did, and is named where it does not."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest
import yaml
from conftest import ROOT

PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))
CONFIGURATION = ROOT / "tests" / "golden" / "systems.yaml"
GOLDEN = ROOT / "tests" / "golden" / "systems.h5"
NAMES = sorted(file.stem for file in (ROOT / "configs" / "systems").glob("*.yaml"))
MAX_BYTES = 300_000
RENEW = "where that is meant, scripts/renew-goldens"
Done = subprocess.CompletedProcess[str]


def ran(*words: str | Path, cwd: Path = ROOT, **variables: str) -> Done:
    environment = {**os.environ, "KVREPLAY": str(PROGRAM), **variables}
    return subprocess.run(
        words, check=False, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
    )


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Runs the goldens' configuration with more settings; points that are alike are replayed once."""
    folder = tmp_path_factory.mktemp("goldens")

    def run(name: str, *settings: str) -> Path:
        words = [word for setting in settings for word in ("--set", setting)]
        store = ("--store", folder / "store", "--together", "8")
        done = ran(PROGRAM, "--quiet", "run", CONFIGURATION, "-o", folder / name, *store, *words)
        assert done.returncode == 0, done.stderr
        return folder / name

    return run


@pytest.fixture(scope="module")
def fresh(replay: Callable[..., Path]) -> Path:
    return replay("fresh.h5")


def points(path: Path) -> list[str]:
    with h5py.File(path) as file:
        return [str(name) for name in file["point"].asstr()[:]]


def compared(base: Path, new: Path, *words: str) -> tuple[int, dict[str, Any]]:
    done = ran(PROGRAM, "--quiet", "compare", base, new, "--json", "-", *words)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def tampered(path: Path, summary: str, point: str, factor: float) -> Path:
    copy = path.with_name(f"{summary}.h5")
    shutil.copy(path, copy)
    with h5py.File(copy, "r+") as file:
        file[summary][points(path).index(point)] *= factor
    return copy


# --- The goldens ---


def test_every_system_is_in_it_as_its_file_says() -> None:
    configured = yaml.safe_load(CONFIGURATION.read_text())["points"]
    assert list(configured) == points(GOLDEN) == NAMES, RENEW
    for name, point in configured.items():
        assert point.pop("include") == f"../../configs/systems/{name}.yaml"
        assert point in ({}, {"run": {"first_step": 0}}), f"{name} is not as its file says"


def test_it_is_small_complete_and_of_no_folder_of_ones_own() -> None:
    assert GOLDEN.stat().st_size < MAX_BYTES
    assert str(ROOT).encode() not in GOLDEN.read_bytes()
    with h5py.File(GOLDEN) as file:
        assert file.attrs["complete"] == 1


def test_every_system_does_what_it_did(fresh: Path) -> None:
    for base, new in ((GOLDEN, fresh), (fresh, GOLDEN)):
        done = ran(PROGRAM, "--quiet", "compare", base, new, "--exact")
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{RENEW}"
        assert done.stdout.splitlines()[-1].startswith("no regression, ")


def test_the_systems_are_told_apart_and_none_is_spared(fresh: Path) -> None:
    """No two points are the same by mistake, but one that is Quest by another name, and each has a part of
    what is compared."""
    report = compared(GOLDEN, fresh)[1]
    compared_of = {name: [r for r in report["summaries"] if r["point"] == name] for name in NAMES}
    assert min(len(rows) for rows in compared_of.values()) >= 30
    values = {name: tuple((r["summary"], r["new"]) for r in rows) for name, rows in compared_of.items()}
    assert values.pop("tinyserve") == values["quest"]
    assert len(set(values.values())) == len(values)


# --- A regression ---


def test_a_smaller_budget_of_one_system_is_a_regression_of_that_one(
    replay: Callable[..., Path], fresh: Path
) -> None:
    worse = replay("worse.h5", "points.quest.system.stages.0.budget.share=0.05")
    refused = ran(PROGRAM, "--quiet", "compare", GOLDEN, worse)
    assert refused.returncode == 2 and "system.stages.0.budget.share" in refused.stderr
    code, report = compared(GOLDEN, worse, "--any-configuration")
    assert code == 1
    moved = {(row["point"], row["summary"]): row["verdict"] for row in report["summaries"]}
    moved = {place: verdict for place, verdict in moved.items() if verdict != "same"}
    assert {point for point, _ in moved} == {"quest"}
    assert moved["quest", "recall_mean"] == moved["quest", "output_error_mean"] == "regression"
    assert moved["quest", "latency_mean"] == "improved"
    (condition,) = report["conditions"]
    assert condition["points"] == ["quest"]


def test_what_gets_better_unasked_is_told_too(fresh: Path) -> None:
    quicker = tampered(fresh, "latency_mean", "loki", 0.999999)
    assert compared(GOLDEN, quicker)[0] == 0
    code, report = compared(GOLDEN, quicker, "--exact")
    bad = [(row["point"], row["summary"]) for row in report["summaries"] if row["verdict"] == "regression"]
    assert code == 1 and bad == [("loki", "latency_mean")]


# --- Renewing ---


def test_goldens_that_hold_are_not_renewed(tmp_path: Path) -> None:
    mine = tmp_path / "mine.h5"
    shutil.copy(GOLDEN, mine)
    before = mine.read_bytes()
    done = ran(ROOT / "scripts" / "renew-goldens", "mine.h5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"nothing moved; {mine} stays" in done.stderr
    assert mine.read_bytes() == before


def test_what_moved_is_printed_and_renewed(tmp_path: Path, fresh: Path) -> None:
    mine = tmp_path / "mine.h5"
    shutil.copy(tampered(fresh, "mass_mean", "dynakv", 1.5), mine)
    done = ran(ROOT / "scripts" / "renew-goldens", mine)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("regression ")]
    assert line.split()[1:3] == ["dynakv", "mass_mean"]
    assert f"something moved; {mine} is replaced" in done.stderr
    assert ran(PROGRAM, "compare", GOLDEN, mine, "--exact").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.h5"]


def test_what_is_no_result_is_not_replaced(tmp_path: Path) -> None:
    mine = tmp_path / "mine.h5"
    mine.write_text("text")
    done = ran(ROOT / "scripts" / "renew-goldens", mine)
    assert done.returncode == 3 and "not an HDF5 file" in done.stderr
    assert mine.read_text() == "text"
    assert ran(ROOT / "scripts" / "renew-goldens", mine, mine).returncode == 2
