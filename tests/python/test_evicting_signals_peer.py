"""CORM, FastGen and DBudgetKV: every step of the sample done again with numpy from the trace file alone.

As in test_evicting_peers.py, whose heads and qualities these are: the reference is written from the rules,
bit rows, masks and norms as wide as the sequence, and shares nothing with the program.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from test_evicting_peers import (
    CONFIG,
    GROUP,
    HEADS,
    LAYERS,
    PROMPT,
    STEPS,
    Attended,
    Head,
    best_of,
    everything_live,
    sample,
)

OTHER, SPECIAL, PUNCTUATION = range(3)
CORM_WINDOW, CORM_RECENT, CAP = 32, 32, 40
RECOVERY, SHARE, FIRST, PROFILED = 0.95, 0.3, 4, 32
DROP, KEPT_RECENT = 0.05, 8

SMALL_WINDOW = {
    "when": ["prefill_end", "step"], "effect": "evict", "units": "token", "fold": "max",
    "scorer": {"type": "recent_hits", "window": 6}, "budget": {"type": "at_least"},
    "pins": {"sinks": 0, "recent": 3},
}  # fmt: skip
CAPPED = {
    **SMALL_WINDOW, "scorer": {"type": "recent_hits", "window": CORM_WINDOW},
    "budget": {"type": "at_least", "most": CAP}, "pins": {"sinks": 0, "recent": CORM_RECENT},
}  # fmt: skip
BY_POSITION = {
    "when": "prefill_end", "effect": "evict", "units": "token", "scorer": "position", "scope": "layer",
    "budget": {"type": "norm_drop", "drop": DROP}, "pins": {"sinks": 4, "recent": 0},
}  # fmt: skip
BY_WINDOW = {
    **BY_POSITION, "scorer": {"type": "window_attention", "window": 8, "kernel": 1}, "fold": "sum",
    "pins": {"sinks": 0, "recent": KEPT_RECENT},
}  # fmt: skip
LOOSE = {"scorer": {"type": "head_profile", "recovery": 0.6}}


def stages(*given: dict) -> dict:
    return {"system": {"clustering": "token", "tiers": [{"name": "dram"}], "stages": list(given)}}


@pytest.fixture(scope="module")
def results(kvreplay, project_root: Path, tmp_path_factory) -> Iterator[h5py.File]:
    folder = tmp_path_factory.mktemp("signals")
    configs = project_root / "configs"
    fastgen = {
        "when": ["prefill_end", "step"], "effect": "evict", "units": "token", "fold": "max", **LOOSE,
        "budget": {"type": "at_least"}, "pins": {"sinks": 0, "recent": 0},
    }  # fmt: skip
    points = {
        name: {"include": f"{configs}/systems/{name}.yaml"} for name in ("corm", "fastgen", "dbudgetkv")
    }
    points |= {
        "small window": stages(SMALL_WINDOW), "capped": stages(CAPPED), "loose": stages(fastgen),
        "by position": stages(BY_POSITION), "by window": stages(BY_WINDOW),
    }  # fmt: skip
    config = folder / "signals.yaml"
    config.write_text(
        CONFIG.format(configs=configs, trace=sample(project_root), points=json.dumps(points), steps=STEPS)
    )
    kvreplay("run", config, "-o", folder / "out.h5")
    with h5py.File(folder / "out.h5") as file:
        yield file


class Layer:
    """All KV heads of one layer, and the classes of the tokens."""

    def __init__(self, file: h5py.File, number: int):
        self.heads = [Head(file, number, head) for head in range(HEADS)]
        self.classes = file["token_class"][:]


def corm(layer: Layer, head: Head, window: int, recent: int, most: int = 10**9) -> Iterator[Attended]:
    bits: list[np.ndarray] = []  # of the last queries, [GROUP, entries], newest last

    def push(position: int, live: list[int]) -> None:
        row = np.zeros((GROUP, PROMPT + STEPS), bool)
        row[:, live] = head.softmax(position, live) >= 1 / len(live)
        bits.append(row)
        del bits[:-window]

    def keep(live: set[int], entries: int) -> set[int]:
        hits = np.sum(bits, axis=0).max(axis=0)
        for entry in range(max(0, entries - window + 1), entries):  # fewer than `window` queries saw it
            hits[entry] = max(hits[entry], 1)
        last = {entry for entry in live if entry >= entries - recent}
        worth = [entry for entry in live - last if hits[entry] >= 1]
        return last | best_of(sorted(worth), lambda entry: hits[entry], most)

    for position in range(PROMPT - min(window, 32), PROMPT):
        push(position, list(range(position + 1)))
    live = keep(set(range(PROMPT)), PROMPT)
    for position in range(PROMPT, PROMPT + STEPS):
        live = live | {position}
        yield everything_live(head, position, live)
        push(position, sorted(live))
        live = keep(live, position + 1)


def fastgen(layer: Layer, head: Head, recovery: float) -> Iterator[Attended]:
    sums = np.zeros(PROMPT + STEPS)
    sums[:PROMPT] = head.sums.sum(axis=0)

    def rung_of(rung: int, live: set[int], entries: int) -> set[int]:
        """What of `live` a rung keeps when there have been so many entries."""
        kept = {e for e in live if e < FIRST or layer.classes[e] == SPECIAL}
        kept |= {e for e in live if rung >= 1 and layer.classes[e] == PUNCTUATION}
        if rung == 3:
            kept |= {e for e in live if e >= entries - max(1, int(SHARE * entries))}
        if rung in (2, 3):
            kept |= best_of(sorted(live - kept), lambda e: sums[e], int(np.ceil(SHARE * entries)))
        return set(live) if rung == 4 else kept

    def recovered(rung: int) -> float:
        kept = rung_of(rung, set(range(PROMPT)), PROMPT)
        masses = []
        for position in range(PROMPT - PROFILED, PROMPT):
            mask = np.array([e in kept for e in range(position + 1)])
            if rung == 3:  # the local ones are those before the query
                local = max(1, int(SHARE * PROMPT))
                final = set(range(PROMPT - local, PROMPT))
                marked = rung_of(1, set(range(PROMPT)), PROMPT)
                mask = np.array([(e in kept and e not in final) or e in marked for e in range(position + 1)])
                mask[max(0, position + 1 - local) :] = True
            masses.append(head.softmax(position, list(range(position + 1)))[:, mask].sum(axis=1))
        return float(np.mean(masses))

    rung = next((r for r in range(4) if recovered(r) >= recovery), 4)
    live = rung_of(rung, set(range(PROMPT)), PROMPT)
    for position in range(PROMPT, PROMPT + STEPS):
        live = live | {position}
        yield everything_live(head, position, live)
        order = sorted(live)
        sums[order] += head.softmax(position, order).sum(axis=0)
        live = rung_of(rung, live, position + 1)


def norm_drop(layer: Layer, head: Head, order: str) -> Iterator[Attended]:
    sinks, recent = (4, 0) if order == "position" else (0, KEPT_RECENT)
    candidates = np.arange(sinks, PROMPT - recent)
    ranked, squares = [], []
    for one in layer.heads:
        worth = {
            "position": lambda _: np.arange(PROMPT, dtype=float),
            "sums": lambda h: h.sums.sum(axis=0),
            "window": lambda h: sum(
                np.pad(h.softmax(p, list(range(p + 1)))[:, : PROMPT - 8], ((0, 0), (0, 8))).sum(axis=0)
                for p in range(PROMPT - 8, PROMPT)
            ),
        }[order](one)
        ranked.append(candidates[np.argsort(-worth[candidates], kind="stable")])
        squares.append(one.softmax(PROMPT - 1, list(range(PROMPT)))[:, ranked[-1]] ** 2)
    norms = np.sqrt(np.cumsum(np.concatenate(squares), axis=1)).mean(axis=0)  # [kept - 1], best first
    kept = 1 + int(np.argmax(1 - norms / norms[-1] <= DROP))
    own = ranked[layer.heads.index(head)][:kept].tolist()
    live = set(own) | set(range(sinks)) | set(range(PROMPT - recent, PROMPT))
    for position in range(PROMPT, PROMPT + STEPS):
        live = live | {position}
        yield everything_live(head, position, live)


REFERENCE = {
    "corm": lambda layer, head: corm(layer, head, CORM_WINDOW, CORM_RECENT),
    "small window": lambda layer, head: corm(layer, head, 6, 3),
    "capped": lambda layer, head: corm(layer, head, CORM_WINDOW, CORM_RECENT, CAP),
    "fastgen": lambda layer, head: fastgen(layer, head, RECOVERY),
    "loose": lambda layer, head: fastgen(layer, head, 0.6),
    "dbudgetkv": lambda layer, head: norm_drop(layer, head, "sums"),
    "by position": lambda layer, head: norm_drop(layer, head, "position"),
    "by window": lambda layer, head: norm_drop(layer, head, "window"),
}


@pytest.mark.parametrize("system", REFERENCE)
def test_every_step_is_that_of_numpy(system: str, results: h5py.File, project_root: Path) -> None:
    point = [name.decode() for name in results["point"][:]].index(system)
    retained = []
    with h5py.File(sample(project_root)) as trace:
        for index, number in enumerate(LAYERS):
            layer = Layer(trace, number)
            for head, one in enumerate(layer.heads):
                for step, attended in enumerate(REFERENCE[system](layer, one)):
                    expected = one.quality(PROMPT + step, attended)
                    got = {name: float(results[name][point, step, index, head]) for name in expected}
                    assert got == pytest.approx(expected, abs=2e-5, rel=1e-4), (number, head, step)
                    retained.append(expected["retained"])
                    best = np.sort(one.softmax(PROMPT + step, list(range(PROMPT + step + 1))), axis=1)
                    most = best[:, -len(attended.live) :].sum(axis=1).mean()
                    assert got["mass"] <= most + 1e-6  # U9: of as many entries none have more
    assert min(retained) < 0.95  # something went


def permuted(trace: Path, order: list[int], to: Path) -> Path:
    """The same trace with its KV heads, and the query heads of each, in another order."""
    to.write_bytes(trace.read_bytes())
    queries = [head * GROUP + query for head in order for query in range(GROUP)]
    with h5py.File(to, "r+") as file:
        for layer in file["layers"].values():
            for name, dataset in layer.items():
                values = dataset[:][order if name in ("keys", "values") else queries]
                dataset[:] = values
                time_major = np.ascontiguousarray(np.swapaxes(values, 0, 1))
                dataset.attrs["checksum"] = f"sha256:{hashlib.sha256(time_major.tobytes()).hexdigest()}"
    return to


def test_permuting_heads_permutes_results(kvreplay, project_root: Path, tmp_path: Path) -> None:
    """U5."""
    order, values = [2, 0, 1], {}
    traces = {
        "as it is": sample(project_root),
        "permuted": permuted(sample(project_root), order, tmp_path / "permuted.h5"),
    }
    configs = project_root / "configs"
    points = {
        name: {"include": f"{configs}/systems/{name}.yaml"} for name in ("corm", "fastgen", "dbudgetkv")
    }
    for name, trace in traces.items():
        config = tmp_path / "config.yaml"
        config.write_text(CONFIG.format(configs=configs, trace=trace, points=json.dumps(points), steps=STEPS))
        kvreplay("run", config, "-o", tmp_path / f"{name} out.h5")
        with h5py.File(tmp_path / f"{name} out.h5") as file:
            values[name] = {key: file[key][:] for key in ("retained", "mass", "output_error")}
    for key, of_heads in values["as it is"].items():
        np.testing.assert_array_equal(values["permuted"][key], of_heads[..., order], err_msg=key)


def test_the_heads_of_a_layer_keep_one_number_and_layers_differ(results: h5py.File) -> None:
    point = [name.decode() for name in results["point"][:]].index("dbudgetkv")
    kept = np.rint(results["retained"][point, 0] * (PROMPT + 1))
    assert (kept == kept[:, :1]).all()
    assert len(set(kept[:, 0])) > 1


def test_rungs_are_told_and_never_change(results: h5py.File) -> None:
    points = [name.decode() for name in results["point"][:]]
    rungs = {name: results["head_profile.rung"][points.index(name)][:] for name in ("fastgen", "loose")}
    for name, rung in rungs.items():
        assert (rung == rung[0]).all(), name
    assert (rungs["loose"] <= rungs["fastgen"]).all()
    assert len(set(rungs["loose"][0].ravel())) > 1
    recovered = results["head_profile.recovered"][points.index("fastgen")][:]
    assert (recovered >= RECOVERY).all()
    assert np.isnan(results["head_profile.rung"][points.index("corm")][:]).all()
