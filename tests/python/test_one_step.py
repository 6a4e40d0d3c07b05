"""One step of one head on a tiny trace, every metric computed again with numpy from the trace file alone.

The configuration is the plainest one with all parts in play: pages of 8 tokens, mean keys as representatives,
scores folded by the mean over the group, token order on flash, nothing cached, int8 values.
"""

import itertools
from pathlib import Path

import h5py
import numpy as np
import pytest

PAGE, BUDGET, SINKS, RECENT, BLOCK = 8, 20, 3, 5, 4096
PROMPT, STEP, DIM, GROUP = 61, 2, 16, 2
POSITION = PROMPT + STEP
ENTRY_BYTES = 2 * DIM + DIM + 4  # fp16 key, int8 value with a float32 scale

CONFIG = """
trace: {{path: {trace}}}
phone: {{type: roofline}}
device: {{type: analytic}}
system:
  name: one step
  clustering: {{type: page, page_tokens: 8}}
  stages:
    - when: step
      effect: select
      scorer: centroid
      fold: mean
      budget: {{type: fixed, entries: 20}}
      pins: {{sinks: 3, recent: 5}}
  codec: {{k: fp16, v: int8}}
  layout: token_order
  replacement: none
run: {{first_step: 2, steps: 1}}
"""


@pytest.fixture(scope="module")
def files(kvreplay, tmp_path_factory) -> tuple[Path, Path]:
    """A trace of two heads and the results of one step of it."""
    folder = tmp_path_factory.mktemp("one_step")
    trace, config, out = folder / "tiny.h5", folder / "tiny.yaml", folder / "out.h5"
    kvreplay(
        *f"trace synth {trace} --layers 1 --kv-heads 2 --group {GROUP} --head-dim {DIM} --prompt {PROMPT} "
        "--steps 4 --clusters 5 --seed 11 --run-tokens 3 --sinks 2 --recent-tokens 16".split()
    )
    config.write_text(CONFIG.format(trace=trace))
    kvreplay("run", config, "-o", out)
    return trace, out


class Head:
    """The step of one head as numpy sees it."""

    def __init__(self, trace: h5py.File, head: int):
        layer = trace["layers/0"]
        self.n = POSITION + 1
        self.keys = layer["keys"][head, : self.n].astype(np.float64)
        self.values = layer["values"][head, : self.n].astype(np.float64)
        row = int(np.flatnonzero(trace["query_positions"][:] == POSITION)[0])
        self.queries = layer["queries"][head * GROUP : (head + 1) * GROUP, row].astype(np.float64)
        self.scale = float(trace.attrs["attention_scale"])
        self.candidates = np.arange(SINKS, POSITION - RECENT)
        self.pinned = np.setdiff1d(np.arange(self.n), self.candidates)
        self.selected, self.pages = self.select()
        self.attended = np.union1d(self.selected, self.pinned)

    def select(self) -> tuple[np.ndarray, list[int]]:
        """Pages by descending mean score; the last one is cut to what the budget leaves."""
        pages = [np.arange(b, min(b + PAGE, POSITION)) for b in range(0, POSITION, PAGE)]
        scores = [np.mean(self.queries @ self.keys[p].mean(0)) for p in pages]
        chosen: list[int] = []
        touched = []
        for page in sorted(range(len(pages)), key=lambda i: (-scores[i], i)):
            take = np.intersect1d(pages[page], self.candidates)[: BUDGET - len(chosen)]
            if len(take):
                touched.append(page)
                chosen += take.tolist()
        return np.array(chosen), touched

    def page_variance(self) -> float:
        pages = [self.keys[b : min(b + PAGE, self.n)] for b in range(0, self.n, PAGE)]
        return float(np.mean([((page - page.mean(0)) ** 2).sum(1).mean() for page in pages]))

    def probabilities(self) -> np.ndarray:
        logits = self.scale * self.queries @ self.keys.T
        weights = np.exp(logits - logits.max(1, keepdims=True))
        return weights / weights.sum(1, keepdims=True)

    def stored_values(self) -> np.ndarray:
        """Symmetric int8 per row, decoded to fp16."""
        scale = (np.abs(self.values).max(1, keepdims=True) / 127).astype(np.float32)
        codes = np.round(self.values / np.where(scale > 0, scale, 1))
        return (codes * scale).astype(np.float16).astype(np.float64)

    def quality(self) -> dict[str, float]:
        """The quality metrics, each the mean over the query heads of the group."""
        p = self.probabilities()
        rows: dict[str, list[float]] = {"recall": [], "mass": [], "relative_mass": [], "output_error": []}
        for g in range(GROUP):
            best = self.candidates[np.argsort(-p[g, self.candidates], kind="stable")[:BUDGET]]
            mass = p[g, self.attended].sum()
            weights = p[g, self.attended] / mass
            truth = p[g] @ self.values
            error = weights @ self.stored_values()[self.attended] - truth
            rows["recall"].append(len(np.intersect1d(best, self.selected)) / len(best))
            rows["mass"].append(mass)
            rows["relative_mass"].append(mass / (p[g, best].sum() + p[g, self.pinned].sum()))
            rows["output_error"].append(np.linalg.norm(error) / np.linalg.norm(truth))
        return {name: float(np.mean(values)) for name, values in rows.items()}


def runs_of(entries: np.ndarray) -> list[int]:
    """Lengths of the runs of consecutive entries."""
    return [len(run) for run in np.split(np.sort(entries), np.flatnonzero(np.diff(np.sort(entries)) > 1) + 1)]


def blocks_of(entries: np.ndarray, head: int) -> set[int]:
    """Blocks of flash that the records of `entries` touch: heads lie 1,024 tokens apart."""
    begin = (head * 1024 + entries) * ENTRY_BYTES
    return {b for first in begin for b in range(first // BLOCK, (first + ENTRY_BYTES - 1) // BLOCK + 1)}


@pytest.fixture(scope="module")
def heads(files) -> list[Head]:
    with h5py.File(files[0]) as trace:
        return [Head(trace, head) for head in range(2)]


@pytest.fixture(scope="module")
def results(files) -> dict[str, np.ndarray]:
    with h5py.File(files[1]) as f:
        return {name: f[name][:] for name in f if isinstance(f[name], h5py.Dataset) and f[name].ndim > 1}


@pytest.mark.parametrize("head", [0, 1])
@pytest.mark.parametrize("metric", ["recall", "mass", "relative_mass", "output_error"])
def test_quality(heads, results, head, metric):
    assert results[metric][0, 0, 0, head] == pytest.approx(heads[head].quality()[metric], rel=2e-5)


@pytest.mark.parametrize("head", [0, 1])
def test_variance_of_the_units(heads, results, head):
    assert results["unit_variance"][0, 0, 0, head] == pytest.approx(heads[head].page_variance(), rel=1e-9)


@pytest.mark.parametrize("head", [0, 1])
def test_counts_of_one_head(heads, results, head):
    expected = {
        "selected_entries": BUDGET,
        "attended_entries": BUDGET + SINKS + RECENT + 1,
        "units": -(-(POSITION + 1) // PAGE),
        "demanded_units": len(heads[head].pages),
        "hit_units": 0,
        "demanded_bytes": BUDGET * ENTRY_BYTES,
        "hit_bytes": 0,
        "useful_read_bytes": BUDGET * ENTRY_BYTES,
    }
    assert {name: results[name][0, 0, 0, head] for name in expected} == expected


def test_reads_of_the_layer(heads, results):
    lengths = [n for head in heads for n in runs_of(head.selected)]
    blocks = sorted(blocks_of(heads[0].selected, 0) | blocks_of(heads[1].selected, 1))
    requests = 1 + sum(b - a > 1 for a, b in itertools.pairwise(blocks))
    assert results["contiguous_mean_entries"][0, 0, 0] == pytest.approx(np.mean(lengths))
    assert results["contiguous_max_entries"][0, 0, 0] == max(lengths)
    assert results["read_bytes"][0, 0, 0] == len(blocks) * BLOCK
    assert results["read_requests"][0, 0, 0] == requests
    written = {b for head in range(2) for b in blocks_of(np.array([POSITION]), head)}
    assert results["write_bytes"][0, 0, 0] == len(written) * BLOCK
    assert results["moved_bytes"][0, 0, 0] == 0


def test_the_step(results):
    step = {name: values[0, 0] for name, values in results.items() if values.ndim == 2}
    assert step["position"] == POSITION
    assert step["latency_s"] == pytest.approx(step["compute_s"] + step["io_s"], rel=1e-12)
    assert step["exposed_io_s"] == pytest.approx(step["io_s"], rel=1e-12)
    assert step["hidden_io_s"] == pytest.approx(0, abs=1e-15)
    assert 0 < step["policy_s"] < step["compute_s"]
    assert step["cache_bytes"] == 0
    assert step["working_buffer_bytes"] == 2 * BUDGET * ENTRY_BYTES
    assert step["pinned_bytes"] == 2 * (SINKS + RECENT + 1) * ENTRY_BYTES
    assert step["flash_space_bytes"] == 2 * 1024 * ENTRY_BYTES


def test_the_energy(files, heads, results):
    """Defaults: UFS 4.0 and OnePlus 12, as the tables of their parameters state them."""
    step = {name: values[0, 0] for name, values in results.items() if values.ndim == 2}
    reads = lengths_of(blocks_of(heads[0].selected, 0) | blocks_of(heads[1].selected, 1))
    writes = lengths_of({b for head in range(2) for b in blocks_of(np.array([POSITION]), head)})
    sensed = sum(-(-n // 16384) * 16384 for n in reads)
    commands = len(reads) + len(writes)
    flash = 0.1 * step["latency_s"] + 1e-6 * commands + 8 * (50e-12 * sensed + 130e-12 * sum(writes))
    dram_bytes = 2 * sum(reads) + sum(writes) + computed_bytes(files[0])
    assert step["flash_energy_j"] == pytest.approx(flash, rel=1e-9)
    assert step["dram_energy_j"] == pytest.approx(8 * 5e-12 * dram_bytes + 0.12 * step["latency_s"], rel=1e-9)
    assert step["host_io_energy_j"] == pytest.approx(1.5 * commands * (1.5e-6 + 8500 / 3.3e9), rel=1e-9)
    assert step["compute_energy_j"] == pytest.approx(4.9 * step["compute_s"], rel=1e-9)
    assert step["base_energy_j"] == pytest.approx(step["latency_s"], rel=1e-9)
    parts = ["flash", "dram", "host_io", "compute", "base"]
    assert step["energy_j"] == pytest.approx(sum(step[f"{part}_energy_j"] for part in parts), rel=1e-12)


def lengths_of(blocks: set[int]) -> list[int]:
    """Bytes of each request: one per run of consecutive blocks."""
    return [BLOCK * n for n in runs_of(np.array(sorted(blocks)))]


def computed_bytes(trace: Path) -> float:
    """Bytes that one layer and the output head move: fp16 weights, activations, keys and values."""
    with h5py.File(trace) as f:
        hidden, ffn, vocab = (int(f.attrs[f"{name}_size"]) for name in ("hidden", "ffn", "vocab"))
    kv, query = 2 * DIM, 2 * GROUP * DIM
    products = [
        (hidden, query),
        (hidden, 2 * kv),
        (query, hidden),
        (hidden, ffn),
        (hidden, ffn),
        (ffn, hidden),
        (hidden, vocab),
    ]
    weights = sum(2 * n * m + 2 * (n + m) for n, m in products)
    attended = 2 * (BUDGET + SINKS + RECENT + 1) * ENTRY_BYTES
    means = 2 * (-(-POSITION // PAGE)) * DIM * 2
    update = 2 * 3 * DIM * 2  # reads the key and a mean, writes the mean
    return weights + attended + means + update
