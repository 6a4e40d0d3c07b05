"""Keys rotated by their slot: every step of the sample done again with numpy from the trace file alone.

Here keys and queries are turned back to position 0 and then to their places among the live entries, as
StreamingLLM's cache has them. The program only turns keys, by what differs, and rounds them to fp16 again.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from test_evicting_peers import (
    CONFIG,
    HEADS,
    LAST,
    LAYERS,
    PROMPT,
    STEPS,
    STREAMING,
    Head,
    last_query,
    sample,
    streaming,
)

ROUNDING = 2e-3  # of keys in fp16, in the output
LIVE = {"streaming": (STREAMING, streaming), "scattered": (LAST, last_query)}


@pytest.fixture(scope="module")
def results(kvreplay, project_root: Path, tmp_path_factory) -> Iterator[h5py.File]:
    folder = tmp_path_factory.mktemp("slots")
    points = {
        f"{name} {positions}": {
            "system": {
                "clustering": "token", "tiers": [{"name": "dram"}], "stages": [stage], "positions": positions,
            },
        }
        for name, (stage, _) in LIVE.items()
        for positions in ("absolute", "slot")
    }  # fmt: skip
    config = folder / "slots.yaml"
    config.write_text(
        CONFIG.format(
            configs=project_root / "configs", trace=sample(project_root), points=json.dumps(points),
            steps=STEPS,
        )
    )  # fmt: skip
    kvreplay("run", config, "-o", folder / "out.h5")
    with h5py.File(folder / "out.h5") as file:
        yield file


class SlotHead(Head):
    """One KV head whose attention over a part of the entries is one over their slots."""

    def __init__(self, file: h5py.File, layer: int, head: int):
        super().__init__(file, layer, head)
        assert file.attrs["rope_layout"] == b"half"
        assert file.attrs["rope_scaling"] == b"none"
        pairs = self.keys.shape[1] // 2
        self.frequencies = float(file.attrs["rope_theta"]) ** (-np.arange(pairs) / pairs)

    def turned(self, rows: np.ndarray, by: np.ndarray) -> np.ndarray:
        angles = by[:, None] * self.frequencies
        first, second = np.split(rows, 2, axis=1)
        cosines, sines = np.cos(angles), np.sin(angles)
        return np.hstack([first * cosines - second * sines, first * sines + second * cosines])

    def softmax(self, position: int, entries: list[int]) -> np.ndarray:
        if len(entries) == position + 1:  # the truth, as captured
            return super().softmax(position, entries)
        slots = np.arange(len(entries))
        keys = self.turned(self.turned(self.keys[entries], -np.array(entries)), slots)
        queries = self.queries(position)
        ends = np.ones(len(queries))
        queries = self.turned(self.turned(queries, -position * ends), slots[-1] * ends)
        logits = self.scale * queries @ keys.T
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", LIVE)
def test_every_step_is_that_of_numpy(name: str, results: h5py.File, project_root: Path) -> None:
    points = [one.decode() for one in results["point"][:]]
    slot, absolute = points.index(f"{name} slot"), points.index(f"{name} absolute")
    moved = []
    with h5py.File(sample(project_root)) as trace:
        for layer, number in enumerate(LAYERS):
            for head in range(HEADS):
                one = SlotHead(trace, number, head)
                for step, attended in enumerate(LIVE[name][1](one)):
                    expected = one.quality(PROMPT + step, attended)
                    at = (step, layer, head)
                    got = {metric: float(results[metric][slot, *at]) for metric in expected}
                    assert got == pytest.approx(expected, abs=ROUNDING), at
                    moved.append(abs(got["output_error"] - float(results["output_error"][absolute, *at])))
    assert np.median(moved) > 3 * ROUNDING
