"""Budgets of layers and heads: PyramidKV, AdaKV and DynamicKV on the sample, done again with numpy.

The reference is written from the formulas of the papers and of their code. Scores are SnapKV's, in float64;
the integer arithmetic of DynamicKV's code is done in the types that the code has.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from test_evicting_peers import Head, best_of, everything_live, sample

LAYERS, HEADS, GROUP, PROMPT, STEPS, MODEL_LAYERS = (5, 12, 19, 26), 3, 3, 256, 3, 30
SYSTEMS = ("pyramidkv", "adakv", "dynamickv")
TIGHT = {"entries": 30, "radio_max": 1.2}  # so that the first cut binds and later quotas exceed what it left
MODES = ("faithful", "fixed", "one_shot")

CONFIG = """
name: layer_budgets
include: [{configs}/phones/oneplus_12.yaml, {configs}/devices/ufs40.yaml]
trace: {{path: {trace}}}
points: {points}
run: {{steps: {steps}, check: every_step}}
"""


def stage(
    window: int, kernel: int, pool: str, budget: dict[str, object], **more: object
) -> dict[str, object]:
    return {
        "when": "prefill_end", "effect": "evict", "units": "token", "fold": "mean",
        "scorer": {"type": "window_attention", "window": window, "kernel": kernel, "pool": pool},
        "budget": budget, "pins": {"sinks": 0, "recent": window}, **more,
    }  # fmt: skip


@pytest.fixture(scope="module")
def results(kvreplay, project_root: Path, tmp_path_factory) -> Iterator[h5py.File]:
    folder = tmp_path_factory.mktemp("layer_budgets")
    configs = project_root / "configs"
    points = {name: {"include": f"{configs}/systems/{name}.yaml"} for name in SYSTEMS}
    for mode in MODES:
        for every in (4, 10):
            budget = {"type": "dynamickv", "mode": mode, **TIGHT}
            cuts = {"when": "layer_end", "every": every, "scope": "layers_seen"}
            points[f"{mode} {every}"] = {
                "include": f"{configs}/systems/dynamickv.yaml",
                "system": {"stages": [stage(8, 7, "mean", budget, **cuts)]},
            }  # fmt: skip
    integers = {"type": "pyramid", "entries": 50, "arithmetic": "integer"}
    points["integers"] = {
        "include": f"{configs}/systems/pyramidkv.yaml",
        "system": {"stages": [stage(8, 5, "mean", integers)]},
    }  # fmt: skip
    config = folder / "layer_budgets.yaml"
    config.write_text(
        CONFIG.format(configs=configs, trace=sample(project_root), points=json.dumps(points), steps=STEPS)
    )
    kvreplay("run", config, "-o", folder / "out.h5")
    with h5py.File(folder / "out.h5") as file:
        yield file


@pytest.fixture(scope="module")
def heads(project_root: Path) -> list[list[Head]]:
    with h5py.File(sample(project_root)) as trace:
        return [[Head(trace, number, head) for head in range(HEADS)] for number in LAYERS]


def scores_of(head: Head, window: int, kernel: int, pool: str) -> np.ndarray:
    """[entries before the window]: the mean over the group of what the window's queries give, pooled."""
    before = PROMPT - window
    sums = np.zeros((GROUP, before))
    for position in range(before, PROMPT):
        sums += head.softmax(position, list(range(position + 1)))[:, :before]
    padded = np.pad(sums, ((0, 0), (kernel // 2, kernel // 2)))
    near = np.stack([padded[:, i : i + before] for i in range(kernel)])
    return (near.mean(axis=0) if pool == "mean" else near.max(axis=0)).mean(axis=0)


def check_kept(
    results: h5py.File, point: str, heads: list[list[Head]], scores: np.ndarray, counts: np.ndarray
) -> None:
    """`scores` [layers, heads, entries before the window], `counts` [layers, heads]."""
    at = [name.decode() for name in results["point"][:]].index(point)
    before = scores.shape[2]
    for layer in range(len(LAYERS)):
        for head in range(HEADS):
            worth = scores[layer, head]
            best = best_of(list(range(before)), lambda e, worth=worth: worth[e], int(counts[layer, head]))
            live = best | set(range(before, PROMPT))
            for step in range(STEPS):
                live = live | {PROMPT + step}
                one = heads[layer][head]
                expected = one.quality(PROMPT + step, everything_live(one, PROMPT + step, live))
                got = {name: float(results[name][at, step, layer, head]) for name in expected}
                assert got == pytest.approx(expected, abs=2e-5, rel=1e-4), (point, layer, head, step)


def all_scores(heads: list[list[Head]], window: int, kernel: int, pool: str) -> np.ndarray:
    return np.array([[scores_of(head, window, kernel, pool) for head in layer] for layer in heads])


def same_in_layer(counts: list[int]) -> np.ndarray:
    return np.repeat(np.array(counts)[:, None], HEADS, axis=1)


def pyramid(mean: int, candidates: int, *, integers: bool) -> list[int]:
    least = mean // 20 if integers else mean / 20
    most = 2 * mean - least
    if most >= candidates:
        most = candidates
        least = 2 * mean - most
    if integers:
        return [most - number * ((most - least) // (MODEL_LAYERS - 1)) for number in LAYERS]
    return [round(most - number * (most - least) / (MODEL_LAYERS - 1)) for number in LAYERS]


def test_pyramidkv_keeps_less_in_higher_layers(results: h5py.File, heads: list[list[Head]]) -> None:
    scores = all_scores(heads, 8, 5, "mean")
    exact = pyramid(120, PROMPT - 8, integers=False)
    assert len(set(exact)) == len(LAYERS)
    check_kept(results, "pyramidkv", heads, scores, same_in_layer(exact))
    check_kept(results, "integers", heads, scores, same_in_layer(pyramid(50, PROMPT - 8, integers=True)))


def test_adakv_shares_a_layer_among_its_heads(results: h5py.File, heads: list[list[Head]]) -> None:
    scores = all_scores(heads, 32, 7, "max")
    mean, safeguard = 96, 0.5
    counts = []
    for layer in scores:
        best = np.argsort(-layer.ravel(), kind="stable")[: mean * HEADS]
        won = np.bincount(best // layer.shape[1], minlength=HEADS)
        assert won.sum() == mean * HEADS
        counts.append(np.floor((1 - safeguard) * won + safeguard * mean + 0.5))
    assert len({tuple(row) for row in counts}) > 1
    check_kept(results, "adakv", heads, scores, np.array(counts))


class DynamicKv:
    """What each of the layers has after every firing; maps are whole to the end."""

    def __init__(self, scores: np.ndarray, mean: int, radio_max: float, mode: str):
        self.scores, self.mean, self.mode = scores, mean, mode
        self.layers, self.heads, self.whole = scores.shape
        self.cap = min(int(radio_max * mean), self.whole)
        self.stored: list[int] = []
        self.listed: list[int] = []  # with keys of the window, of which the code has several
        self.missing: list[int] = []
        self.quota: list[int] = []

    def read(self, firings: list[int]) -> None:
        for seen in firings:
            new = seen - len(self.stored)
            self.stored += [self.cap] * new
            self.listed += [self.cap] * new
            self.fire(seen)

    def fire(self, seen: int) -> None:
        won = self.winners(seen)
        last = seen == self.layers
        limits = self.stored
        if self.mode == "faithful" or (self.mode == "fixed" and not last):
            self.quota = self.by_integers(won, last=last)
            within = self.quota
        elif last:
            self.quota = self.shared(won, [self.cap] * seen)
            within = self.shared(won, limits)
        else:
            self.quota = within = [self.whole] * seen
        self.missing = [max(0, q - s) for q, s in zip(self.quota, self.stored, strict=True)]
        self.stored = [min(s, w) for s, w in zip(self.stored, within, strict=True)]
        window = PROMPT - self.whole
        self.listed = [min(q, at + window) for q, at in zip(self.quota, self.listed, strict=True)]

    def winners(self, seen: int) -> np.ndarray:
        flat = self.scores[:seen].reshape(-1)
        best = np.argsort(-flat, kind="stable")[: self.mean * self.heads * seen]
        return np.bincount(best // (self.heads * self.whole), minlength=seen)

    def by_integers(self, won: np.ndarray, *, last: bool) -> list[int]:
        counts = won // len(won)
        if last and counts.sum() != self.heads * self.whole:
            counts[-1] += self.mean * self.heads * len(won) // self.layers - counts.sum()
        shares = counts.astype(np.float32) / np.float32(counts.sum())
        fixed = [int(np.float32(self.cap) * share) for share in shares]
        need = self.mean * self.layers
        ratio = sum(fixed) / need
        fixed = [int(one // ratio) for one in fixed]
        fixed[-1] += need - sum(fixed)
        return [min(one, self.whole) for one in fixed]

    def shared(self, won: np.ndarray, limits: list[int]) -> list[int]:
        given = [0] * len(won)
        for _ in range(min(self.mean * self.layers, sum(limits))):
            worth = [
                (won[i] / (2 * given[i] + 1), -given[i], -i) if given[i] < limits[i] else (-1.0, 0, 0)
                for i in range(len(won))
            ]
            given[worth.index(max(worth))] += 1
        return given


def check_dynamickv(
    results: h5py.File, point: str, heads: list[list[Head]], reference: DynamicKv, firings: list[int]
) -> None:
    reference.read(firings)
    check_kept(results, point, heads, reference.scores, same_in_layer(reference.stored))
    at = [name.decode() for name in results["point"][:]].index(point)
    duplicates = [0] * len(LAYERS)
    if reference.mode == "faithful":
        duplicates = [li - s for li, s in zip(reference.listed, reference.stored, strict=True)]
    for step in range(STEPS):
        assert results["dynamickv.quota"][at, step].tolist() == reference.quota
        assert results["dynamickv.missing"][at, step].tolist() == reference.missing
        assert results["dynamickv.duplicates"][at, step].tolist() == duplicates


def test_dynamickv_shares_the_model_among_its_layers(results: h5py.File, heads: list[list[Head]]) -> None:
    scores = all_scores(heads, 8, 7, "mean")
    check_dynamickv(results, "dynamickv", heads, DynamicKv(scores, 120, 10, "fixed"), [1, 2, 3, 4])


@pytest.mark.parametrize("mode", MODES)
def test_dynamickv_where_cuts_bind(results: h5py.File, heads: list[list[Head]], mode: str) -> None:
    scores = all_scores(heads, 8, 7, "mean")
    # Of layers 5, 12, 19, 26 each is alone among four of the model; two are together among ten.
    for every, firings in ((4, [1, 2, 3, 4]), (10, [1, 3, 4])):
        reference = DynamicKv(scores, 30, 1.2, mode)
        check_dynamickv(results, f"{mode} {every}", heads, reference, firings)
        assert (sum(reference.missing) > 0) == (mode == "faithful")
        if mode != "faithful":
            assert sum(reference.stored) == 30 * len(LAYERS)
