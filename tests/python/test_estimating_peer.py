"""Units that are not read but estimated: every step of the sample done again with numpy from the trace alone.

The reference is written from RetroInfer's formulas: of the clusters, here pages, that are not read, the next
best weigh entries * exp(q . mean key) and have the mean of their values. Keys and values are fp16 in both,
arithmetic here is float64.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

STEPS, GROUP, PROMPT, PAGE = 24, 3, 256, 16
LAYERS, HEADS = (5, 12, 19, 26), 3
SINKS, RECENT, READ, ESTIMATED = 4, 16, 0.1, 0.3
STAGE = {
    "scorer": "centroid", "norm": "softmax", "budget": {"type": "fraction", "share": READ},
    "pins": {"sinks": SINKS, "recent": RECENT},
}  # fmt: skip
ESTIMATE = {"type": "fraction", "share": ESTIMATED}
POINTS = {
    "together": {**STAGE, "fold": "sum", "estimate": ESTIMATE},
    "apart": {**STAGE, "fold": "none", "estimate": ESTIMATE},
    "dropped": {**STAGE, "fold": "sum"},
}

CONFIG = """
name: estimating
include: [{configs}/phones/oneplus_12.yaml, {configs}/devices/ufs40.yaml]
trace: {{path: {trace}}}
system: {{clustering: {{type: page, page_tokens: {page}}}, layout: token_order, replacement: none}}
points: {points}
run: {{steps: {steps}, check: every_step}}
"""


def sample(project_root: Path) -> Path:
    return project_root / "traces" / "samples" / "smollm2.h5"


@pytest.fixture(scope="module")
def results(kvreplay, project_root: Path, tmp_path_factory) -> Iterator[h5py.File]:
    folder = tmp_path_factory.mktemp("estimating")
    points = {name: {"system": {"stages": [stage]}} for name, stage in POINTS.items()}
    config = folder / "estimating.yaml"
    config.write_text(
        CONFIG.format(
            configs=project_root / "configs", trace=sample(project_root), points=json.dumps(points),
            steps=STEPS, page=PAGE,
        )
    )  # fmt: skip
    kvreplay("run", config, "-o", folder / "out.h5")
    with h5py.File(folder / "out.h5") as file:
        yield file


class Head:
    """One KV head of the trace."""

    def __init__(self, file: h5py.File, layer: int, head: int):
        at = file[f"layers/{layer}"]
        self.keys = at["keys"][head, : PROMPT + STEPS].astype(np.float64)
        self.values = at["values"][head, : PROMPT + STEPS].astype(np.float64)
        self.row_of = {int(p): i for i, p in enumerate(file["query_positions"][:])}
        self.queries = at["queries"][head * GROUP : (head + 1) * GROUP].astype(np.float64)
        self.scale = float(file.attrs["attention_scale"])

    def logits(self, position: int, rows: np.ndarray) -> np.ndarray:
        return self.scale * self.queries[:, self.row_of[position]] @ rows.T

    def pages(self, position: int) -> list[np.ndarray]:
        return [np.arange(first, min(first + PAGE, position)) for first in range(0, position, PAGE)]

    def walk(self, position: int, worth: np.ndarray) -> tuple[list[int], list[tuple[int, int]]]:
        """What is read, and pages with the entries that each stands for."""
        budget = max(1, int(np.floor(READ * (position + 1) + 0.5)))
        estimate = max(1, int(np.floor(ESTIMATED * (position + 1) + 0.5)))
        read: list[int] = []
        left = []
        for page in np.argsort(-worth, kind="stable"):
            candidates = [e for e in self.pages(position)[page] if SINKS <= e < position - RECENT]
            taken = candidates[: budget - len(read)]
            read += taken
            left.append((int(page), len(candidates) - len(taken)))
        stand_in = []
        for page, entries in left:
            if entries > estimate:
                break
            estimate -= entries
            if entries > 0:
                stand_in.append((page, entries))
        return read, stand_in

    def step(self, position: int, query: int, *, together: bool, estimates: bool) -> dict[str, float]:
        pages = self.pages(position)
        means = np.array([self.keys[page].mean(axis=0) for page in pages])
        mean_values = np.array([self.values[page].mean(axis=0) for page in pages])
        scores = self.logits(position, means)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        read, stand_in = self.walk(position, shares.sum(axis=0) if together else shares[query])
        pinned = [*range(SINKS), *range(position - RECENT, position + 1)]
        attended = read + pinned
        logits = self.logits(position, self.keys[: position + 1])[query]
        weight = np.exp(logits[attended] - logits.max())
        value = weight @ self.values[attended]
        total = weight.sum()
        for page, entries in stand_in if estimates else []:
            more = entries * np.exp(scores[query, page] - logits.max())
            total += more
            value = value + more * mean_values[page]
        true = np.exp(logits - logits.max())
        true /= true.sum()
        exact = true @ self.values[: position + 1]
        return {
            "output_error": np.linalg.norm(value / total - exact) / np.linalg.norm(exact),
            "mass": true[attended].sum(),
            "attended_entries": len(attended),
            "estimated_entries": sum(entries for _, entries in stand_in) if estimates else 0,
        }


@pytest.mark.parametrize("name", POINTS)
def test_every_step_is_that_of_numpy(name: str, results: h5py.File, project_root: Path) -> None:
    point = [one.decode() for one in results["point"][:]].index(name)
    kind = {"together": name != "apart", "estimates": name != "dropped"}
    with h5py.File(sample(project_root)) as trace:
        for layer, number in enumerate(LAYERS):
            for head in range(HEADS):
                one = Head(trace, number, head)
                for step in range(STEPS):
                    rows = [one.step(PROMPT + step, query, **kind) for query in range(GROUP)]
                    expected = {metric: np.mean([row[metric] for row in rows]) for metric in rows[0]}
                    if name == "dropped":
                        del expected["estimated_entries"]
                    got = {metric: float(results[metric][point, step, layer, head]) for metric in expected}
                    assert got == pytest.approx(expected, abs=2e-5, rel=1e-4), (layer, head, step)


def test_what_is_estimated_is_missed_in_the_output_alone(results: h5py.File) -> None:
    points = [one.decode() for one in results["point"][:]]
    estimated, dropped = points.index("together"), points.index("dropped")
    for metric in ("recall", "mass", "relative_mass", "needed_loaded", "attended_entries", "read_bytes"):
        np.testing.assert_array_equal(results[metric][estimated], results[metric][dropped])
    error = results["output_error"]
    assert error[estimated].mean() < error[dropped].mean()
    assert (results["representative_bytes"][estimated] > results["representative_bytes"][dropped]).all()
    assert (results["policy_s"][estimated] > results["policy_s"][dropped]).all()
