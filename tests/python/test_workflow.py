"""What runs on servers: .github/workflows, the commands in them, and the example of docs/compare.md."""

import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import h5py
import pytest
import yaml
from conftest import ROOT

PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
GOLDEN = Path("tests") / "golden" / "systems.h5"
Done = subprocess.CompletedProcess[str]


def read(text: str) -> dict[str, Any]:
    """A workflow; YAML 1.1 takes its key `on` for true."""
    workflow = yaml.safe_load(text)
    return {"on" if key is True else key: value for key, value in workflow.items()}


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def example() -> dict[str, Any]:
    page = (ROOT / "docs" / "compare.md").read_text()
    (text,) = re.findall(r"```yaml\n(name:.*?)```", page, re.DOTALL)
    return read(text)


# --- The project's own ---


def test_every_commit_is_checked_as_by_hand() -> None:
    workflow = read((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert set(workflow["on"]) == {"push", "pull_request"}
    (job,) = workflow["jobs"].values()
    assert (job["runs-on"], job["container"]) == ("ubuntu-24.04", "debian:12")
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    assert job["env"]["CMAKE_CXX_COMPILER_LAUNCHER"] == "ccache"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_may_read_alone_and_take_pinned_actions(path: Path) -> None:
    text = path.read_text()
    workflow = read(text)
    assert workflow["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in workflow["jobs"].values())
    used = re.findall(r"uses: (.*)", text)
    assert len(used) == len([step for step in steps(workflow) if "uses" in step]) > 0
    for action in used:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
    # What anyone may name a branch or a request stands in no command.
    assert not any("${{" in step.get("run", "") for step in steps(workflow))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_commands_that_workflows_name_exist(path: Path) -> None:
    runs = [step["run"] for step in steps(read(path.read_text())) if "run" in step]
    for run in runs:
        assert subprocess.run(["bash", "-n", "-c", run], check=False).returncode == 0, run
    named = [word for run in runs for word in re.findall(r"(?<![\w/])(?:\.ci|scripts)/[\w-]+", run)]
    assert named
    for name in named:
        assert os.access(ROOT / name, os.X_OK), name


# --- What a pull request moves ---


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two commits: one without goldens, and HEAD with ones that the program does not come to."""
    folder = tmp_path_factory.mktemp("repository")

    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *who, *words], check=True, cwd=folder, capture_output=True)

    git("init")
    for name in ("configs", "traces"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / ".ci", folder / ".ci")
    git("add", ".ci")
    git("commit", "-m", "none")
    shutil.copytree(ROOT / "tests" / "golden", folder / "tests" / "golden")
    with h5py.File(folder / GOLDEN, "r+") as file:
        file["mass_mean"][list(file["point"].asstr()).index("dynakv")] *= 1.5
    git("add", "tests")
    git("commit", "-m", "goldens")
    return folder


def compare_goldens(folder: Path, *words: str, **variables: str) -> Done:
    summary = {"GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "KVREPLAY": str(PROGRAM)}
    (folder / "summary.md").unlink(missing_ok=True)
    return subprocess.run(
        [folder / ".ci" / "compare-goldens", *words],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **summary, **variables},
    )


def test_a_pull_request_is_told_what_it_moves(repository: Path) -> None:
    done = compare_goldens(repository, "HEAD")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^regression +dynakv +mass_mean ", done.stdout, re.MULTILINE)
    out = repository / "build" / "goldens"
    (failure,) = ET.parse(out / "compare.xml").getroot().findall(".//testcase/failure")
    assert failure.get("message", "").startswith("regression: ")
    summary = (repository / "summary.md").read_text()
    assert "| regression | `dynakv` | `mass_mean` |" in summary
    assert summary == (out / "compare.md").read_text()


def test_what_cannot_be_compared_is_said(repository: Path) -> None:
    for words, variables, why in (
        (["HEAD^1"], {}, "HEAD^1 has none"),
        (["HEAD"], {"KVREPLAY": "/nowhere/kvreplay"}, "/nowhere/kvreplay is not built"),
    ):
        done = compare_goldens(repository, *words, **variables)
        text = f"goldens are not compared: {why}\n"
        assert (done.returncode, done.stdout) == (0, text)
        assert (repository / "summary.md").read_text() == text
    assert compare_goldens(repository).returncode == 2


# --- The example for other repositories ---


def test_the_example_asks_what_the_program_knows(tmp_path: Path) -> None:
    workflow = example()
    assert workflow["permissions"] == {"contents": "read"}
    runs = [step["run"] for step in steps(workflow) if "run" in step]
    (tmp_path / "gate").mkdir()
    shutil.copy(ROOT / GOLDEN, tmp_path / "gate" / "base.h5")
    (tmp_path / "gate" / "rules.yaml").write_text("- {metric: recall, max_drop: 0.005}\n")
    included = ", ".join(
        f"{ROOT}/configs/{part}.yaml"
        for part in ("phones/oneplus_12", "devices/ufs40", "models/trace", "systems/quest")
    )
    (tmp_path / "gate" / "gate.yaml").write_text(
        f"include: [{included}]\ntrace: {{path: {ROOT}/traces/samples/smollm2.h5}}\nrun: {{steps: 4}}\n"
    )
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "kvreplay").symlink_to(PROGRAM.resolve())
    commands = [run for run in runs if run.startswith("build/kvreplay")]
    assert [command.split()[1] for command in commands] == ["run", "compare"]

    def shell(command: str) -> Done:
        return subprocess.run(
            ["sh", "-ec", command], check=False, cwd=tmp_path, text=True, capture_output=True
        )

    done = shell(commands[0])
    assert done.returncode == 0, done.stderr
    shutil.copy(tmp_path / "new.h5", tmp_path / "gate" / "base.h5")
    done = shell(commands[1])
    assert done.returncode == 0, done.stderr
    uploaded = next(
        step["with"]["path"] for step in steps(workflow) if "upload-artifact" in step.get("uses", "")
    )
    for name in (*uploaded.split(), "compare.md"):
        assert (tmp_path / name).exists(), name


def test_what_the_example_builds_is_what_is_named() -> None:
    (build,) = [step["run"] for step in steps(example()) if "scripts/build" in step.get("run", "")]
    assert "git clone" in build and os.access(ROOT / "scripts" / "build", os.X_OK)
    (prefix,) = re.findall(r"cmake --install build/release --prefix (\S+)", build)
    assert any(f"CMAKE_PREFIX_PATH={prefix} " in step.get("run", "") for step in steps(example()))
    checkout, *_ = [step["uses"] for step in steps(example()) if "uses" in step]
    assert re.fullmatch(r"actions/checkout@v\d+", checkout)
