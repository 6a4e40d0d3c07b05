"""Turns on the sample: what is read in feeds the stages that look at attention, as decoding does."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

CONFIG = """
name: turns
include: [{configs}/phones/oneplus_12.yaml, {configs}/devices/ufs40.yaml]
trace: {{path: {trace}}}
workload: {{turns: {turns}}}
system:
  clustering: {{type: page, page_tokens: 16}}
  stages: [{stages}]
  layout: token_order
  replacement: none
run: {{check: every_step}}
"""
EVICT = (
    "{{when: [{when}], every: {every}, effect: evict, units: token, scorer: accumulated_attention, "
    "budget: {{type: fixed, entries: 120}}, pins: {{sinks: 0, recent: 24}}}}"
)
ALL = "{scorer: exact, budget: {type: fraction, share: 1}, pins: {sinks: 4, recent: 16}}"
STEPS = 6


@pytest.fixture
def retained(kvreplay, project_root: Path, tmp_path: Path) -> Callable[..., dict[str, np.ndarray]]:
    """What is left in the last steps of some turns under some stages."""

    def run(turns: str, *stages: str) -> dict[str, np.ndarray]:
        config = tmp_path / "turns.yaml"
        config.write_text(
            CONFIG.format(
                configs=project_root / "configs",
                trace=project_root / "traces" / "samples" / "smollm2.h5",
                turns=turns,
                stages=", ".join(stages),
            )
        )
        kvreplay("run", config, "-o", tmp_path / "turns.h5")
        with h5py.File(tmp_path / "turns.h5") as file:
            return {name: file[name][0, -STEPS:] for name in ("retained", "retained_mass", "retained_recall")}

    return run


def test_what_is_read_in_adds_to_the_attention_that_entries_have_got(retained) -> None:
    at_prompt = EVICT.format(when="prefill_end", every=1)
    after_20 = EVICT.format(when="step", every=20)
    read_in = retained(f"[{{prefill: 20}}, {{decode: {STEPS}}}]", at_prompt, ALL)
    decoded = retained(f"[{{decode: {20 + STEPS}}}]", at_prompt, after_20, ALL)
    np.testing.assert_array_equal(read_in["retained"], decoded["retained"])
    # Attention is summed in another order, so entries that are as good as equal may change places.
    np.testing.assert_allclose(read_in["retained_mass"], decoded["retained_mass"], atol=2e-3)
    np.testing.assert_allclose(read_in["retained_recall"], decoded["retained_recall"], atol=2e-2)
