"""The README's table of systems: what the files of configs/systems do, those that do the same in one row.

    python docs/site/systems_table.py [--write]

Prints the table, or writes it between its markers.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "README.md"
BEGIN, END = "<!-- python docs/site/systems_table.py -->\n", "<!-- end -->"
MOMENTS = {
    "step": "in every step",
    "prefill_end": "when the prompt has been read",
    "layer_end": "while the prompt is read",
}
Map = dict[str, Any]


def merged(below: Map, above: Map) -> Map:
    """As `include` does: maps key by key, all else whole."""
    result = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def system(path: Path) -> Map:
    """What a file says under `system`, with what it includes."""
    own = yaml.safe_load(path.read_text())
    included = own.get("include", [])
    below: Map = {}
    for name in [included] if isinstance(included, str) else included:
        below = merged(below, system(path.parent / name))
    return merged(below, own.get("system", {}))


def moment(stage: Map) -> str:
    when = stage.get("when", "step")
    words = [word.strip() for word in when.split(",")] if isinstance(when, str) else when
    many = stage.get("every", 1)
    said = [f"every {many} steps" if word == "step" and many > 1 else MOMENTS[word] for word in sorted(words)]
    return " and ".join(said)


def acts(one: Map) -> str:
    """Stages in order; one that does what the stage before it does is not told twice."""
    told: list[str] = []
    for stage in one["stages"]:
        effect = stage.get("effect", "select") + (" and estimate" if "estimate" in stage else "")
        text = f"{effect} {moment(stage)}"
        if not told or told[-1] != text:
            told.append(text)
    return "; ".join(told) or "none: everything is attended to"


def lies(one: Map) -> str:
    tiers = one.get("tiers", [])
    if tiers:
        return "in " + ", ".join(
            {"hbm": "HBM", "dram": "DRAM"}.get(tier["name"], tier["name"]) for tier in tiers
        )
    replacement = one.get("replacement", "none")
    kept = replacement if isinstance(replacement, str) else replacement["type"]
    return "on flash" if kept == "none" else "on flash, a cache in DRAM"


def table() -> str:
    rows: dict[tuple[str, str], list[str]] = {}
    for path in sorted((ROOT / "configs" / "systems").glob("*.yaml")):
        one = system(path)
        rows.setdefault((acts(one), lies(one)), []).append(one["name"])
    order = sorted(rows.items())
    lines = ["| systems | stages | entries lie |", "|---|---|---|"]
    lines += [
        f"| {'; '.join(sorted(names, key=str.lower))} | {act} | {place} |" for (act, place), names in order
    ]
    return "\n".join(lines) + "\n"


def filled(text: str) -> str:
    """`text` with the table between its markers."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END, 1)[1]


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(filled(PAGE.read_text()))
    elif sys.argv[1:]:
        sys.exit(f"unknown words {sys.argv[1:]}; allowed is --write")
    else:
        print(table(), end="")
