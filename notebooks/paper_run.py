"""What scripts/paper-kvswap and scripts/paper-dynamickv share: an experiment is run unless its results are
there, and a table holds a row for each headline of the paper."""

import hashlib
import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))


def call(*arguments: str | Path | int) -> None:
    """Runs the program; what it prints is dropped. Ends as it does where it fails, with what it says."""
    done = subprocess.run([PROGRAM, "--quiet", *map(str, arguments)], check=False, stdout=subprocess.DEVNULL)
    if done.returncode != 0:
        raise SystemExit(done.returncode)


def stamp_of(config: Path, settings: Sequence[str], inputs: Iterable[Path] = ()) -> str:
    """All that the results depend on: of the experiment's own folder itself and what all include."""
    digest = hashlib.sha256(PROGRAM.read_bytes())
    for file in sorted(ROOT.glob("configs/**/*.yaml")):
        if file.parent != config.parent or file.stem in (config.stem, "base"):
            digest.update(file.read_bytes())
    for file in inputs:
        digest.update(file.read_bytes())
    digest.update(repr(settings).encode())
    return digest.hexdigest()


def run(
    config: Path, results: Path, settings: Sequence[str], inputs: Iterable[Path] = (), together: int = 4
) -> None:
    """Nothing where the results are there; `inputs` are files beside the configurations. So many points are
    replayed side by side."""
    stamp, wanted = results.with_suffix(".stamp"), stamp_of(config, settings, inputs)
    if results.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    sets = [word for setting in settings for word in ("--set", setting)]
    call("run", config, "-o", results, "--together", together, *sets)
    stamp.write_text(wanted)


class Row(NamedTuple):
    """A headline: what the paper has, what came out here, and whether it holds or that is undecided."""

    name: str
    what: str
    paper: str
    here: str
    holds: bool | str

    @property
    def verdict(self) -> str:
        return self.holds if isinstance(self.holds, str) else "yes" if self.holds else "no"


def markdown(heads: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    return "\n".join(" ".join(["|", *(f"{cell} |".strip() for cell in cells)]) for cells in
                     [heads, ["---"] * len(heads), *lines])  # fmt: skip


def table_of(rows: Iterable[Row]) -> str:
    lines = [[row.name, row.what, row.paper, row.here, row.verdict] for row in rows]
    return markdown(["", "what must hold", "the paper", "here", "holds"], lines)
