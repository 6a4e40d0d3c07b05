"""`kvreplay list systems`: what every file of configs/systems says of itself, and the page made of it."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT

FOLDER = ROOT / "configs" / "systems"
FILES = sorted(FOLDER.glob("*.yaml"))
NAMES = [file.stem for file in FILES]
TEXTS = ("source", "faithful", "chosen", "left_out", "held_to")
PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))

MINE = """
system:
  name: Mine
  about: {source: "a paper | a book", year: 2031, faithful: a, chosen: b, left_out: c, held_to: d}
  clustering: token
  stages: []
  tiers: [{name: dram}]
"""


def about_of(file: Path) -> dict[str, Any]:
    """Of the file alone: what it includes is another system, whose facts are not its own."""
    return yaml.safe_load(file.read_text())["system"].get("about", {})


def attempt(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "list", "systems", *arguments], check=False, cwd=folder, capture_output=True, text=True
    )


@pytest.fixture
def systems(tmp_path: Path) -> Path:
    """An empty configs/systems of `tmp_path`."""
    folder = tmp_path / "configs" / "systems"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_every_file_says_all_of_itself(file: Path) -> None:
    about = about_of(file)
    missing = [key for key in TEXTS if not about.get(key)]
    published = not str(about.get("source", "")).startswith("none")
    if published != bool(about.get("year")):
        missing.append("year")
    assert not missing, f"{file.name}: system.about lacks {', '.join(missing)}; all six, in the file itself"


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_what_holds_a_system_is_there(file: Path) -> None:
    paths = re.findall(r"\b(?:tests|configs)/[\w./-]*\w", " ".join(map(str, about_of(file).values())))
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_file_has_a_line(kvreplay) -> None:
    heading, *lines = kvreplay("list", "systems").stdout.splitlines()
    assert re.split(r"  +", heading) == ["file", "source", "year", "held to"]
    assert [line.split()[0] for line in lines] == NAMES


def test_one_is_told_in_full(kvreplay) -> None:
    shown = kvreplay("list", "systems", "quest").stdout
    about = about_of(FOLDER / "quest.yaml")
    labels = {"source": "source", "year": "year", "left_out": "left out", "held_to": "held to"}
    for key, value in about.items():
        assert f"\n{labels.get(key, key)}: {value}\n" in shown
    assert shown.startswith("quest: Quest\n")


def test_markdown_has_a_row_a_file_and_is_the_page(kvreplay) -> None:
    printed = kvreplay("list", "systems", "--markdown").stdout
    rows = [line for line in printed.splitlines() if line.startswith("|")]
    assert [row.split("`")[1] for row in rows[2:]] == NAMES
    assert "not said" not in printed
    assert (FOLDER / "README.md").read_text() == printed


def test_a_system_of_ones_own(tmp_path: Path, systems: Path) -> None:
    (systems / "mine.yaml").write_text(MINE)
    (systems / "silent.yaml").write_text(re.sub(r"  about:.*\n", "", MINE))
    assert attempt(tmp_path).stdout.splitlines()[1:] == [
        "mine    a paper | a book  2031  d",
        "silent  not said          none  not said",
    ]
    row = "| `mine` | Mine | a paper \\| a book | 2031 | a | b | c | d |"
    assert attempt(tmp_path, "mine", "--markdown").stdout.splitlines()[2:] == [row]
    assert attempt(tmp_path, "configs/systems/mine.yaml").stdout.startswith("mine: Mine\nsource: a paper | a")


def test_everything_that_is_wrong_is_told_with_its_place(tmp_path: Path, systems: Path) -> None:
    (systems / "mine.yaml").write_text(MINE)
    (systems / "late.yaml").write_text(MINE.replace("2031", "soon"))
    (systems / "wrong.yaml").write_text(MINE.replace("faithful", "faithfull"))
    done = attempt(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    late, wrong = done.stderr.splitlines()
    assert late == (
        "configs/systems/late.yaml:4:39: system.about.year: is not an integer (soon); "
        "allowed: an integer, 0 to 9999"
    )
    assert wrong == (
        "configs/systems/wrong.yaml:4:51: system.about.faithfull: unknown key (faithfull); "
        "did you mean 'faithful'? allowed: source, year, faithful, chosen, left_out, held_to"
    )


def test_a_name_that_does_not_exist_is_told(tmp_path: Path, systems: Path) -> None:
    (systems / "mine.yaml").write_text(MINE)
    done = attempt(tmp_path, "mien")
    assert done.returncode == 2
    assert done.stderr.startswith("configs/systems: no such name (mien); did you mean 'mine'? allowed: ")
