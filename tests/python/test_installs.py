"""pip installs the Python package and the capture tool from the tree: whole, typed, without tests."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

PROJECTS = {"python": "kvreplay", "traces/capture": "kvreplay_capture"}
# What the tests set for themselves: installed packages must do without.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def output(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, check=False, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def pip(*words: str | Path, cwd: Path) -> None:
    """pip of this environment, which downloads nothing."""
    quiet = ("--quiet", "--disable-pip-version-check")
    output(sys.executable, "-m", "pip", *words, *quiet, "--no-deps", "--no-build-isolation", cwd=cwd)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment that also finds the packages of this one, but for kvreplay; both projects come from
    copies of their folders, so that nothing is built into the tree."""
    folder = tmp_path_factory.mktemp("installed")
    output(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    site = output(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    # Of what is beside, .pth files are not read, and so not the one that names the tree.
    Path(site.strip(), "beside.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    for project in PROJECTS:
        shutil.copytree(
            ROOT / project,
            folder / project,
            ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"),
        )
        pip("--python", python, "install", f"./{project}", cwd=folder)
    return folder


def wheel_names(folder: Path, project: str) -> list[str]:
    pip("wheel", f"./{project}", "--wheel-dir", folder / "wheels", cwd=folder)
    (wheel,) = (folder / "wheels").glob(f"{PROJECTS[project]}-*.whl")
    with zipfile.ZipFile(wheel) as file:
        return file.namelist()


@pytest.mark.parametrize("project", PROJECTS)
def test_a_wheel_has_all_of_its_package_and_nothing_else(installed: Path, project: str) -> None:
    name = PROJECTS[project]
    command = ["git", "ls-files", "-co", "--exclude-standard", name]
    tracked = subprocess.run(
        command, check=True, cwd=ROOT / project, capture_output=True, text=True
    ).stdout.split()
    names = wheel_names(installed, project)
    assert sorted(path for path in names if ".dist-info/" not in path) == sorted(tracked)
    assert f"{name}/py.typed" in names


@pytest.mark.parametrize("project", PROJECTS)
def test_what_is_imported_is_declared(project: str) -> None:
    described = tomllib.loads((ROOT / project / "pyproject.toml").read_text())["project"]
    extras = described.get("optional-dependencies", {}).values()
    declared = [*described["dependencies"], *(line for extra in extras for line in extra)]
    names = {re.split(r"[<>=!~ ]", line)[0].lower() for line in declared}
    assert all(re.search(r"[<>=]=", line) for line in declared)
    imported = set()
    for source in (ROOT / project / PROJECTS[project]).glob("*.py"):
        imported |= set(re.findall(r"^\s*(?:import|from) ([a-z_][\w]*)", source.read_text(), re.MULTILINE))
    imported -= {*sys.stdlib_module_names, PROJECTS[project]}
    assert {name.replace("_", "-") for name in imported} <= names


def test_the_package_is_not_taken_from_the_tree(installed: Path) -> None:
    code = "import kvreplay, importlib.metadata as m; print(kvreplay.__file__, m.version('kvreplay'))"
    place, version = output(installed / "venv/bin/python", "-c", code, cwd=installed).split()
    assert Path(place).is_relative_to(installed / "venv")
    assert version == tomllib.loads((ROOT / "python/pyproject.toml").read_text())["project"]["version"]


def test_the_package_reads_results(installed: Path, demo_results: Path) -> None:
    code = (
        f"import kvreplay; d = kvreplay.open({str(demo_results)!r}); print(*d.recall.dims, d.sizes['point'])"
    )
    shown = output(installed / "venv/bin/python", "-W", "error", "-c", code, cwd=installed)
    assert shown.split() == ["point", "step", "layer", "kv_head", "4"]


def test_the_capture_tool_is_a_command_of_its_own(installed: Path) -> None:
    """What it says of itself needs no torch."""
    shown = output(installed / "venv/bin/kvreplay-capture", "--help", cwd=installed)
    assert shown.startswith("usage: kvreplay-capture ")
    code = "import kvreplay_capture; print(kvreplay_capture.__file__)"
    place = output(installed / "venv/bin/python", "-c", code, cwd=installed)
    assert Path(place.strip()).is_relative_to(installed / "venv")
