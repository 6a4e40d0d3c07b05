"""Takes the project's pages, where they lie, into the site of mkdocs.yml.

A page keeps its path from the root, so that links between pages are those that GitHub follows. What else they
link to comes along: pictures as they are, a folder as its README.md, notebooks executed, any other file as a
page of its text.
"""

import logging
import os
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))
import pages as project
import rendering

LOG = logging.getLogger("mkdocs.hooks.site")
PICTURES = {".png", ".svg"}
LANGUAGES = {".py": "python", ".cpp": "cpp", ".hpp": "cpp", ".yaml": "yaml", ".yml": "yaml", "": "sh"}
LONGEST = 200_000  # bytes of a file that is shown as a page
EXECUTES = os.environ.get("KVREPLAY_DOCS_NOTEBOOKS", "yes") == "yes"


def page_of(path: str) -> str:
    """The page that stands for a file or folder of the project."""
    if (project.ROOT / path).is_dir():
        return f"{path}/README.md"
    return path if Path(path).suffix in {".md", *PICTURES} else f"{path}.md"


def shown(path: str) -> str:
    """A file as a page of its text."""
    file = project.ROOT / path
    if file.stat().st_size > LONGEST or file.suffix == ".h5":
        return f"# {path}\n\nA file of {file.stat().st_size} bytes.\n"
    language = LANGUAGES.get(file.suffix, "text")
    return f"# {path}\n\n````{language}\n{file.read_text()}````\n"


def notebook_files(config: MkDocsConfig, path: str) -> list[File]:
    if not EXECUTES:
        return [File.generated(config, f"{path}.md", content=shown(path))]
    LOG.info("rendering %s", path)
    rendered = rendering.render(project.ROOT / path, project.ROOT)
    folder = Path(path).parent
    copy = File.generated(config, path, abs_src_path=str(project.ROOT / path))
    page = File.generated(config, f"{path}.md", content=rendered.markdown)
    pictures = [
        File.generated(config, (folder / name).as_posix(), content=data)
        for name, data in rendered.pictures.items()
    ]
    return [copy, page, *pictures]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    config.mdx_configs.setdefault("toc", {})["slugify"] = project.slug
    sections = [
        {section.title: [{title: page_of(path)} for title, path in section.entries]}
        for section in project.index()
    ]
    config.nav = [*sections, {"Index": project.INDEX}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    of_theme = [file for file in files if file.src_dir != config.docs_dir]
    own = {path: project.ROOT / path for path in project.pages()}
    taken = [File.generated(config, path, abs_src_path=str(place)) for path, place in own.items()]
    for path in project.notebooks():
        taken += notebook_files(config, path)
    linked = {
        link.path
        for path, place in own.items()
        for link in project.links(path, place.read_text())
        if not link.is_external and (project.ROOT / link.path).is_file()
    }
    for path in sorted(linked - set(own) - set(project.notebooks())):
        if Path(path).suffix in PICTURES:
            taken.append(File.generated(config, path, abs_src_path=str(project.ROOT / path)))
        else:
            source = File.generated(config, page_of(path), content=shown(path))
            source.inclusion = InclusionLevel.NOT_IN_NAV
            taken.append(source)
    return Files([*of_theme, *taken])


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Links to files and folders go to the pages that stand for them."""
    source = page.file.src_uri

    def change(target: str) -> str:
        path, mark, anchor = target.partition("#")
        link = project.Link(source, 0, target)
        if link.is_external or not path or source.endswith(".ipynb.md"):
            return target
        return os.path.relpath(page_of(link.path), Path(source).parent) + mark + anchor

    return project.with_links(markdown, change)
