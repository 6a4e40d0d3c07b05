"""One version in all files that have it, and nothing named in pages that is not there."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

PAGES = ("CHANGELOG.md", "CONTRIBUTING.md")


def version() -> str:
    text = (ROOT / "CMakeLists.txt").read_text()
    (found,) = re.findall(r"^project\(kvreplay VERSION (\d+\.\d+\.\d+) ", text, re.MULTILINE)
    return found


def page(name: str) -> str:
    return (ROOT / name).read_text()


def test_the_program_is_of_the_version(kvreplay) -> None:
    assert kvreplay("--version").stdout.split()[1] == version()


def test_the_citation_is_of_the_version() -> None:
    citation = yaml.safe_load(page("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} < set(citation)  # what the format asks for
    assert citation["title"] == "kvreplay"
    assert str(citation["version"]) == version()
    assert citation["license"] == "MIT" and page("LICENSE").startswith("MIT License")
    assert citation["authors"] == [{"name": "kvreplay contributors"}]


def test_the_package_is_of_the_version() -> None:
    project = tomllib.loads(page("python/pyproject.toml"))["project"]
    assert (project["name"], project["version"]) == ("kvreplay", version())


def test_the_files_that_have_the_version_are_named() -> None:
    (named,) = re.findall(r"^The version stands in (.*?)\.(?: |$)", page("CONTRIBUTING.md"), re.MULTILINE)
    assert re.findall(r"`(.*?)`", named) == ["CMakeLists.txt", "CITATION.cff", "python/pyproject.toml"]


def test_the_changelog_has_the_version_and_what_is_to_come() -> None:
    first, *others = re.findall(r"^## (.*)$", page("CHANGELOG.md"), re.MULTILINE)
    assert first == "[Unreleased]"
    assert re.match(r"\[?(\d+\.\d+\.\d+)", others[0])[1] == version()
    kinds = set(re.findall(r"^### (.*)$", page("CHANGELOG.md"), re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@pytest.mark.parametrize("name", PAGES)
def test_paths_that_pages_name_exist(name: str) -> None:
    text = page(name)
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    paths = re.findall(r"(?<![\w/.])(?:configs|scripts|tests|policies|sim|models|docs)/[\w./-]*\w", text)
    assert links and paths
    assert [path for path in (*links, *paths) if not (ROOT / Path(path)).exists()] == []


def test_options_of_scripts_are_theirs() -> None:
    named = re.findall(r"(scripts/[\w-]+)[^`]*? (--[\w-]+)", page("CONTRIBUTING.md"))
    assert ("scripts/test", "--sanitizers") in named
    assert [option for script, option in named if option not in page(script)] == []


@pytest.mark.parametrize("name", PAGES)
def test_commands_that_pages_name_exist(name: str, kvreplay) -> None:
    named = set(re.findall(r"\bkvreplay ((?:result|device) [a-z]+|compare|run|list|calibrate)\b", page(name)))
    assert named
    for words in named:
        assert kvreplay(*words.split(), "--help").stdout.startswith("usage: kvreplay ")


def test_options_of_the_changelog_exist(kvreplay) -> None:
    run = kvreplay("run", "--help").stdout
    named = re.findall(r"`(?:kvreplay run )?(--?[\w-]+)", page("CHANGELOG.md"))
    assert {"-j", "--shard", "--store"} <= set(named)
    assert [option for option in named if option not in run] == []
