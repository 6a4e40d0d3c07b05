"""notebooks/anatomy.py against what it says, one step and entry after another."""

import sys
from collections.abc import Iterator

import kvreplay
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from matplotlib import pyplot as plt

sys.path.insert(0, str(ROOT / "notebooks"))
import anatomy

mpl.use("agg")

LAYER, HEAD = 19, 1


@pytest.fixture(scope="module")
def trace() -> Iterator[kvreplay.Trace]:
    with kvreplay.open_trace(ROOT / "traces" / "samples" / "smollm2.h5") as opened:
        yield opened


@pytest.fixture
def rng() -> np.random.Generator:
    seed = int(np.random.default_rng().integers(2**32))
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def test_the_plane_is_that_of_most_variance(rng: np.random.Generator) -> None:
    rows = (rng.normal(size=(200, 6)) * (1, 5, 0.5, 3, 0.1, 1)).astype(np.float32)
    found = anatomy.plane(rows)
    values, vectors = np.linalg.eigh(np.cov(rows.T))
    np.testing.assert_allclose(found.shares, values[::-1][:2] / values.sum(), rtol=1e-4)
    np.testing.assert_allclose(np.abs(found.directions @ vectors[:, ::-1][:, :2]), np.eye(2), atol=1e-3)
    assert all(row[np.abs(row).argmax()] > 0 for row in found.directions)
    np.testing.assert_allclose(found.of(rows).var(axis=0, ddof=1), values[::-1][:2], rtol=1e-4)


def test_wanted_entries_are_the_heaviest_that_are_not_kept_anyway(trace: kvreplay.Trace) -> None:
    wanted = anatomy.wanted(trace, LAYER, HEAD)
    assert wanted.shape == (trace.seq_len - trace.prefill_len, trace.seq_len)
    keys, queries = (
        rows.astype(np.float64) for rows in (trace.keys(LAYER, HEAD), trace.queries(LAYER, HEAD))
    )
    for step in (0, 1, 500, wanted.shape[0] - 1):
        position = trace.prefill_len + step
        weights = np.zeros(position + 1)
        for query in queries[:, list(trace.query_positions).index(position)]:
            exponent = trace.model.attention_scale * keys[: position + 1] @ query
            weights += np.exp(exponent - exponent.max()) / np.exp(exponent - exponent.max()).sum()
        open_entries = range(4, position - 32)
        best = sorted(open_entries, key=lambda entry: -weights[entry])[: int(0.1 * (position + 1))]
        assert set(np.flatnonzero(wanted[step])) == set(best)


def test_too_short_a_sequence_wants_nothing(trace: kvreplay.Trace) -> None:
    assert not anatomy.wanted(trace, LAYER, HEAD, recent=trace.seq_len).any()
    assert not anatomy.wanted(trace, LAYER, HEAD, share=0).any()


def test_what_is_chosen_together_is_counted(rng: np.random.Generator) -> None:
    chosen = rng.random((30, 8)) < 0.4
    chosen[:, 3] = False
    found = anatomy.together(chosen)
    for one in range(8):
        steps = [step for step in range(30) if chosen[step, one]]
        for other in range(8):
            both = sum(chosen[step, other] for step in steps)
            expected = both / len(steps) if steps else np.nan
            np.testing.assert_allclose(found[one, other], expected)
    kept = anatomy.kept(chosen, 5)
    for step in range(25):
        before, after = (set(np.flatnonzero(chosen[place])) for place in (step, step + 5))
        np.testing.assert_allclose(kept[step], len(before & after) / len(before) if before else np.nan)


def test_turns_are_cosines(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(2, 9, 4)).astype(np.float32)
    found = anatomy.turned(rows, 3)
    assert found.shape == (2, 6)
    for group, row in np.ndindex(found.shape):
        a, b = rows[group, row], rows[group, row + 3]
        expected = a @ b / np.sqrt((a @ a) * (b @ b))
        np.testing.assert_allclose(found[group, row], expected, atol=1e-6)  # of float32 about 1


def recorded() -> pd.DataFrame:
    """Choices of two steps: unit 7 grows, unit 2 is chosen once, unit 5 is asked of no memory."""
    rows = [
        (0, "chosen", 7, [4, 9], 1),
        (0, "chosen", 2, [5], 0),
        (0, "pinned", -1, [0, 1], 2),
        (2, "chosen", 7, [4, 9, 11], 3),
        (2, "chosen", 5, [6], -1),
    ]
    table = pd.DataFrame(rows, columns=["step", "role", "unit", "positions", "in_first_tier"])
    return table.assign(entry_count=table["positions"].map(len))


def test_entries_are_in_the_units_that_were_chosen() -> None:
    choices = recorded()
    assert anatomy.unit_of_entry(choices[choices["step"] == 0], 10).tolist() == [
        -1, -1, -1, -1, 7, 2, -1, -1, -1, 7,
    ]  # fmt: skip


def test_what_was_found_has_a_column_for_each_step_between() -> None:
    found = anatomy.shares_found(recorded())
    assert found.index.tolist() == [2, 7] and found.columns.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(found.to_numpy(), [[0, np.nan, np.nan], [0.5, np.nan, 1]])


def test_places_on_flash_are_drawn_where_they_are() -> None:
    lie = pd.DataFrame({"unit": [1, 4], "offset_bytes": [8192, 16384], "length_bytes": [4096, 2048]})
    read = pd.DataFrame({"step": [5, 6], "offset_bytes": [8192, 17408], "length_bytes": [1024, 1024]})
    figure, axes = plt.subplots()
    anatomy.draw_flash(axes, lie, read)
    strip, reads = (collection.get_segments() for collection in axes.collections)
    np.testing.assert_allclose([[[0, 2], [4, 2]], [[8, 2], [10, 2]]], strip)
    np.testing.assert_allclose([[[0, 5], [1, 5]], [[9, 6], [10, 6]]], reads)
    plt.close(figure)
