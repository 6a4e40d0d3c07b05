"""Systems that evict, and Quest: every step of the sample done again with numpy from the trace file alone.

The reference is written from the formulas of the papers: a set of live entries for each KV head. Nothing
of it is shared with the program. Keys and values are fp16 in both, arithmetic here is float64.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest

STEPS, GROUP, PROMPT = 24, 3, 256
LAYERS, HEADS = (5, 12, 19, 26), 3
WINDOW, KERNEL, PAGE = 32, 5, 16
SYSTEMS = ("full", "flexgen", "streaming_llm", "h2o", "snapkv", "quest", "snapkv_quest", "quest_ahead")
AGAIN = "ranked again"  # Quest, ahead, whose layers do not take what was guessed but rank themselves
LAST_QUERY = "last query"  # no system of a paper: what the prompt's last query ranks best stays
KEPT, KEPT_RECENT = 40, 8
STREAMING_RECENT = 100  # of 256: something must go
STREAMING = {
    "when": ["prefill_end", "step"], "effect": "evict", "units": "token", "scorer": "position",
    "budget": {"type": "fixed", "entries": 0}, "pins": {"sinks": 4, "recent": STREAMING_RECENT},
}  # fmt: skip
LAST = {
    "when": "prefill_end", "effect": "evict", "units": "token", "scorer": "exact",
    "budget": {"type": "fixed", "entries": KEPT}, "pins": {"sinks": 0, "recent": KEPT_RECENT},
}  # fmt: skip
RANKS = {"scorer": "box_bound", "budget": {"type": "fraction", "share": 0.1}}
RANKED_AGAIN = [
    {"name": "guess", "effect": "prefetch", "queries": "previous_layer", **RANKS},
    {"effect": "select", **RANKS, "pins": {"sinks": 0, "recent": PAGE}},
]  # fmt: skip
NEEDED = 0.95
ENTRY_BYTES, PAGE_BYTES = 2 * 64 * 2, 4096

CONFIG = """
name: evicting
include: [{configs}/phones/oneplus_12.yaml, {configs}/devices/ufs40.yaml]
trace: {{path: {trace}}}
points: {points}
run: {{steps: {steps}, check: every_step}}
"""


@pytest.fixture(scope="module")
def results(kvreplay, project_root: Path, tmp_path_factory) -> Iterator[h5py.File]:
    folder = tmp_path_factory.mktemp("evicting")
    configs = project_root / "configs"
    points = {name: {"include": f"{configs}/systems/{name}.yaml"} for name in SYSTEMS}
    points["streaming_llm"]["system"] = {"stages": [STREAMING]}
    points[LAST_QUERY] = {"system": {"clustering": "token", "tiers": [{"name": "dram"}], "stages": [LAST]}}
    points[AGAIN] = {
        "include": f"{configs}/systems/quest_ahead.yaml", "system": {"stages": RANKED_AGAIN},
    }  # fmt: skip
    config = folder / "evicting.yaml"
    config.write_text(
        CONFIG.format(configs=configs, trace=sample(project_root), points=json.dumps(points), steps=STEPS)
    )
    kvreplay("run", config, "-o", folder / "out.h5")
    with h5py.File(folder / "out.h5") as file:
        yield file


def sample(project_root: Path) -> Path:
    return project_root / "traces" / "samples" / "smollm2.h5"


class Attended(NamedTuple):
    """Of one step: what was live, what was attended to, and how many entries could be chosen of which."""

    live: set[int]
    attended: set[int]
    budget: int
    open: list[int]


class Head:
    """One KV head of the trace."""

    def __init__(self, file: h5py.File, layer: int, head: int):
        at = file[f"layers/{layer}"]
        last = PROMPT + STEPS
        self.keys = at["keys"][head, :last].astype(np.float64)
        self.values = at["values"][head, :last].astype(np.float64)
        rows = slice(head * GROUP, (head + 1) * GROUP)
        self.row_of = {int(p): i for i, p in enumerate(file["query_positions"][:])}
        self.all_queries = at["queries"][rows].astype(np.float64)
        self.speculated = at["speculated_queries"][rows].astype(np.float64)
        self.sums = at["prompt_attention_sums"][rows].astype(np.float64)
        self.scale = float(file.attrs["attention_scale"])

    def queries(self, position: int, *, speculated: bool = False) -> np.ndarray:
        return (self.speculated if speculated else self.all_queries)[:, self.row_of[position]]

    def softmax(self, position: int, entries: list[int]) -> np.ndarray:
        logits = self.scale * self.queries(position) @ self.keys[entries].T
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    def quality(self, position: int, step: Attended) -> dict[str, float]:
        everything = list(range(position + 1))
        truth = self.softmax(position, everything)
        attended = sorted(step.attended)
        local = self.softmax(position, attended) @ self.values[attended]
        exact = truth @ self.values[everything]
        rows = []
        for query in range(GROUP):
            weight = truth[query]
            best = sorted(step.open, key=lambda e: (-weight[e], e))[: step.budget]
            needed = needed_of(weight)
            rows.append({
                "recall": share(best, step.attended),
                "mass": weight[attended].sum(),
                "output_error": np.linalg.norm(local[query] - exact[query]) / np.linalg.norm(exact[query]),
                "attended_entries": len(attended),
                "retained": len(step.live) / (position + 1),
                "retained_mass": weight[sorted(step.live)].sum(),
                "retained_recall": share(best, step.live),
                "needed_loaded": share(needed, step.attended),
            })  # fmt: skip
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def needed_of(weight: np.ndarray) -> list[int]:
    order = np.argsort(-weight, kind="stable")
    count = int(np.searchsorted(np.cumsum(weight[order]), NEEDED * weight.sum())) + 1
    return order[:count].tolist()


def share(of: list[int], there: set[int]) -> float:
    return sum(e in there for e in of) / len(of)


def best_of(entries: list[int], score, count: int) -> set[int]:
    return set(sorted(entries, key=lambda e: (-score(e), e))[:count])


def everything_live(head: Head, position: int, live: set[int]) -> Attended:
    """No stage selects: all that is live is attended to."""
    return Attended(live, set(live), len(live) - 1, list(range(position)))


def full(head: Head) -> Iterator[Attended]:
    for position in range(PROMPT, PROMPT + STEPS):
        yield everything_live(head, position, set(range(position + 1)))


def streaming(head: Head) -> Iterator[Attended]:
    def kept(entries: int) -> set[int]:
        return set(range(4)) | set(range(entries - STREAMING_RECENT, entries))

    for position in range(PROMPT, PROMPT + STEPS):
        yield everything_live(head, position, kept(position) | {position})


def h2o(head: Head) -> Iterator[Attended]:
    heavy = recent = PROMPT // 10
    sums = np.zeros((GROUP, PROMPT + STEPS))
    sums[:, :PROMPT] = head.sums

    def keep(live: set[int], entries: int) -> set[int]:
        window = {e for e in live if e >= entries - recent}
        return window | best_of(sorted(live - window), lambda e: sums[:, e].sum(), heavy)

    live = keep(set(range(PROMPT)), PROMPT)
    for position in range(PROMPT, PROMPT + STEPS):
        live = live | {position}
        yield everything_live(head, position, live)
        order = sorted(live)
        sums[:, order] += head.softmax(position, order)
        live = keep(live, position + 1)


def last_query(head: Head) -> Iterator[Attended]:
    last = PROMPT - 1
    worth = (head.queries(last) @ head.keys[:PROMPT].T).mean(axis=0)
    before = PROMPT - KEPT_RECENT
    live = best_of(list(range(before)), lambda e: worth[e], KEPT) | set(range(before, PROMPT))
    for position in range(PROMPT, PROMPT + STEPS):
        live = live | {position}
        yield everything_live(head, position, live)


def snap(head: Head, budget: int) -> set[int]:
    """What the prompt's last queries keep."""
    before = PROMPT - WINDOW
    pooled = np.zeros((GROUP, before))
    for position in range(before, PROMPT):
        pooled += head.softmax(position, list(range(position + 1)))[:, :before]
    padded = np.pad(pooled, ((0, 0), (KERNEL // 2, KERNEL // 2)))
    pooled = np.stack([padded[:, i : i + before] for i in range(KERNEL)]).mean(axis=0)
    chosen = best_of(list(range(before)), lambda e: pooled[:, e].mean(), budget)
    return chosen | set(range(before, PROMPT))


def snapkv(head: Head) -> Iterator[Attended]:
    live = snap(head, PROMPT // 10)
    for position in range(PROMPT, PROMPT + STEPS):
        live = live | {position}
        yield everything_live(head, position, live)


def pages_of(head: Head, position: int, live: set[int], *, speculated: bool = False) -> Attended:
    """A step of Quest over what is live."""
    before = live - {position}
    candidates = {e for e in before if e < position - PAGE}
    pages: dict[int, list[int]] = {}
    for entry in sorted(before):
        pages.setdefault(entry // PAGE, []).append(entry)
    query = head.queries(position, speculated=speculated)
    scores = {
        page: np.maximum(query * head.keys[entries].min(axis=0), query * head.keys[entries].max(axis=0))
        .sum(axis=1)
        .mean()
        for page, entries in pages.items()
    }
    budget = max(1, int(np.floor(0.1 * (len(before) + 1) + 0.5)))
    chosen: list[int] = []
    for page in sorted(pages, key=lambda p: (-scores[p], p)):
        chosen += [e for e in pages[page] if e in candidates][: budget - len(chosen)]
    attended = set(chosen) | (before - candidates) | {position}
    return Attended(live, attended, min(budget, len(candidates)), list(range(position - PAGE)))


def quest(head: Head) -> Iterator[Attended]:
    for position in range(PROMPT, PROMPT + STEPS):
        yield pages_of(head, position, set(range(position + 1)))


def quest_ahead(head: Head) -> Iterator[Attended]:
    for position in range(PROMPT, PROMPT + STEPS):
        yield pages_of(head, position, set(range(position + 1)), speculated=True)


def snapkv_quest(head: Head) -> Iterator[Attended]:
    live = snap(head, PROMPT // 5)
    for position in range(PROMPT, PROMPT + STEPS):
        live = live | {position}
        yield pages_of(head, position, live)


REFERENCE = {
    "full": full,
    "flexgen": full,
    "streaming_llm": streaming,
    "h2o": h2o,
    "snapkv": snapkv,
    "quest": quest,
    "snapkv_quest": snapkv_quest,
    "quest_ahead": quest_ahead,
    AGAIN: quest,
    LAST_QUERY: last_query,
}


@pytest.mark.parametrize("system", REFERENCE)
def test_every_step_is_that_of_numpy(system: str, results: h5py.File, project_root: Path) -> None:
    point = [name.decode() for name in results["point"][:]].index(system)
    with h5py.File(sample(project_root)) as trace:
        for layer, number in enumerate(LAYERS):
            for head in range(HEADS):
                one = Head(trace, number, head)
                for step, attended in enumerate(REFERENCE[system](one)):
                    expected = one.quality(PROMPT + step, attended)
                    got = {name: float(results[name][point, step, layer, head]) for name in expected}
                    assert got == pytest.approx(expected, abs=2e-5, rel=1e-4), (layer, head, step)


def test_guesses_are_right_and_wrong_as_numpy_has_them(results: h5py.File, project_root: Path) -> None:
    point = [name.decode() for name in results["point"][:]].index(AGAIN)
    wrong = 0
    with h5py.File(sample(project_root)) as trace:
        for layer, number in enumerate(LAYERS):
            for head in range(HEADS):
                one = Head(trace, number, head)
                for step, (own, guess) in enumerate(zip(quest(one), quest_ahead(one), strict=True)):
                    position = PROMPT + step
                    written = position - position % (PAGE_BYTES // ENTRY_BYTES)
                    open_before = min(written, position - PAGE)
                    guessed = {e for e in guess.attended if e < open_before}
                    right = guessed & own.attended
                    at = (point, step, layer, head)
                    assert results["guessed_bytes"][at] == ENTRY_BYTES * len(guessed), at
                    assert results["rightly_guessed_bytes"][at] == ENTRY_BYTES * len(right), at
                    wrong += len(guessed - right)
    assert wrong > 0


def test_dram_alone_reads_nothing_and_flexgen_everything(results: h5py.File) -> None:
    points = [name.decode() for name in results["point"][:]]
    for system in ("full", "streaming_llm", "h2o", "snapkv"):
        at = points.index(system)
        assert not results["read_bytes"][at].any()
        assert not results["write_bytes"][at].any()
        assert not results["flash_space_bytes"][at].any()
    read = results["useful_read_bytes"][points.index("flexgen")][:] / ENTRY_BYTES
    before_current = PROMPT + np.arange(STEPS)[:, None, None]
    assert (read <= before_current).all()
    assert (read > before_current - PAGE_BYTES // ENTRY_BYTES).all()  # what is not a page yet is in DRAM


def test_what_is_evicted_frees_dram(results: h5py.File) -> None:
    points = [name.decode() for name in results["point"][:]]
    cache = {name: results["cache_bytes"][points.index(name)][-1] for name in ("full", "h2o", "snapkv")}
    assert cache["h2o"] < 0.3 * cache["full"]
    assert cache["snapkv"] < 0.35 * cache["full"]
