"""KVSwap: every step of the sample done again with numpy from the trace file alone, spec invariants included.

The reference follows the paper's artifact: one basis of all KV heads, the mean of all query heads before the
largest token of a group, a rolling buffer, a reuse buffer that has the last selection.
"""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

STEPS, GROUP, PROMPT = 40, 3, 256
LAYERS, HEADS, DIM = (5, 12, 19, 26), 3, 64
G, BUDGET, RANK = 4, 64, 24
ENTRY_BYTES = HEADS * 2 * DIM * 2

CONFIG = """
name: kvswap
include: [{configs}/phones/oneplus_12.yaml, {configs}/devices/ufs40.yaml, {configs}/systems/kvswap.yaml]
trace: {{path: {trace}}}
system:
  stages: {stages}
  cache: {{capacity: {capacity}B}}
run: {{steps: {steps}, check: every_step}}
"""


def stages(**scorer) -> list[dict]:
    ranks = {
        "scorer": {"type": "low_rank", "rank": RANK, "queries": "mean", "reduce": "max", **scorer},
        "budget": {"type": "fixed", "entries": BUDGET},
    }
    pins = {"sinks": 0, "recent": 0, "pending": "free"}
    return [
        {"name": "guess", "effect": "prefetch", "layers": "2..", "queries": "previous_layer", **ranks},
        {"effect": "select", "layers": "2..", "take": "guess", "pins": pins},
        {"effect": "select", "layers": "0..1", **ranks, "pins": pins},
    ]


def run(kvreplay, project_root: Path, folder: Path, capacity: int, **scorer) -> h5py.File:
    config = folder / "kvswap.yaml"
    config.write_text(
        CONFIG.format(
            configs=project_root / "configs", trace=sample(project_root), steps=STEPS, capacity=capacity,
            stages=json.dumps(stages(**scorer)),
        )
    )  # fmt: skip
    kvreplay("run", config, "-o", folder / "out.h5")
    return h5py.File(folder / "out.h5")


def sample(project_root: Path) -> Path:
    return project_root / "traces" / "samples" / "smollm2.h5"


@pytest.fixture(scope="module")
def result(kvreplay, project_root: Path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kvswap")
    with run(kvreplay, project_root, folder, len(LAYERS) * BUDGET * ENTRY_BYTES) as file:
        yield file


def half(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16).astype(np.float64)


class Layer:
    """What a layer selects, by the artifact's formulas."""

    def __init__(self, trace: h5py.File, number: int):
        at = trace[f"layers/{number}"]
        rows = {int(p): i for i, p in enumerate(trace["query_positions"][:])}
        self.queries = at["queries"][:].astype(np.float64)
        self.speculated = at["speculated_queries"][:].astype(np.float64)
        self.row_of = rows
        self.scale = float(trace.attrs["attention_scale"])
        self.keys = at["keys"][:, : PROMPT + STEPS].astype(np.float64)  # [heads, tokens, dim]
        self.joint = self.keys.transpose(1, 0, 2).reshape(-1, HEADS * DIM)
        _, _, right = np.linalg.svd(self.joint[:PROMPT], full_matrices=False)
        self.basis = half(right[:RANK].T)  # signs cancel
        self.kept = half(self.joint @ self.basis)

    def selection(self, position: int) -> set[int]:
        queries = self.speculated[:, self.row_of[position]]
        z = np.zeros(RANK)
        for query, vector in enumerate(queries):
            head = query // GROUP
            z += vector @ self.basis[head * DIM : (head + 1) * DIM] / len(queries)
        full = position // G
        worth = (self.kept[: full * G] @ z).reshape(full, G).max(axis=1)
        return set(np.argsort(-worth, kind="stable")[: BUDGET // G].tolist())

    def recall(self, position: int, groups: set[int]) -> list[float]:
        """Of each KV head: over its query heads, of the best as many tokens of whole groups."""
        full = position // G * G
        found = []
        for head in range(HEADS):
            shares = []
            for query in range(head * GROUP, (head + 1) * GROUP):
                logits = self.keys[head, :full] @ self.queries[query, self.row_of[position]]
                best = np.argsort(-logits, kind="stable")[:BUDGET]
                shares.append(np.mean([int(token) // G in groups for token in best]))
            found.append(float(np.mean(shares)))
        return found


@pytest.fixture(scope="module")
def layers(project_root: Path) -> list[Layer]:
    with h5py.File(sample(project_root)) as trace:
        return [Layer(trace, number) for number in LAYERS]


def metric(file: h5py.File, name: str) -> np.ndarray:
    """Of the one point."""
    return file[name][0]


def test_every_selection_is_numpys(result, layers) -> None:
    recall = metric(result, "recall")  # [step, layer, head]
    attended = metric(result, "attended_entries")
    for at, layer in enumerate(layers):
        for step in range(STEPS):
            position = PROMPT + step
            rolling = position % G + 1
            assert np.allclose(attended[step, at], BUDGET + rolling), (step, at)
            expected = layer.recall(position, layer.selection(position))
            assert np.allclose(recall[step, at], expected, atol=1e-9), (step, at)


def test_reuse_is_the_overlap_of_selections_and_bytes_are_whole_groups(result, layers) -> None:
    """I4 to I7: hits, bytes read and bytes written, to the byte."""
    demanded = metric(result, "demanded_bytes").sum(axis=2)  # [step, layer]
    missed = metric(result, "useful_read_bytes").sum(axis=2)
    appended = metric(result, "appended_bytes")
    for at, layer in enumerate(layers):
        last: set[int] = set()
        for step in range(STEPS):
            position = PROMPT + step
            groups = layer.selection(position)
            share = len(groups - last) / len(groups)
            assert missed[step, at] == pytest.approx(share * demanded[step, at]), (step, at)
            full = (position + 1) % G == 0
            assert (appended[step, at] > 0) == full
            if full:
                assert appended[step, at] * (BUDGET // G) == demanded[step, at]
            last = groups


def test_dram_is_that_of_the_papers_table_to_the_byte(result) -> None:
    """I16: K_lr, the basis, the reuse buffer, the rolling buffer, of the captured layers."""
    layers = len(LAYERS)
    width = HEADS * DIM
    for step in range(STEPS):
        position = PROMPT + step
        after = position + 1
        whole = after // G * G
        kept = layers * 2 * RANK * (whole + width)
        assert metric(result, "representative_bytes")[step] == kept
        assert metric(result, "cache_bytes")[step] == layers * BUDGET * ENTRY_BYTES
        # The rolling buffer as the step began, and the current entry.
        assert metric(result, "pinned_bytes")[step] == layers * (position % G + 1) * ENTRY_BYTES
        assert metric(result, "metadata_bytes")[step] == 0


def test_full_rank_gives_the_selection_of_the_true_mean_logits(
    kvreplay, project_root, tmp_path, layers
) -> None:
    """I14, but for the roundings of what is kept: fewer than one group in a hundred differs."""
    width = HEADS * DIM
    capacity = len(LAYERS) * BUDGET * ENTRY_BYTES
    with run(kvreplay, project_root, tmp_path, capacity, rank=width) as file:
        recall = metric(file, "recall")
    differ = 0
    for at, layer in enumerate(layers):
        for step in range(STEPS):
            position = PROMPT + step
            query = layer.speculated[:, layer.row_of[position]].reshape(HEADS, GROUP, DIM).sum(axis=1)
            full = position // G
            worth = (layer.joint[: full * G] @ query.reshape(-1)).reshape(full, G).max(axis=1)
            groups = set(np.argsort(-worth, kind="stable")[: BUDGET // G].tolist())
            differ += not np.allclose(recall[step, at], layer.recall(position, groups), atol=1e-9)
    assert differ <= 0.1 * len(LAYERS) * STEPS  # one group of sixteen in a step
