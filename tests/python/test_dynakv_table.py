"""The pages hold what the committed digest says of DynaKV's figures, by the rules of the code."""

import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "notebooks"))

from dynakv_paper import ALL_TRACES, COLUMNS, FIGURES, direction
from dynakv_table import (
    BEGIN,
    DIGEST,
    END,
    FRONT,
    PAGE,
    PARTS,
    SAMPLE,
    Digest,
    count,
    estimate_in,
    filled,
    front,
    page,
    traces_of,
)


@pytest.fixture(scope="module")
def digest() -> Digest:
    return Digest.read(DIGEST)


def test_the_pages_hold_what_is_made_of_the_digest(digest) -> None:
    for path, text in ((PAGE, page(digest)), (FRONT, front(digest))):
        held = path.read_text()
        assert held == filled(held, text), f"run python notebooks/dynakv_table.py --write: {path}"


def test_a_page_keeps_what_is_outside_its_markers() -> None:
    assert filled(f"a\n{BEGIN}old\n{END}\nb\n{END}\n", "new\n") == f"a\n{BEGIN}new\n{END}\nb\n{END}\n"


def test_the_digest_has_every_figure_of_the_sample_and_those_that_all_traces_share(digest) -> None:
    assert list(digest.comparison)[: len(COLUMNS)] == COLUMNS
    traces = traces_of(digest)
    assert traces[0] == SAMPLE
    figures = {trace: list(one["figure"]) for trace, one in digest.comparison.groupby("trace")}
    assert len(set(figures[SAMPLE])) == len(figures[SAMPLE]) == len(FIGURES)
    if len(traces) > 1:
        of_no_trace = {"T1", "F3b", "T6, absolute"}
        shared = [
            name
            for name in figures[SAMPLE]
            if all(name in figures[trace] for trace in traces) and name not in of_no_trace
        ]
        assert figures[ALL_TRACES] == shared
    assert set(digest.parts["of"]) == set(PARTS)


def test_directions_of_the_digest_are_those_of_its_intervals(digest) -> None:
    for _, row in digest.comparison.iterrows():
        assert row["direction"] == direction(estimate_in(row)), row["figure"]
        if row["direction in DRAM"]:
            assert row["direction in DRAM"] == direction(estimate_in(row, " in DRAM")), row["figure"]


def test_the_count_of_the_papers_page_is_that_of_the_sample(digest) -> None:
    sample = digest.comparison[digest.comparison["trace"] == SAMPLE]
    ways = count(sample)
    assert sum(ways.values()) == len(FIGURES)
    assert f"{ways['yes']} of the {len(FIGURES)} rows go the paper's way" in FRONT.read_text()
