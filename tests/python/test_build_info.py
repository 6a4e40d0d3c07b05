"""What a build says of the tree that it is made from, in scratch trees with kvreplay's folders."""

import hashlib
import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

SOURCE = b"int answer() { return 42; }\n"
# The environment of a hook or of a worktree's git would speak of another repository.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def git(tree: Path, *words: str) -> str:
    who = ("-c", "user.name=none", "-c", "user.email=none@example.org", "-c", "commit.gpgsign=false")
    command = ("git", *who, *words)
    return subprocess.run(
        command, cwd=tree, env=ENVIRONMENT, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with one file in each folder that is compiled, a page, and all of it committed."""
    root = tmp_path / "tree"
    for name in ("sim/a.cpp", "policies/scorer/a.cpp", "models/a.hpp", "traces/a.cpp", "cmake/a.cmake"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(SOURCE)
    (root / "README.md").write_text("page\n")
    (root / ".gitignore").write_text("ignored*\n")
    git(tmp_path, "init", "--quiet", "tree")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "first")
    return root


def said(tree: Path) -> tuple[str, dict[str, str]]:
    """The commit, and the sha256 of each file that it has not."""
    header = tree.parent / "build.hpp"
    values = (
        f"-DSOURCE={tree}",
        f"-DOUTPUT={header}",
        "-DVERSION=1.2.3",
        "-DCOMPILER=GNU 12",
        "-DTYPE=Release",
    )
    subprocess.run(("cmake", *values, "-P", ROOT / "cmake" / "build_info.cmake"), env=ENVIRONMENT, check=True)
    text = header.read_text()
    assert '"1.2.3"' in text and '"GNU 12"' in text and '"Release"' in text
    (commit,) = re.findall(r'kCommit = "(.*)"', text)
    lines = re.findall(r'^    "(.*)\\n"', text, re.MULTILINE)
    return commit, {name.replace('\\"', '"'): sha for name, sha in (line.rsplit(" ", 1) for line in lines)}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_tree_as_committed_is_its_commit(tree: Path) -> None:
    assert said(tree) == (git(tree, "rev-parse", "HEAD"), {})


def test_a_page_that_differs_makes_it_dirty_and_no_source_is_named(tree: Path) -> None:
    (tree / "README.md").write_text("other\n")
    assert said(tree) == (f"{git(tree, 'rev-parse', 'HEAD')}-dirty", {})


@pytest.mark.parametrize("name", ["sim/a.cpp", "policies/scorer/a.cpp", "models/a.hpp", "cmake/a.cmake"])
def test_a_source_that_differs_is_named(tree: Path, name: str) -> None:
    (tree / name).write_bytes(b"other\n")
    assert said(tree) == (f"{git(tree, 'rev-parse', 'HEAD')}-dirty", {name: sha256(b"other\n")})


@pytest.mark.parametrize(
    "name",
    [
        "policies/scorer/mine.cpp",
        "policies/ignored/mine.cpp",
        "sim/engine/new.hpp",
        "traces/new.cpp",
        "cmake/new.cmake",
        'models/wei"rd näme;.cpp',
    ],
)
def test_what_is_compiled_and_not_tracked_makes_it_dirty(tree: Path, name: str) -> None:
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_bytes(SOURCE)
    assert said(tree) == (f"{git(tree, 'rev-parse', 'HEAD')}-dirty", {name: sha256(SOURCE)})


def test_a_source_in_the_index_is_not_in_the_commit(tree: Path) -> None:
    (tree / "policies" / "staged.cpp").write_bytes(SOURCE)
    git(tree, "add", "policies/staged.cpp")
    assert said(tree) == (
        f"{git(tree, 'rev-parse', 'HEAD')}-dirty",
        {"policies/staged.cpp": sha256(SOURCE)},
    )


def test_a_source_that_is_gone_is_named(tree: Path) -> None:
    (tree / "sim" / "a.cpp").unlink()
    assert said(tree) == (f"{git(tree, 'rev-parse', 'HEAD')}-dirty", {"sim/a.cpp": "removed"})


def test_what_is_not_compiled_changes_nothing(tree: Path) -> None:
    (tree / "policies" / "notes.txt").write_text("mine\n")
    (tree / "examples").mkdir()
    (tree / "examples" / "mine.cpp").write_bytes(SOURCE)
    assert said(tree) == (git(tree, "rev-parse", "HEAD"), {})


def test_a_tree_without_a_repository_of_its_own_is_of_no_known_commit(tree: Path) -> None:
    copy = tree / "vendored"
    (copy / "sim").mkdir(parents=True)
    (copy / "sim" / "a.cpp").write_bytes(SOURCE)
    assert said(copy) == ("unknown", {})


def test_a_worktree_is_a_tree_of_its_own(tree: Path) -> None:
    git(tree, "worktree", "add", "--quiet", "../other")
    other = tree.parent / "other"
    assert said(other) == (git(tree, "rev-parse", "HEAD"), {})
    (other / "sim" / "b.cpp").write_bytes(SOURCE)
    assert said(other)[0].endswith("-dirty")
