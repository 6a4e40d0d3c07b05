"""The budget pooled over all heads of the model, done again with numpy from the trace file alone."""

from pathlib import Path

import h5py
import numpy as np

LAYERS, HEADS, GROUP, PROMPT = (5, 12, 19, 26), 3, 3, 256
ENTRIES, SAFEGUARD, SINKS, RECENT = 40, 0.2, 4, 8

CONFIG = """
name: pooled
include: [{configs}/phones/oneplus_12.yaml, {configs}/devices/ufs40.yaml]
trace: {{path: {trace}}}
system:
  clustering: token
  stages:
    - effect: evict
      when: prefill_end
      units: token
      scorer: exact
      norm: softmax
      scope: model
      budget: {{type: pooled, entries: {entries}, safeguard: {safeguard}}}
      pins: {{sinks: {sinks}, recent: {recent}}}
  tiers: [{{name: dram}}]
run: {{steps: 1, check: every_step}}
"""


def attention_of_the_last_query(trace: h5py.File, layer: int, head: int) -> np.ndarray:
    """[prompt]: the mean over the group of softmax over all entries, pinned ones included."""
    at = trace[f"layers/{layer}"]
    row = list(trace["query_positions"][:]).index(PROMPT - 1)
    queries = at["queries"][head * GROUP : (head + 1) * GROUP, row].astype(np.float64)
    keys = at["keys"][head, :PROMPT].astype(np.float64)
    logits = float(trace.attrs["attention_scale"]) * queries @ keys.T
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)


def test_heads_keep_what_their_candidates_win_of_the_pool(
    kvreplay, project_root: Path, tmp_path: Path
) -> None:
    sample = project_root / "traces" / "samples" / "smollm2.h5"
    config = tmp_path / "pooled.yaml"
    config.write_text(
        CONFIG.format(
            configs=project_root / "configs", trace=sample, entries=ENTRIES, safeguard=SAFEGUARD,
            sinks=SINKS, recent=RECENT,
        )
    )  # fmt: skip
    kvreplay("run", config, "-o", tmp_path / "out.h5")
    with h5py.File(sample) as trace:
        scores = [
            attention_of_the_last_query(trace, layer, head) for layer in LAYERS for head in range(HEADS)
        ]
    candidates = np.array(scores)[:, SINKS : PROMPT - RECENT]
    best = np.argsort(-candidates.ravel(), kind="stable")[: ENTRIES * len(scores)]
    won = np.bincount(best // candidates.shape[1], minlength=len(scores))
    expected = np.floor((1 - SAFEGUARD) * won + SAFEGUARD * ENTRIES + 0.5)
    with h5py.File(tmp_path / "out.h5") as results:
        kept = (
            results["attended_entries"][0, 0].ravel() - 1 - SINKS - RECENT
        )  # without the current one and pins
    np.testing.assert_allclose(kept, expected, atol=1e-9)
