"""Systems that retrieve: every step of the sample done again with numpy from the trace file alone.

The reference is written from the formulas of the papers and of their public code: what each query head
selects. Nothing of it is shared with the program. Keys, values and what is kept of them are fp16 in both,
arithmetic here is float64.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest
import yaml

STEPS, GROUP, PROMPT, WINDOW = 24, 3, 256, 32
LAYERS, HEADS, DIM = (5, 12, 19, 26), 3, 64
NEEDED = 0.95
STAR_TOKENS = 64  # of 256: something must be left
ALONE_ENTRIES = 48  # likewise
READ_ENTRIES, PAGE = 72, 16  # no whole number of pages
SHORT_RECENT, SHORT_WINDOW = 8, 10  # so that windows close

CONFIG = """
name: retrieving
include: [{configs}/phones/oneplus_12.yaml, {configs}/devices/ufs40.yaml]
trace: {{path: {trace}}}
points: {points}
run: {{steps: {steps}, check: every_step}}
"""


def stages_of(project_root: Path, system: str) -> list[dict]:
    text = (project_root / "configs" / "systems" / f"{system}.yaml").read_text()
    return yaml.safe_load(text)["system"]["stages"]


def points(project_root: Path, calibration: Path) -> dict[str, dict]:
    """The shipped systems, or what is changed of their stages."""
    unskewed = stages_of(project_root, "infinigen")
    unskewed[0]["scorer"] |= {"skew": False}
    star = stages_of(project_root, "infinigen_star")
    star[0]["budget"] |= {"entries": STAR_TOKENS}
    calibrated = stages_of(project_root, "loki")
    calibrated[0]["scorer"] |= {"calibration": str(calibration)}
    windows = stages_of(project_root, "retroinfer")
    alone = stages_of(project_root, "clusterkv_own")
    alone[0]["budget"] |= {"entries": ALONE_ENTRIES}
    pages = stages_of(project_root, "multipole")
    pages[0]["budget"] |= {"entries": READ_ENTRIES}
    pages[0]["pins"] |= {"recent": SHORT_RECENT}
    changed = {
        "infinigen": ("infinigen", None),
        "infinigen, unskewed": ("infinigen", unskewed),
        "infinigen_star": ("infinigen_star", star),
        "loki": ("loki", None),
        "loki, calibrated": ("loki", calibrated),
        "retroinfer": ("retroinfer", None),
        "retroinfer, segments": ("retroinfer", windows),
        "clusterkv_own, alone": ("clusterkv_own", alone),
        "rocketkv": ("rocketkv", None),
        "multipole, pages": ("multipole", pages),
    }
    found = {
        name: {"include": f"{project_root}/configs/systems/{system}.yaml"}
        | ({"system": {"stages": stages}} if stages else {})
        for name, (system, stages) in changed.items()
    }
    found["retroinfer, segments"]["system"]["clustering"] = {
        "segment_entries": 60, "recent": SHORT_RECENT, "window": SHORT_WINDOW,
    }  # fmt: skip
    found["clusterkv_own, alone"]["system"]["clustering"] = {"clusters": PROMPT}
    found["multipole, pages"]["system"]["clustering"] = {"type": "page", "page_tokens": PAGE}
    return found


@pytest.fixture(scope="module")
def results(kvreplay, project_root: Path, tmp_path_factory) -> Iterator[h5py.File]:
    folder = tmp_path_factory.mktemp("retrieving")
    calibration = folder / "basis.h5"
    kvreplay(
        "calibrate", sample(project_root), "--heads", "each", "--centred", "--tokens", "0", "-o", calibration
    )
    config = folder / "retrieving.yaml"
    config.write_text(
        CONFIG.format(
            configs=project_root / "configs", trace=sample(project_root), steps=STEPS,
            points=json.dumps(points(project_root, calibration)),
        )
    )  # fmt: skip
    kvreplay("run", config, "-o", folder / "out.h5")
    with h5py.File(folder / "out.h5") as file:
        yield file


def sample(project_root: Path) -> Path:
    return project_root / "traces" / "samples" / "smollm2.h5"


def half(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16).astype(np.float64)


def best_of(scores: np.ndarray, count: int) -> set[int]:
    """Ties to the earlier entry."""
    return set(np.argsort(-scores, kind="stable")[:count].tolist())


def shares_of(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


class Head:
    """One KV head of a layer of the trace."""

    def __init__(self, layer: "Layer", head: int):
        rows = slice(head * GROUP, (head + 1) * GROUP)
        self.layer = layer
        self.every_key = layer.at["keys"][head].astype(np.float64)
        self.keys = self.every_key[: PROMPT + STEPS]
        self.values = layer.at["values"][head, : PROMPT + STEPS].astype(np.float64)
        self.own = layer.at["queries"][rows].astype(np.float64)
        self.speculated = layer.at["speculated_queries"][rows].astype(np.float64)

    def queries(self, position: int, *, speculated: bool = False) -> np.ndarray:
        return (self.speculated if speculated else self.own)[:, self.layer.row_of[position]]

    def logits(self, position: int) -> np.ndarray:
        return self.layer.scale * self.queries(position) @ self.keys[: position + 1].T

    def window(self) -> np.ndarray:
        """The prompt's last queries of all query heads, [rows, dim]."""
        rows = [self.layer.row_of[position] for position in range(PROMPT - WINDOW, PROMPT)]
        return self.own[:, rows].reshape(-1, DIM)

    def partial_logits(self, position: int, columns: int, *, skew: bool = True) -> np.ndarray:
        """InfiniGen's speculated logits of all entries before `position`, [group, entries]."""
        window = self.window()
        turn = np.linalg.svd(window)[2].T if skew else np.eye(DIM)
        order = np.argsort(-np.abs(window @ turn).sum(axis=0), kind="stable")
        basis = half(turn[:, order[:columns]])
        kept = half(self.keys[:position] @ basis)
        return self.layer.scale * self.queries(position, speculated=True) @ basis @ kept.T


class Layer:
    def __init__(self, trace: h5py.File, number: int):
        self.at = trace[f"layers/{number}"]
        self.row_of = {int(p): i for i, p in enumerate(trace["query_positions"][:])}
        self.scale = float(trace.attrs["attention_scale"])
        self.heads = [Head(self, head) for head in range(HEADS)]


class Selected(NamedTuple):
    """What a query head attends to besides the current entry."""

    chosen: set[int]
    always: frozenset[int] = frozenset()
    """Not chosen but attended to."""
    estimated: tuple[tuple[list[int], int], ...] = ()
    """Units whose means stand for so many entries that are not read."""
    budget: int | None = None
    """Where it is not spent: entries that could be chosen."""


Step = list[list[Selected]]
"""[heads][query heads]"""


def infinigen(layer: Layer, position: int, *, skew: bool = True) -> Step:
    """As many entries for all heads as lie within alpha of a head's best, on average, and at most a fifth."""
    alpha, columns, cap = 5.0, int(0.2 * DIM), int(0.2 * (position + 1))
    scores = [head.partial_logits(position, columns, skew=skew).mean(axis=0) for head in layer.heads]
    close = [np.count_nonzero(of_head >= of_head.max() - alpha) for of_head in scores]
    count = min(int(np.mean(close)), cap)
    return [[Selected(best_of(of_head, count))] * GROUP for of_head in scores]


def unskewed(layer: Layer, position: int) -> Step:
    return infinigen(layer, position, skew=False)


def infinigen_star(layer: Layer, position: int) -> Step:
    logits = [head.partial_logits(position, DIM // 8) for head in layer.heads]
    return [[Selected(best_of(np.concatenate(logits).mean(axis=0), STAR_TOKENS))] * GROUP] * HEADS


def loki(layer: Layer, position: int, *, calibrated: bool = False) -> Step:
    chosen = []
    count = int(np.floor(0.25 * (position + 1) + 0.5))
    for head in layer.heads:
        rows = head.every_key - head.every_key.mean(axis=0) if calibrated else head.keys[:PROMPT]
        basis = half(np.linalg.svd(rows, full_matrices=False)[2][: DIM // 4].T)
        scores = head.queries(position) @ basis @ half(head.keys[:position] @ basis).T
        chosen.append([Selected(best_of(of_query, count)) for of_query in scores])
    return chosen


def loki_calibrated(layer: Layer, position: int) -> Step:
    return loki(layer, position, calibrated=True)


def directions(keys: np.ndarray, segments: int) -> list[list[int]]:
    """RetroInfer's segmented clustering; numbers of the rows of each cluster."""
    x = keys - keys.mean(axis=0)
    length = len(x) // segments
    each = max(1, round(length / 16))
    part = len(x) / (segments * each)
    centroids = x[[int(j * part + part / 2) for j in range(segments * each)]]
    for _ in range(9):
        for segment in range(segments):
            mine = slice(segment * each, (segment + 1) * each)
            rows = x[segment * length : (segment + 1) * length]
            of = (rows @ centroids[mine].T).argmax(axis=1)
            for cluster in range(each):
                if (of == cluster).any():
                    mean = rows[of == cluster].mean(axis=0)
                    centroids[segment * each + cluster] = mean / np.linalg.norm(mean)
    of = (x @ centroids.T).argmax(axis=1)
    return [
        np.flatnonzero(of == cluster).tolist() for cluster in range(len(centroids)) if (of == cluster).any()
    ]


def clusters_of(head: Head, position: int, recent: int, window: int, segment: int) -> list[list[int]]:
    settled = list(range(4, PROMPT - recent))
    segments = max(1, round(len(settled) / segment))
    units = [[settled[i] for i in unit] for unit in directions(head.keys[settled], segments)]
    for first in range(PROMPT - recent, position - recent - window + 1, window):
        rows = directions(head.keys[first : first + window], 1)
        units += [[first + i for i in unit] for unit in rows]
    return units


def retroinfer(
    layer: Layer, position: int, recent: int = 64, window: int = 1024, segment: int = 8192
) -> Step:
    step = []
    for head in layer.heads:
        units = clusters_of(head, position, recent, window, segment)
        means = np.array([head.keys[unit].mean(axis=0) for unit in units])
        logits = layer.scale * head.queries(position) @ means.T
        order = np.argsort(-shares_of(logits).sum(axis=0), kind="stable")
        read = max(1, int(0.018 * len(units) + 0.5))
        estimated = order[read : read + int(0.232 * len(units) + 0.5)]
        always = frozenset(range(position)) - {entry for unit in units for entry in unit}
        chosen = {entry for unit in order[:read] for entry in units[unit]}
        step.append([Selected(chosen, always, tuple((units[u], len(units[u])) for u in estimated))] * GROUP)
    return step


def retroinfer_segments(layer: Layer, position: int) -> Step:
    return retroinfer(layer, position, SHORT_RECENT, SHORT_WINDOW, 60)


def clusterkv_alone(layer: Layer, position: int) -> Step:
    """Every entry a cluster of its own: the best entries, less the first and the open window."""
    always = frozenset([*range(16), *range(PROMPT, position)])
    step = []
    for head in layer.heads:
        scores = head.queries(position) @ head.keys[16:PROMPT].T
        step.append([Selected({16 + e for e in best_of(one, ALONE_ENTRIES)}, always) for one in scores])
    return step


def left_by_rocketkv(head: Head) -> list[int]:
    before, kernel = PROMPT - WINDOW, 63
    attention = np.zeros(before)
    for position in range(before, PROMPT):
        attention += shares_of(head.logits(position)).sum(axis=0)[:before]
    padded = np.pad(attention, kernel // 2)
    pooled = np.array([padded[i : i + kernel].max() for i in range(before)])
    return [*sorted(best_of(pooled, int(0.45 * PROMPT))), *range(before, PROMPT)]


def rocketkv(layer: Layer, position: int) -> Step:
    channels, count = round(0.55 * DIM), PROMPT // 16
    step = []
    for head in layer.heads:
        live = [*left_by_rocketkv(head), *range(PROMPT, position)]
        pages = [live[i : i + 2] for i in range(0, len(live), 2)]
        queries = head.queries(position)
        asked = np.argsort(-np.abs(queries).sum(axis=0), kind="stable")[:channels]
        ends = np.array([
            np.where(queries.sum(axis=0) > 0, head.keys[page].max(axis=0), head.keys[page].min(axis=0))
            for page in pages
        ])  # fmt: skip
        magnitude = np.abs(queries)
        divisor = np.sqrt(DIM * magnitude[:, asked].sum(axis=1) / magnitude.sum(axis=1))
        worth = shares_of(queries[:, asked] @ ends[:, asked].T / divisor[:, None]).sum(axis=0)
        order = np.argsort(-worth, kind="stable")
        chosen = [entry for page in order for entry in pages[page]][:count]
        step.append([Selected(set(chosen))] * GROUP)
    return step


def multipole_pages(layer: Layer, position: int) -> Step:
    pages = [list(range(first, min(first + PAGE, position))) for first in range(0, position, PAGE)]
    could_be = range(10, position - SHORT_RECENT)
    always = frozenset(range(position)) - set(could_be)
    step = []
    for head in layer.heads:
        means = np.array([head.keys[page].mean(axis=0) for page in pages])
        worth = shares_of(layer.scale * head.queries(position) @ means.T).mean(axis=0)
        chosen: set[int] = set()
        order = np.argsort(-worth, kind="stable")
        for page in order:
            members = [entry for entry in pages[page] if entry in could_be]
            if len(chosen) + len(members) > READ_ENTRIES:
                break
            chosen |= set(members)
        left = [(page, sum(e in could_be and e not in chosen for e in page)) for page in pages]
        estimated = tuple((page, entries) for page, entries in left if entries > 0)
        step.append([Selected(chosen, always, estimated, READ_ENTRIES)] * GROUP)
    return step


REFERENCE: dict[str, Callable[[Layer, int], Step]] = {
    "infinigen": infinigen,
    "infinigen, unskewed": unskewed,
    "infinigen_star": infinigen_star,
    "loki": loki,
    "loki, calibrated": loki_calibrated,
    "retroinfer": retroinfer,
    "retroinfer, segments": retroinfer_segments,
    "clusterkv_own, alone": clusterkv_alone,
    "rocketkv": rocketkv,
    "multipole, pages": multipole_pages,
}


def quality(head: Head, position: int, query: int, selected: Selected) -> dict[str, float]:
    logits = head.logits(position)[query]
    peak = logits.max()
    weight = np.exp(logits - peak)
    attended = sorted(selected.chosen | selected.always | {position})
    value, total = weight[attended] @ head.values[attended], weight[attended].sum()
    for unit, entries in selected.estimated:
        mean = head.layer.scale * head.queries(position)[query] @ head.keys[unit].mean(axis=0)
        value = value + entries * np.exp(mean - peak) * head.values[unit].mean(axis=0)
        total += entries * np.exp(mean - peak)
    weight /= weight.sum()
    order = np.argsort(-weight, kind="stable")
    needed = order[: int(np.searchsorted(np.cumsum(weight[order]), NEEDED)) + 1]
    exact = weight @ head.values[: position + 1]
    could_be = np.array([e for e in range(position) if e not in selected.always])
    budget = len(selected.chosen) if selected.budget is None else selected.budget
    best = could_be[sorted(best_of(weight[could_be], budget))]
    return {
        "recall": float(np.mean([int(e) in selected.chosen for e in best])),
        "mass": float(weight[attended].sum()),
        "output_error": float(np.linalg.norm(value / total - exact) / np.linalg.norm(exact)),
        "attended_entries": len(attended),
        "needed_loaded": float(np.mean([int(e) in attended for e in needed])),
        "estimated_entries": sum(entries for _, entries in selected.estimated),
    }


@pytest.fixture(scope="module")
def layers(project_root: Path) -> Iterator[list[Layer]]:
    with h5py.File(sample(project_root)) as trace:
        yield [Layer(trace, number) for number in LAYERS]


@pytest.mark.parametrize("system", REFERENCE)
def test_every_step_is_that_of_numpy(system: str, results: h5py.File, layers: list[Layer]) -> None:
    point = [name.decode() for name in results["point"][:]].index(system)
    for at, layer in enumerate(layers):
        for step in range(STEPS):
            position = PROMPT + step
            for head, selected in enumerate(REFERENCE[system](layer, position)):
                rows = [quality(layer.heads[head], position, q, one) for q, one in enumerate(selected)]
                expected = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
                if expected["estimated_entries"] == 0:
                    del expected["estimated_entries"]
                got = {name: float(results[name][point, step, at, head]) for name in expected}
                assert got == pytest.approx(expected, abs=2e-5, rel=1e-4), (at, step, head)


def test_layers_of_infinigen_fetch_as_many_for_every_head_and_not_always_as_many(results: h5py.File) -> None:
    points = [name.decode() for name in results["point"][:]]
    attended = results["attended_entries"][points.index("infinigen")]
    assert (attended == attended[:, :, :1]).all()
    cap = (0.2 * (PROMPT + 1 + np.arange(STEPS))).astype(int) + 1  # and the current entry
    assert (attended <= cap[:, None, None]).all()
    assert (attended < cap[:, None, None]).any()
    assert len(np.unique(attended)) > 3


def test_what_is_not_the_guess_is_not_read(results: h5py.File) -> None:
    points = [name.decode() for name in results["point"][:]]
    for system in ("infinigen", "infinigen_star"):
        at = points.index(system)
        assert (results["guessed_bytes"][at] == results["rightly_guessed_bytes"][at]).all()
