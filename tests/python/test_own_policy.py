"""A policy in a repository of its own: against an installed kvreplay, and with kvreplay's sources."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import kvreplay
import pytest
from conftest import ROOT

EXAMPLE = ROOT / "examples" / "own_policy"
BUILD = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay")).resolve().parent


def done(*command: str | Path, cwd: Path) -> str:
    result = subprocess.run(command, check=False, cwd=cwd, capture_output=True, text=True)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder away from this repository, with the example and its program built in `build`."""
    folder = tmp_path_factory.mktemp("own") / "policy"
    shutil.copytree(EXAMPLE, folder)
    prefix = folder.parent / "prefix"
    done("cmake", "--install", BUILD, "--prefix", prefix, cwd=folder)
    warnings = "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror"
    done("cmake", "-B", "build", f"-DCMAKE_PREFIX_PATH={prefix}", warnings, cwd=folder)
    done("cmake", "--build", "build", cwd=folder)
    return folder


def test_the_policy_is_listed_beside_all_others(own: Path) -> None:
    shown = done("build/kvreplay", "list", "scorer", "newest_key", cwd=own)
    assert "age_cost" in shown
    kinds = done("build/kvreplay", "list", "--markdown", cwd=own)
    assert set((ROOT / "policies" / "README.md").read_text().splitlines()) - set(kinds.splitlines()) == {
        line
        for line in (ROOT / "policies" / "README.md").read_text().splitlines()
        if line.startswith("| scorer |")
    }


def test_the_policy_replays_the_sample(own: Path) -> None:
    trace = own.parent / "prefix" / "share" / "kvreplay" / "traces" / "samples" / "smollm2.h5"
    settings = ["--set", f"trace.path={trace}", "--set", "run.steps=8", "--set", "run.check=every_step"]
    table = done("build/kvreplay", "--quiet", "run", "own.yaml", *settings, cwd=own)
    assert "newest" in table and "centroid" in table


def test_its_sweep_comes_to_a_front_of_eighteen_points(own: Path) -> None:
    """By the commands of the example's page, on a few steps."""
    page = (EXAMPLE / "README.md").read_text().split("```sh\n")[2].split("```")[0]
    words = {
        "KVREPLAY/.venv/bin/python": sys.executable,
        "PREFIX": str(own.parent / "prefix"),
        " -o own.h5": " --set run.steps=8 -o own.h5",
    }
    for line in page.splitlines():
        for here, there in words.items():
            line = line.replace(here, there)
        done("sh", "-c", line, cwd=own)
    with kvreplay.open(own / "own.h5", stack=True) as data:
        assert data.sizes["point"] == 18
        assert set(data.variant.values) == set(data.point.values)
        front = kvreplay.pareto(data)
        scorers = {name.split(",")[0] for name in data.point.values}
        assert scorers == {"newest", "centroid"} and 1 <= len(front) < 18
    picture = (own / "own.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and int.from_bytes(picture[16:20]) == 1600


def test_a_change_of_its_code_is_found_against_the_results_before(own: Path) -> None:
    """As docs/compare.md does in CI: the same kvreplay and configuration, and other code of the policy."""
    trace = own.parent / "prefix" / "share" / "kvreplay" / "traces" / "samples" / "smollm2.h5"
    run = ("--quiet", "run", "own.yaml", "--set", f"trace.path={trace}", "--set", "run.steps=8", "--out")
    done("build/kvreplay", *run, "base.h5", cwd=own)
    source = own / "newest_key.cpp"
    text = source.read_text()
    assert text.count("dot * context_.attention_scale - age_cost") == 1
    source.write_text(text.replace("attention_scale - age_cost", "attention_scale + age_cost"))
    done("cmake", "--build", "build", cwd=own)
    source.write_text(text)
    done("build/kvreplay", *run, "new.h5", cwd=own)
    command = ("build/kvreplay", "--quiet", "compare", "base.h5", "new.h5", "--exact", "--json", "-")
    result = subprocess.run(command, check=False, cwd=own, capture_output=True, text=True)
    assert result.returncode == 1, result.stderr
    moved = {row["point"] for row in json.loads(result.stdout)["summaries"] if row["verdict"] == "regression"}
    assert moved == {"newest"}


def test_its_flags_are_its_own(own: Path) -> None:
    done("cmake", "-B", "loud", f"-DKVREPLAY_SOURCE={ROOT}", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", cwd=own)
    commands = (own / "loud" / "compile_commands.json").read_text()
    assert "newest_key.cpp" in commands and "policies/scorer/centroid.cpp" in commands
    assert "-Werror" not in commands and "-Wconversion" not in commands
    assert "tests/" not in commands


def test_results_say_that_they_come_from_code_of_ones_own(own: Path) -> None:
    """An installed kvreplay knows its commit, and the program that it is not all of that."""
    done("cmake", "--build", "build", cwd=own)  # of the source as it is, whatever was tried before
    trace = own.parent / "prefix" / "share" / "kvreplay" / "traces" / "samples" / "smollm2.h5"
    run = ("--quiet", "run", "own.yaml", "--set", f"trace.path={trace}", "--set", "run.steps=1", "--out")
    done("build/kvreplay", *run, "told.h5", cwd=own)
    found = kvreplay.provenance(own / "told.h5")
    assert found["commit"].endswith("-dirty")
    sha256 = hashlib.sha256((own / "newest_key.cpp").read_bytes()).hexdigest()
    line = f"newest_key.cpp {sha256}"
    assert line in found["uncommitted_sources"].splitlines()
    shown = done("build/kvreplay", "result", "show", "told.h5", cwd=own)
    assert line in shown and found["commit"] in shown
