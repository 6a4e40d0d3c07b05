"""notebooks/anatomy.py against what it says, one step and entry after another."""

import sys
from collections.abc import Iterator

import kvreplay
import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "notebooks"))
import anatomy

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
        np.testing.assert_allclose(found[group, row], a @ b / np.sqrt((a @ a) * (b @ b)), rtol=1e-5)
