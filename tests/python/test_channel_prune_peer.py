"""Keys without some of their channels: every step of the sample done again with numpy from the trace alone.

The reference is written from ThinK's formulas. Keys and values are fp16 in both, arithmetic here is float64.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

STEPS, GROUP, PROMPT = 24, 3, 256
LAYERS, HEADS, DIM = (5, 12, 19, 26), 3, 64
WINDOW, RECENT = 32, 32
SHARES = (0.0, 0.25, 0.4, 0.8)

CONFIG = """
name: channels
include: [{configs}/phones/oneplus_12.yaml, {configs}/devices/ufs40.yaml]
trace: {{path: {trace}}}
system:
  clustering: token
  stages: []
  heads: {heads}
  codec: {{k: {{type: channel_prune, share: 0, window: {window}, recent: {recent}}}, v: fp16}}
  tiers: [{{name: dram}}]
sweep:
  system.codec.k.share: {{values: {shares}, name: share}}
run: {{steps: {steps}, check: every_step}}
"""


@pytest.fixture(scope="module", params=["each", "together"])
def results(request, kvreplay, project_root: Path, sample: Path, tmp_path_factory) -> Iterator[h5py.File]:
    folder = tmp_path_factory.mktemp("channels")
    config = folder / "channels.yaml"
    config.write_text(
        CONFIG.format(
            configs=project_root / "configs", trace=sample, shares=list(SHARES), steps=STEPS, window=WINDOW,
            recent=RECENT, heads=request.param,
        )
    )  # fmt: skip
    kvreplay("run", config, "-o", folder / "out.h5")
    with h5py.File(folder / "out.h5") as file:
        yield file


@pytest.fixture(scope="module")
def sample(project_root: Path) -> Path:
    return project_root / "traces" / "samples" / "smollm2.h5"


class Head:
    """One KV head of the trace: keys, values [entries, DIM], queries [GROUP, positions, DIM]."""

    def __init__(self, file: h5py.File, layer: int, head: int):
        at = file[f"layers/{layer}"]
        self.keys = at["keys"][head, : PROMPT + STEPS].astype(np.float64)
        self.values = at["values"][head, : PROMPT + STEPS].astype(np.float64)
        self.row_of = {int(p): i for i, p in enumerate(file["query_positions"][:])}
        self.queries = at["queries"][head * GROUP : (head + 1) * GROUP].astype(np.float64)
        self.scale = float(file.attrs["attention_scale"])

    def kept(self, share: float) -> np.ndarray:
        rows = [self.row_of[position] for position in range(PROMPT - WINDOW, PROMPT)]
        asked = (self.queries[:, rows] ** 2).sum(axis=(0, 1))
        worth = asked * (self.keys[:PROMPT] ** 2).sum(axis=0)
        left = DIM - int(np.floor(share * DIM))
        return np.isin(np.arange(DIM), np.argsort(-worth, kind="stable")[:left])

    def attend(self, position: int, keys: np.ndarray) -> np.ndarray:
        logits = self.scale * self.queries[:, self.row_of[position]] @ keys.T
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True) @ self.values[: position + 1]

    def error(self, position: int, kept: np.ndarray) -> float:
        exact = self.keys[: position + 1]
        stored = exact.copy()
        stored[: position + 1 - RECENT, ~kept] = 0.0
        true = self.attend(position, exact)
        off = np.linalg.norm(self.attend(position, stored) - true, axis=1) / np.linalg.norm(true, axis=1)
        return float(off.mean())


def test_every_step_is_that_of_numpy(results: h5py.File, sample: Path) -> None:
    with h5py.File(sample) as trace:
        for layer, number in enumerate(LAYERS):
            for head in range(HEADS):
                one = Head(trace, number, head)
                for point, share in enumerate(SHARES):
                    kept = one.kept(share)
                    got = results["output_error"][point, :, layer, head]
                    expected = [one.error(PROMPT + step, kept) for step in range(STEPS)]
                    np.testing.assert_allclose(got, expected, atol=2e-5, rtol=2e-4)


def test_more_channels_cost_more_bytes_and_less_error(results: h5py.File) -> None:
    assert results["share"][:].tolist() == list(SHARES)
    error = results["output_error"][:].mean(axis=(1, 2, 3))
    assert (np.diff(error) > 0).all()
    held = results["dram_total_max"][:]
    # After the last step, of 3 heads in 4 layers that stand for the trace's; the newest entries stay whole.
    pruned = len(LAYERS) * HEADS * (PROMPT + STEPS - RECENT)
    for point, share in enumerate(SHARES):
        assert held[0] - held[point] == 2 * int(np.floor(share * DIM)) * pruned


def test_only_keys_may_be_fitted_to_queries(program_path, project_root, sample, tmp_path) -> None:
    def refused(text: str) -> str:
        config = tmp_path / "wrong.yaml"
        config.write_text(text)
        failed = subprocess.run([program_path, "run", config], check=False, capture_output=True, text=True)
        assert failed.returncode == 2
        return failed.stderr

    text = CONFIG.format(
        configs=project_root / "configs", trace=sample, shares=[0.0], steps=1, window=1000, recent=0,
        heads="together",
    )  # fmt: skip
    assert "has the queries of the last 32 entries of the prompt" in refused(text)
    told = refused(text.replace("v: fp16", "v: channel_prune"))
    assert "wrong.yaml:9:" in told
    assert "'channel_prune' fits itself to the prompt's queries, which ask keys alone" in told
