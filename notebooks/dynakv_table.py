"""Writes what configs/paper/dynakv/README.md and docs/papers.md say of DynaKV's figures.

    python notebooks/dynakv_table.py [RESULTS_FOLDER...] [--write | --into FOLDER]

From folders of results, one for each trace, a digest is made: `comparison.csv` (every figure), `parts.csv`
(what each part of DynaKV is worth) and `quarters.csv` (the clusters over the decode). Without folders the
committed digest is read, configs/paper/dynakv/digest. The pages hold what is made of it, between their
markers. `--write` writes both, `--into` the digest and the page into a folder; else the page is printed.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from dynakv_paper import ALL_TRACES, COUNT, PER_CENT, Form, compare, compare_all
from dynakv_reasons import changed, why
from dynakv_results import CLUSTERED, ROOT, Results, over_quarters
from paired import Estimate, estimate

DIGEST = ROOT / "configs" / "paper" / "dynakv" / "digest"
PAGE = ROOT / "configs" / "paper" / "dynakv" / "README.md"
FRONT = ROOT / "docs" / "papers.md"
BEGIN, END = "<!-- python notebooks/dynakv_table.py -->\n", "<!-- end -->"
SAMPLE = "smollm2"
PARTS = {  # of the ablation: a summary, or what is recorded by layer and head, and whether less is better
    "latency": ("latency_mean", True),
    "energy": ("energy_per_token", True),
    "bytes read": ("bytes_per_step", True),
    "DRAM": ("dram_total_max", True),
    "recall": ("recall", False),
    "attention mass": ("mass", False),
}
QUARTERS = {"recall": PER_CENT, "mass": PER_CENT, "unit_variance": COUNT, "units": COUNT}


class Digest(NamedTuple):
    """All that the pages are made of."""

    comparison: pd.DataFrame
    parts: pd.DataFrame
    quarters: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> "Digest":
        return cls(*(pd.read_csv(folder / f"{name}.csv", keep_default_na=False, na_values=["-"])
                     for name in cls._fields))  # fmt: skip

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in zip(self._fields, self, strict=True):
            table.to_csv(folder / f"{name}.csv", index=False, na_rep="-", float_format="%.6g")


def digest_of(of_traces: Sequence[Results]) -> Digest:
    """Of the results of every trace; over all of them where they are several."""
    comparisons = [compare(results, why).assign(**run_of(results)) for results in of_traces]
    if len(of_traces) > 1:
        comparisons.append(compare_all(of_traces).assign(seeds=np.nan, steps=np.nan))
    parts = [parts_of(results) for results in of_traces if (results.folder / "ablation.h5").exists()]
    quarters = [quarters_of(results) for results in of_traces]
    return Digest(*(pd.concat(tables, ignore_index=True) for tables in (comparisons, parts, quarters)))


def run_of(results: Results) -> dict[str, int]:
    return {"seeds": len(results.seeds()), "steps": results["f10_systems"].sizes["step"]}


def row_of(value: Estimate) -> dict[str, float]:
    return value._asdict()


def parts_of(results: Results) -> pd.DataFrame:
    """By how many times DynaKV is better with a part of it changed, below 1 worse."""
    rows = [
        {"trace": results.name(), "change": part, "of": name, **row_of(estimate(gain).exp())}
        for name, (summary, less) in PARTS.items()
        for part, gain in changed(results, summary, less).items()
    ]
    return pd.DataFrame(rows)


def quarters_of(results: Results) -> pd.DataFrame:
    rows = []
    for name in QUARTERS:
        table = over_quarters(results["f10_systems"], name)
        for system in CLUSTERED:
            one = table.sel(system=system, drop=True)
            rows += [
                {"trace": results.name(), "of": name, "system": system, "quarter": quarter,
                 **row_of(estimate(one.sel(quarter=quarter, drop=True)))}
                for quarter in (1, 2, 3, 4)
            ]  # fmt: skip
    return pd.DataFrame(rows)


def estimate_in(row: pd.Series, suffix: str = "") -> Estimate:
    """What a row of the digest holds; a cell without a value is of one seed or of no such variant."""
    return Estimate(*(float(row[f"{name}{suffix}"]) for name in ("lead", "low", "high")))


def markdown(rows: Sequence[Sequence[str]], header: Sequence[str]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |\n" for line in lines)


def lead_text(value: Estimate) -> str:
    return "" if np.isnan(value.mean) else plain(value)


def plain(value: Estimate) -> str:
    """A ratio that is no logarithm any more."""
    return Form(".3g" if value.mean >= 10 else ".3f", "x").text(value)


def count(comparison: pd.DataFrame, column: str = "direction") -> dict[str, int]:
    return {way: int((comparison[column] == way).sum()) for way in ("yes", "no", "undecided")}


def counted(comparison: pd.DataFrame) -> str:
    """`N of M rows go the paper's way, ...`."""
    ways = count(comparison)
    return (
        f"{ways['yes']} of the {len(comparison)} rows go the paper's way, {ways['no']} the other way, and "
        f"{ways['undecided']} are undecided"
    )


def of_trace(table: pd.DataFrame, trace: str) -> pd.DataFrame:
    return table[table["trace"] == trace].drop(columns="trace")


def traces_of(digest: Digest) -> list[str]:
    """The sample first."""
    names = [name for name in dict.fromkeys(digest.comparison["trace"]) if name != ALL_TRACES]
    return sorted(names, key=lambda name: name != SAMPLE)


def front(digest: Digest) -> str:
    """The sentences of docs/papers.md."""
    sample = of_trace(digest.comparison, SAMPLE)
    steps = int(sample["steps"].iloc[0])
    lines = [
        f"Over {steps} steps of the shipped trace {counted(sample)} (95 % intervals; {seeds_of(sample)})."
    ]
    pooled = of_trace(digest.comparison, ALL_TRACES)
    if len(pooled):
        lines.append(f"Over {len(traces_of(digest))} traces {counted(pooled)}.")
    for way, said in (("no", "Against it"), ("undecided", "Undecided")):
        if names := list(sample["figure"][sample["direction"] == way]):
            lines.append(f"{said} on the shipped one: {'; '.join(names)}.")
    return " ".join(lines) + "\n"


def seeds_of(comparison: pd.DataFrame) -> str:
    seeds = int(comparison["seeds"].iloc[0])
    return f"{seeds} seeds, layers and heads" if seeds > 1 else "layers and heads; one seed"


def page(digest: Digest) -> str:
    """What configs/paper/dynakv/README.md holds of the results."""
    traces = traces_of(digest)
    return "\n".join([
        figures_table(digest, traces[0]),
        dram_table(of_trace(digest.comparison, traces[0])),
        *([traces_table(digest, traces)] if len(traces) > 1 else []),
        parts_table(of_trace(digest.parts, traces[0])),
        quarters_table(digest, traces),
    ])  # fmt: skip


def figures_table(digest: Digest, trace: str) -> str:
    table = of_trace(digest.comparison, trace)
    rows = [
        [
            f"{row['figure']}, {row['measured']}",
            row["paper"],
            row["ours"],
            f"{row['direction']}: {lead_text(estimate_in(row))}",
            f"{row['direction in DRAM']}: {lead_text(estimate_in(row, ' in DRAM'))}"
            if row["direction in DRAM"]
            else "",
            row["why not"],
        ]
        for _, row in table.iterrows()
    ]
    header = ["", "paper", trace, "direction: lead", "representatives in DRAM", "where not: why"]
    steps = int(table["steps"].iloc[0])
    said = f"`{trace}`, {steps} steps: {counted(table)}. Intervals are over {seeds_of(table)}.\n\n"
    return said + markdown(rows, header)


def dram_table(comparison: pd.DataFrame) -> str:
    """What the systems of a figure need, once where it is the same for several."""
    needed = comparison[comparison["DRAM"] != ""]
    rows = [["; ".join(one["figure"]), text] for text, one in needed.groupby("DRAM", sort=False)]
    return "DRAM that each system used at most (mean over the seeds):\n\n" + markdown(rows, ["", "DRAM"])


def traces_table(digest: Digest, traces: Sequence[str]) -> str:
    """The leads over all traces, and on each."""
    pooled = of_trace(digest.comparison, ALL_TRACES)
    of_each = {trace: of_trace(digest.comparison, trace).set_index("figure") for trace in traces}
    rows = [
        [row["figure"], row["direction"], lead_text(estimate_in(row)),
         row["direction in DRAM"], lead_text(estimate_in(row, " in DRAM")),
         *(of_each[trace].loc[row["figure"], "direction"] for trace in traces)]
        for _, row in pooled.iterrows()
    ]  # fmt: skip
    header = ["", "all traces", "lead", "representatives in DRAM", "lead", *traces]
    said = f"Over {len(traces)} traces, which are drawn as seeds are: {counted(pooled)}.\n\n"
    return said + markdown(rows, header)


def parts_table(parts: pd.DataFrame) -> str:
    """Each change of the ablation."""
    rows = []
    for part in dict.fromkeys(parts["change"]):
        cells = {row["of"]: Form(".3f", "x").text(Estimate(row["mean"], row["low"], row["high"]))
                 for _, row in parts[parts["change"] == part].iterrows()}  # fmt: skip
        rows.append([part, *(cells[name] for name in PARTS)])
    said = (
        "What a part of DynaKV is worth (`ablation.yaml`): how many times better it is with that alone "
        "changed; below 1, the part pays.\n\n"
    )
    return said + markdown(rows, ["", *PARTS])


def quarters_table(digest: Digest, traces: Sequence[str]) -> str:
    """The clusters by quarters of the decode."""
    rows = []
    for trace in traces:
        table = of_trace(digest.quarters, trace)
        for (name, system), one in table.groupby(["of", "system"], sort=False):
            cells = [
                QUARTERS[name].text(Estimate(row["mean"], row["low"], row["high"]))
                for _, row in one.iterrows()
            ]
            rows.append([trace, name, system, *cells])
    said = "Recall, attention mass, variance and number of units of a head by quarters of the decode.\n\n"
    return said + markdown(rows, ["trace", "", "system", "1st", "2nd", "3rd", "4th"])


def filled(text: str, inside: str) -> str:
    """A page with what is between its markers replaced."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}{inside}{END}{rest.split(END, 1)[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="*", help="results of one trace each")
    written = parser.add_mutually_exclusive_group()
    written.add_argument("--write", action="store_true", help="write digest and pages of the repository")
    written.add_argument("--into", type=Path, metavar="FOLDER", help="write the digest and page.md there")
    options = parser.parse_args()
    digest = (
        digest_of([Results(folder) for folder in options.folders]) if options.folders else Digest.read(DIGEST)
    )
    if options.into:
        digest.write(options.into)
        (options.into / "page.md").write_text(page(Digest.read(options.into)))
    elif options.write:
        digest.write(DIGEST)
        held = Digest.read(DIGEST)
        for path, text in ((PAGE, page(held)), (FRONT, front(held))):
            path.write_text(filled(path.read_text(), text))
    else:
        print(page(digest), end="")


if __name__ == "__main__":
    main()
