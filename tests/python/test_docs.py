"""The pages: links and anchors, the one index, the site, and what pages show of files and of the program."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "docs" / "site"))

import pages
import rendering
import systems_table

MARKED = re.compile(r"<!-- (?P<name>[^>]+?) -->\n```\w*\n(?P<text>.*?)```\n<!-- end -->", re.DOTALL)


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def block(page: str, name: str) -> str:
    """The fenced text between a page's `<!-- name -->` and `<!-- end -->`."""
    (text,) = [found["text"] for found in MARKED.finditer(text_of(page)) if found["name"] == name]
    return text


# --- Links and the index ---


def test_no_link_of_any_page_leads_nowhere() -> None:
    assert pages.problems() == []


def test_the_index_names_every_page_and_notebook_once() -> None:
    listed = [path for section in pages.index() for _, path in section.entries]
    assert sorted(listed) == sorted({*pages.pages(), *pages.notebooks()} - {pages.INDEX})


def test_links_are_found_outside_of_code_alone() -> None:
    text = "[a](b.md#c) `[no](x.md)` ![p](q.png)\n```\n[no](y.md)\n~~~\n```\n[d](#e) [f](https://g.h/i)\n"
    found = pages.links("docs/p.md", text)
    assert [(link.line, link.target) for link in found] == [
        (1, "b.md#c"), (1, "q.png"), (6, "#e"), (6, "https://g.h/i"),
    ]  # fmt: skip
    assert [link.path for link in found[:3]] == ["docs/b.md", "docs/q.png", "docs/p.md"]
    assert [link.is_external for link in found] == [False, False, False, True]


@pytest.mark.parametrize(
    ("page", "target", "path"),
    [
        ("docs/a.md", "../README.md", "README.md"),
        ("docs/a.md", "b/../c.md", "docs/c.md"),
        ("README.md", "docs", "docs"),
        ("docs/a.md", "..", "."),
        ("docs/a.md", "../../x", "../x"),
    ],
)
def test_targets_are_relative_to_their_page(page: str, target: str, path: str) -> None:
    assert pages.resolved(page, target) == path


def test_anchors_are_those_of_github() -> None:
    text = "# One, two: `three`\n## A_b - c\n## A_b - c\n```\n# no\n```\n### [link](x.md) *it* ##\n#no\n"
    assert pages.anchors(text) == {"one-two-three", "a_b---c", "a_b---c-1", "link-it"}


def test_the_checker_finds_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text(
        "# A\n[x](b.md) [y](#b)\n[z](../../out.md) [f](f.txt#l) [ok](#a)\n"
    )
    (tmp_path / "docs" / "f.txt").write_text("f")
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    monkeypatch.setattr(pages, "pages", lambda: ["docs/a.md"])
    assert pages.problems() == [
        "docs/a.md:2: b.md: there is no docs/b.md",
        "docs/a.md:2: #b: docs/a.md has no such heading",
        "docs/a.md:3: ../../out.md: leaves the project",
        "docs/a.md:3: f.txt#l: docs/f.txt has no anchors",
    ]


# --- The site ---


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built strictly, notebooks as their code: what they show is tested apart."""
    folder = tmp_path_factory.mktemp("site")
    environment = os.environ | {"KVREPLAY_DOCS_NOTEBOOKS": "no", "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    done = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_has_every_page(site: Path) -> None:
    for page in (*pages.pages(), *pages.notebooks()):
        path = Path(page).with_suffix(".ipynb.html" if page.endswith(".ipynb") else ".html")
        assert (site / (path.with_name("index.html") if path.stem == "README" else path)).is_file(), page


def test_every_link_of_the_site_is_there(site: Path) -> None:
    for page in site.rglob("*.html"):
        html = page.read_text()
        for target in re.findall(r'(?:href|src)="([^"]*)"', html):
            path = target.partition("#")[0].partition("?")[0]
            if path and not re.match(r"[a-z]+:|/", target):
                assert (page.parent / path).exists(), f"{page.relative_to(site)}: {target}"


def test_the_site_fetches_nothing(site: Path) -> None:
    for page in site.rglob("*.html"):
        html = page.read_text()
        assert re.findall(r'<(?:script|img|iframe)[^>]*src="(?:https?:)?//', html) == [], page
        assert re.findall(r'<link[^>]*href="(?:https?:)?//[^"]*"[^>]*>', html) == [], page


# --- Notebooks ---


def notebook(*cells: str) -> nbformat.NotebookNode:
    made = nbformat.v4.new_notebook()
    made.cells = [nbformat.v4.new_markdown_cell("# Title"), *map(nbformat.v4.new_code_cell, cells)]
    return made


def test_a_notebook_is_executed_with_its_pictures(tmp_path: Path) -> None:
    path = tmp_path / "one.ipynb"
    nbformat.write(notebook("print(6 * 7)", "from matplotlib import pyplot as plt\nplt.plot([1, 2]);"), path)
    before = path.read_bytes()
    rendered = rendering.render(path, tmp_path)
    assert "    42\n" in rendered.markdown
    ((name, picture),) = rendered.pictures.items()
    assert picture.startswith(b"\x89PNG") and f"]({name})" in rendered.markdown
    assert path.read_bytes() == before


def test_a_notebook_without_its_results_is_shown_as_code_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "two.ipynb"
    code = 'from pathlib import Path\nprint(Path("../results/two.h5").read_text())'
    nbformat.write(notebook(code), path)
    rendered = rendering.render(path, tmp_path)
    assert "*Not executed for this page: results/two.h5 were not at hand." in rendered.markdown
    assert code in rendered.markdown and rendered.pictures == {}


# --- What pages show of files and of the program ---


def without_comments(text: str, mark: str) -> str:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith(mark)]
    return "\n".join(lines).strip()


@pytest.mark.parametrize("page", ["README.md", "docs/configurations.md"])
def test_the_smallest_configuration_is_the_shipped_one(page: str) -> None:
    name = "configs/experiments/share_sweep.yaml"
    shipped = text_of(name)
    assert block(page, name).strip() == shipped[shipped.index("include:") :].strip()


def test_the_shown_policy_is_the_shipped_one() -> None:
    name = "policies/budget/fixed.cpp"
    shipped = without_comments(text_of(name), "//")
    assert block("docs/extending.md", name).strip() in shipped


def test_the_shown_curve_is_what_is_printed(kvreplay) -> None:
    name = "kvreplay device curve ufs40 --size 4KiB,24KiB,512KiB --depth 1,32"
    assert block("docs/devices.md", name) == kvreplay(*name.split()[1:], "--quiet").stdout


def test_the_shown_run_is_what_is_printed(kvreplay) -> None:
    name = "kvreplay run configs/experiments/demo.yaml"
    printed = iter(kvreplay(*name.split()[1:], "--quiet").stdout.splitlines())
    shown = block("README.md", name).splitlines()
    assert len(shown) > 10
    assert [line for line in shown if line not in printed] == []  # in their order


def test_the_table_of_systems_is_made_of_their_files() -> None:
    held = text_of("README.md")
    assert held == systems_table.filled(held), "run python docs/site/systems_table.py --write"


def test_every_shipped_system_is_in_the_table(kvreplay) -> None:
    rows = kvreplay("list", "systems", "--markdown").stdout.splitlines()
    names = [row.split(" | ")[1] for row in rows if row.startswith("| `")]
    assert len(names) == len(list((ROOT / "configs" / "systems").glob("*.yaml")))
    told = [
        name for row in systems_table.table().splitlines()[2:] for name in row[2:].split(" | ")[0].split("; ")
    ]
    assert sorted(told) == sorted(names)


SHOWN = re.compile(r"^(?:build/release/)?kvreplay ((?:result|trace|device) \w+|\w+)([^#\n]*)", re.MULTILINE)


def test_commands_and_options_of_pages_exist(kvreplay) -> None:
    helps: dict[str, str] = {}
    told = 0
    for page in pages.pages():
        for fence in re.findall(r"^```sh\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE):
            for words, options in SHOWN.findall(fence.replace("\\\n", " ")):
                helps.setdefault(words, kvreplay(*words.split(), "--help").stdout)
                for option in re.findall(r"(?<=\s)(--[\w-]+|-[a-z])(?=\s|$)", options):
                    told += 1
                    assert option in helps[words] or option == "--quiet", f"{page}: {words} {option}"
    assert len(helps) > 5 and told > 10


def test_every_command_is_in_the_readme(kvreplay) -> None:
    commands = kvreplay("--help").stdout.split("\n\n")[1]
    table = text_of("README.md").split("## Commands")[1].split("\n## ")[0]
    told = set(re.findall(r"^\| `kvreplay (\w+)", table, re.MULTILINE))
    assert told == {line.split()[0] for line in commands.splitlines()}


WORDS = "entry head group candidate sink unit cluster centroid stage tier extent trace recall mass"


@pytest.mark.parametrize("word", [*WORDS.split(), "queue depth", "hit rate", "output error"])
def test_words_of_results_are_in_the_glossary(word: str) -> None:
    told = re.findall(r"^\| (.+?) \| .+ \|$", text_of("docs/glossary.md"), re.MULTILINE)
    assert word in [one for words in told for one in words.split(", ")]


# --- Every key ---


def keys_of(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Dotted paths of all that a file may have, N for a place in a list; components end a path."""
    for one in (schema, *schema.get("oneOf", [])):
        for name, inner in one.get("properties", {}).items():
            key = f"{path}.{name}".removeprefix(".")
            yield key
            if key.split(".")[0] not in ("sweep", "zip", "points"):
                yield from keys_of(inner, key)
        if isinstance(one.get("items"), dict):
            yield from keys_of(one["items"], f"{path}.N")


def test_the_page_of_keys_is_what_is_printed(kvreplay) -> None:
    printed = kvreplay("schema", "--markdown").stdout
    assert text_of("docs/configuration.md") == printed, (
        "run build/release/kvreplay schema --markdown > docs/configuration.md"
    )


def test_every_key_that_may_be_given_is_on_the_page(kvreplay) -> None:
    schema = json.loads(kvreplay("schema").stdout)
    told = re.findall(r"^\| `([\w.]+)` \|", text_of("docs/configuration.md"), re.MULTILINE)
    keys = list(keys_of(schema))
    assert {"run.working_set", "run.first_step", "record.host_timing", "system.stages.N.last_unit"} <= set(
        keys
    )
    assert sorted(told) == sorted(keys)


def test_every_key_has_a_meaning_and_a_default(kvreplay) -> None:
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        for row in text_of("docs/configuration.md").splitlines()
        if re.match(r"\| `[\w.]+` \|", row)
    ]
    assert len(rows) > 80
    for key, kind, _, otherwise, _, meaning, _ in rows:
        assert kind and meaning, key
        assert otherwise or kind == "map", key


def test_every_parameter_of_a_component_is_on_a_page(kvreplay) -> None:
    page = text_of("policies/README.md")
    for name, definition in json.loads(kvreplay("schema").stdout)["$defs"].items():
        if "." in name:
            kind, _, implementation = name.partition(".")
            section = re.split(r"\n## ", page.split(f"\n## {kind}: ")[1])[0]
            part = re.split(r"\n### ", section.split(f"\n### `{implementation}`\n")[1])[0]
            for key in set(definition["properties"]) - {"type"}:
                assert f"\n| {key} |" in part, f"{name}.{key}"
