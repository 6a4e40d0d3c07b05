"""Notebooks as pages: executed, and turned into Markdown and pictures by nbconvert."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import MarkdownExporter

_RESULTS = re.compile(r'"\.\./(results/[\w./-]+)"')


@dataclass(frozen=True)
class Rendered:
    """`pictures` are named as `markdown` links to them."""

    markdown: str
    pictures: dict[str, bytes]


def results_of(notebook: nbformat.NotebookNode) -> list[str]:
    """What a notebook reads where nothing else is named: files, or folders of them."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return _RESULTS.findall(code)


def missing_results(notebook: nbformat.NotebookNode, root: Path) -> list[str]:
    """Of these what nobody has made here."""
    return [name for name in results_of(notebook) if not (root / name).exists()]


def executed(path: Path) -> nbformat.NotebookNode | None:
    """The notebook with its outputs; None where a folder of results lacks what it reads of it.

    Raises CellExecutionError where a cell fails for another reason.
    """
    notebook = nbformat.read(path, as_version=4)
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}})
    try:
        client.execute()
    except CellExecutionError as failed:
        if failed.ename == "FileNotFoundError" and results_of(notebook):
            return None
        raise
    return notebook


def render(path: Path, root: Path) -> Rendered:
    """Executes the notebook where its results are at hand; else the page has its code, and says so.

    Raises CellExecutionError where a cell fails. What is executed writes nothing into the notebook's file.
    """
    notebook = nbformat.read(path, as_version=4)
    missing = missing_results(notebook, root)
    if not missing:
        with_outputs = executed(path)
        missing = results_of(notebook) if with_outputs is None else []
        notebook = with_outputs or notebook
    text, resources = MarkdownExporter().from_notebook_node(
        notebook, resources={"unique_key": path.stem, "output_files_dir": f"{path.stem}_files"}
    )
    if missing:
        names = " and ".join(missing)
        note = f"Not executed for this page: {names} were not at hand. The text says what makes them."
        text = re.sub(r"(?m)^(# .*)$", rf"\1\n\n*{note}*", text, count=1)
    source = f"*[{path.name}]({path.name}) as a file, to run it.*\n\n"
    return Rendered(source + text, resources["outputs"])
