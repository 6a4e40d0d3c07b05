"""Notebooks as pages: executed, and turned into Markdown and pictures by nbconvert."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter

_RESULTS = re.compile(r'"\.\./(results/[\w./-]+)"')


@dataclass(frozen=True)
class Rendered:
    """`pictures` are named as `markdown` links to them."""

    markdown: str
    pictures: dict[str, bytes]


def missing_results(notebook: nbformat.NotebookNode, root: Path) -> list[str]:
    """Results that a notebook reads where nothing else is named, and that nobody has made here."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return [name for name in _RESULTS.findall(code) if not (root / name).exists()]


def render(path: Path, root: Path) -> Rendered:
    """Executes the notebook where its results are at hand; else the page has its code, and says so.

    Raises CellExecutionError where a cell fails. What is executed writes nothing into the notebook's file.
    """
    notebook = nbformat.read(path, as_version=4)
    missing = missing_results(notebook, root)
    if not missing:
        os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}}).execute()
    text, resources = MarkdownExporter().from_notebook_node(
        notebook, resources={"unique_key": path.stem, "output_files_dir": f"{path.stem}_files"}
    )
    if missing:
        names = " and ".join(missing)
        note = f"Not executed for this page: {names} were not at hand. The text says what makes them."
        text = re.sub(r"(?m)^(# .*)$", rf"\1\n\n*{note}*", text, count=1)
    source = f"*[{path.name}]({path.name}) as a file, to run it.*\n\n"
    return Rendered(source + text, resources["outputs"])
