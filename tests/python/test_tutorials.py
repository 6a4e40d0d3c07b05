"""What pages tell a stranger to do, done word for word: the files that they show, and the commands."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import kvreplay
import pytest
from conftest import ROOT

BUILD = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay")).resolve().parent
SHOWN = re.compile(r"<!-- (?P<name>[^>]+?) -->\n```\w*\n(?P<text>.*?)```\n<!-- end -->", re.DOTALL)
Shell = Callable[[str, Path], str]


def shown(page: str) -> dict[str, str]:
    """Fenced texts of a page by the comment before them."""
    return {found["name"]: found["text"] for found in SHOWN.finditer((ROOT / "docs" / page).read_text())}


def done(*command: str | Path, cwd: Path) -> str:
    result = subprocess.run(command, check=False, cwd=cwd, capture_output=True, text=True)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder like the repository's root, as far as the commands look."""
    for name in ("configs", "traces", "notebooks"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "results").mkdir()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (tmp_path / "build").mkdir()
    return tmp_path


@pytest.fixture(scope="module")
def own_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """kvreplay with the scorer of the page; scripts/build, which the page says, would build all anew."""
    folder = tmp_path_factory.mktemp("own")
    prefix = folder / "prefix"
    done("cmake", "--install", BUILD, "--prefix", prefix, cwd=folder)
    (folder / "sampled_keys.cpp").write_text(shown("extending.md")["sampled_keys.cpp"])
    (folder / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(own LANGUAGES C CXX)\nset(CMAKE_BUILD_TYPE Release)\n"
        "find_package(kvreplay REQUIRED)\nkvreplay_add_policy(own sampled_keys.cpp)\n"
    )
    warnings = "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Werror"
    done("cmake", "-B", "build", f"-DCMAKE_PREFIX_PATH={prefix}", warnings, cwd=folder)
    done("cmake", "--build", "build", cwd=folder)
    return folder / "build"


def test_a_scorer_comes_to_its_plot_over_18_points(checkout: Path, own_program: Path) -> None:
    texts = shown("extending.md")
    (checkout / "build" / "release").symlink_to(own_program)
    (checkout / "sampled_keys.yaml").write_text(texts["sampled_keys.yaml"])
    build, *commands = texts["commands"].splitlines()
    assert (build, len(commands)) == ("scripts/build", 3)
    said = [done("sh", "-ec", command, cwd=checkout) for command in commands]
    assert "of a unit's members that are looked at" in said[0]
    picture = checkout / "results" / "sampled_keys.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    with kvreplay.open(checkout / "results" / "sampled_keys.h5", stack=True) as data:
        assert data.sizes["point"] == 18
        names = [str(name) for name in data.point.values]
    front = said[2].splitlines()
    assert 0 < len(front) < 18 and set(front) < set(names)


def test_the_scorer_keeps_what_the_engine_asks_of_it(checkout: Path, own_program: Path) -> None:
    (checkout / "sampled_keys.yaml").write_text(shown("extending.md")["sampled_keys.yaml"])
    settings = ("--set", "run.steps=16", "--set", "run.check=every_step", "--quiet")
    done(own_program / "kvreplay", "run", "sampled_keys.yaml", *settings, cwd=checkout)


def test_the_quick_start_runs(checkout: Path) -> None:
    page = (ROOT / "docs" / "quick-start.md").read_text()
    (checkout / "build" / "release").symlink_to(BUILD)
    (checkout / "mine.yaml").write_text(shown("quick-start.md")["mine.yaml"])
    done("build/release/kvreplay", "run", "configs/experiments/demo.yaml", "--quiet", "--set", "run.steps=40",
         "-o", "results/demo.h5", cwd=checkout)  # fmt: skip
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    assert blocks[0].startswith("scripts/build") and len(blocks) == 4
    for command in (line for text in blocks[1:] for line in text.splitlines()):
        result = subprocess.run(
            ["sh", "-c", command], check=False, cwd=checkout, capture_output=True, text=True
        )
        assert result.returncode == (1 if " compare " in command else 0), f"{command}\n{result.stderr}"
    assert (checkout / "results" / "mine.png").read_bytes().startswith(b"\x89PNG")
