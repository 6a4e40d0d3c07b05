"""What must hold of KVSwap whatever the trace: its reuse buffer, its pipeline, what groups and ranks cost."""

import json
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest

STEPS, BUDGET, G, LAYERS, ENTRY_BYTES = 40, 64, 4, 4, 768
ROUNDING_US = 0.002  # of a time and a duration in the timeline
SLOTS = LAYERS * BUDGET * ENTRY_BYTES


def stages(rank: int, budget: int) -> list[dict]:
    scorer = {"type": "low_rank", "rank": rank, "queries": "mean"}
    number = {"type": "fixed", "entries": budget}
    pins = {"sinks": 0, "recent": 0, "pending": "free"}
    return [
        {"name": "guess", "effect": "prefetch", "layers": "2..", "queries": "previous_layer",
         "scorer": scorer, "budget": number},
        {"effect": "select", "layers": "2..", "take": "guess", "pins": pins},
    ]  # fmt: skip


def system(
    *, group: int = G, rank: int = 24, budget: int = BUDGET, slots: int = SLOTS, replacement: object = None
) -> dict:
    return {
        "clustering": {"type": "page", "page_tokens": group, "buffered": True},
        "stages": stages(rank, budget),
        "cache": {"capacity": f"{slots}B"},
        **({"replacement": replacement} if replacement else {}),
    }


POINTS = {
    "as published": system(),
    "lru": system(replacement="lru"),
    "no reuse": system(replacement="none"),
    "twice the slots": system(slots=2 * SLOTS),
    "everything": system(group=1, budget=100_000, slots=LAYERS * 400 * ENTRY_BYTES),
    **{f"group {group}": system(group=group) for group in (1, 8, 16)},
    **{f"rank {rank}": system(rank=rank) for rank in (6, 96, 192)},
    **{
        f"budget {budget}": system(budget=budget, slots=LAYERS * budget * ENTRY_BYTES) for budget in (32, 128)
    },
}


@pytest.fixture(scope="module")
def run(kvreplay, project_root: Path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kvswap")
    configs = project_root / "configs"
    include = [configs / "phones" / "oneplus_12.yaml", configs / "devices" / "ufs40.yaml"]
    config = {
        "name": "invariants",
        "include": [str(file) for file in (*include, configs / "systems" / "kvswap.yaml")],
        "trace": {"path": str(project_root / "traces" / "samples" / "smollm2.h5")},
        "run": {"steps": STEPS, "check": "every_step"},
        "points": {name: {"system": point} for name, point in POINTS.items()},
    }
    (folder / "c.yaml").write_text(json.dumps(config))
    kvreplay("run", folder / "c.yaml", "-o", folder / "out.h5", "--timeline", folder / "t.json",
             "--timeline-steps", f"0-{STEPS - 1}")  # fmt: skip
    events = json.loads((folder / "t.json").read_text())["traceEvents"]
    with h5py.File(folder / "out.h5") as file:
        yield file, events


def of(run, metric: str, point: str) -> np.ndarray:
    return run[0][metric][list(POINTS).index(point)]


def test_i6_where_the_buffer_has_what_is_selected_any_replacement_is_the_same(run) -> None:
    for metric in ("hit_bytes", "useful_read_bytes", "latency_s", "read_bytes"):
        assert np.array_equal(of(run, metric, "as published"), of(run, metric, "lru"))
    assert of(run, "hit_bytes", "as published")[0].sum() == 0  # the first step is cold


def test_i11_without_reuse_everything_is_read_and_nothing_is_faster(run) -> None:
    demanded = of(run, "demanded_bytes", "no reuse").sum(axis=2)
    assert np.allclose(demanded, BUDGET * ENTRY_BYTES)
    assert np.allclose(of(run, "useful_read_bytes", "no reuse").sum(axis=2), demanded)
    slower = of(run, "latency_s", "no reuse").sum()
    assert slower >= of(run, "latency_s", "as published").sum()


def test_i12_more_slots_hit_no_less_on_this_trace(run) -> None:
    hits = [of(run, "hit_bytes", name).sum() for name in ("as published", "twice the slots")]
    assert hits[1] > hits[0]


def test_i15_single_entries_that_all_fit_are_full_attention(run) -> None:
    assert np.allclose(of(run, "mass", "everything"), 1.0)
    assert np.allclose(of(run, "output_error", "everything"), 0.0, atol=1e-6)


def test_i18_mass_falls_with_the_group_and_grows_with_rank_and_budget_on_average(run) -> None:
    def mass(name: str) -> float:
        return float(of(run, "mass", name).mean())

    for names in (
        ("group 1", "as published", "group 8", "group 16"),
        ("rank 192", "rank 96", "as published", "rank 6"),
        ("budget 128", "as published", "budget 32"),
    ):
        values = [mass(name) for name in names]
        assert all(a >= b for a, b in pairwise(values)), dict(zip(names, values, strict=True))


def test_i9_one_layers_read_is_in_flight(run) -> None:
    for process in range(1, len(POINTS) + 1):
        spans = [
            e for e in run[1] if e["ph"] == "X" and e["pid"] == process and e["name"] in ("prefetch", "read")
        ]
        assert len(spans) > STEPS
        spans.sort(key=lambda e: e["ts"])
        for before, after in pairwise(spans):
            assert after["ts"] >= before["ts"] + before["dur"] - ROUNDING_US


def test_i10_a_step_takes_its_computing_at_least_and_all_of_it_is_explained(run) -> None:
    for name in POINTS:
        latency = of(run, "latency_s", name)
        assert (latency >= of(run, "compute_s", name) - 1e-12).all()
        explained = of(run, "critical_compute_s", name) + of(run, "critical_flash_s", name)
        assert np.allclose(explained, latency)


def test_i7_only_whole_groups_are_written_each_once(run) -> None:
    for name, group in (("as published", G), ("group 8", 8), ("group 16", 16), ("group 1", 1)):
        appended = of(run, "appended_bytes", name)
        positions = 256 + np.arange(STEPS)
        full = (positions + 1) % group == 0
        assert np.array_equal(appended[:, 0] > 0, full)
        assert np.allclose(appended[full], group * ENTRY_BYTES)
