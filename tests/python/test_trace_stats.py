"""`kvreplay trace stats`: its figures by numpy and by replays, what it prints and what it refuses."""

import hashlib
import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay"))
PROMPT, STEPS, GROUP = 100, 30, 2
TINY = shlex.split("--layers 2 --kv-heads 2 --group 2 --head-dim 8 --prompt 100 --steps 30 --clusters 5")
SINKS, RECENT, PAGE = 4, 32, 16


def trace_command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, "--quiet", "trace", *arguments]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)


def stats(*arguments: str | Path) -> dict:
    done = trace_command("stats", *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def write_dataset(dataset: h5py.Dataset, values: np.ndarray) -> None:
    dataset[...] = values
    time_major = np.ascontiguousarray(np.swapaxes(dataset[...], 0, 1))
    dataset.attrs["checksum"] = "sha256:" + hashlib.sha256(time_major.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("stats") / "tiny.h5"
    done = trace_command("synth", path, *TINY)
    assert done.returncode == 0, done.stderr
    return path


class Head:
    """Keys, queries and softmax of one KV head, in double precision."""

    def __init__(self, trace: Path, layer: int, head: int) -> None:
        with h5py.File(trace) as f:
            self.scale = f.attrs["attention_scale"]
            self.keys = f[f"layers/{layer}/keys"][head].astype(float)
            queries = f[f"layers/{layer}/queries"][head * GROUP : (head + 1) * GROUP].astype(float)
            self.queries = queries[:, -STEPS:]

    def softmax(self, position: int) -> np.ndarray:
        """[group, visible entries]"""
        logits = self.scale * self.queries[:, position - PROMPT] @ self.keys[: position + 1].T
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    def page_scores(self, position: int) -> np.ndarray:
        """Of the pages of the entries before `position`, for the group."""
        means = [self.keys[a : min(a + PAGE, position)].mean(axis=0) for a in range(0, position, PAGE)]
        return (self.queries[:, position - PROMPT] @ np.array(means).T).mean(axis=0)


def positions_of(judged: int) -> list[int]:
    return [PROMPT + (2 * i + 1) * STEPS // (2 * judged) for i in range(judged)]


def chosen_of_pages(scores: np.ndarray, position: int, budget: int) -> list[int]:
    chosen: list[int] = []
    for page in np.argsort(-scores, kind="stable"):
        entries = range(page * PAGE, min((page + 1) * PAGE, position))
        chosen += [e for e in entries if SINKS <= e < position - RECENT]
    return chosen[:budget]


def recall_and_mass(head: Head, position: int, chosen: list[int]) -> tuple[float, float]:
    pinned = [*range(SINKS), *range(position - RECENT, position + 1)]
    softmax = head.softmax(position)
    candidates = np.arange(SINKS, position - RECENT)
    budget = len(chosen)
    recalls, masses = [], []
    for row in softmax:
        best = candidates[np.argsort(-row[candidates], kind="stable")[:budget]]
        recalls.append(len(set(best) & set(chosen)) / budget)
        masses.append(row[pinned].sum() + row[chosen].sum())
    return float(np.mean(recalls)), float(np.mean(masses))


def every_head(report: dict, trace: Path):
    assert [(h["layer"], h["head"]) for h in report["heads"]] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for found in report["heads"]:
        yield found, Head(trace, found["layer"], found["head"])


@pytest.mark.parametrize("judged", [STEPS, 7])
def test_entries_for_a_share_of_the_mass_are_those_that_numpy_counts(tiny, judged):
    report = stats(tiny, "--steps", "0" if judged == STEPS else str(judged))
    assert (report["judged_steps"], report["decode_steps"]) == (judged, STEPS)
    for found, head in every_head(report, tiny):
        for share in found["entries_for_mass"]:
            counts, visible = [], []
            for position in positions_of(judged):
                for row in head.softmax(position):
                    counts.append(1 + np.searchsorted(np.cumsum(np.sort(row)[::-1]), share["mass"]))
                    visible.append(counts[-1] / (position + 1))
            assert share["mean"] == pytest.approx(np.mean(counts), abs=1e-9)
            assert share["p95"] == pytest.approx(np.quantile(counts, 0.95), abs=1e-9)
            assert share["visible_share"] == pytest.approx(np.mean(visible), abs=1e-9)


@pytest.mark.parametrize("judged", [STEPS, 7])
def test_the_mass_of_sinks_and_windows_is_what_numpy_sums(tiny, judged):
    report = stats(tiny, "--steps", str(judged))
    for found, head in every_head(report, tiny):
        rows = [(p, row) for p in positions_of(judged) for row in head.softmax(p)]
        assert found["sink_mass"] == pytest.approx(np.mean([row[:SINKS].sum() for _, row in rows]), rel=1e-5)
        for window in found["window_mass"]:
            first = [max(SINKS, p - window["entries"]) for p, _ in rows]
            expected = np.mean([row[a:].sum() for a, (_, row) in zip(first, rows, strict=True)])
            assert window["mass"] == pytest.approx(expected, rel=1e-5)


def test_queries_are_compared_with_those_of_earlier_steps_as_numpy_does(tiny):
    for found, head in every_head(stats(tiny, "--steps", "1"), tiny):
        unit = head.queries / np.linalg.norm(head.queries, axis=2, keepdims=True)
        for lag, cosine in zip((1, 8, 64), found["query_cosine"], strict=True):
            assert cosine["steps"] == lag
            if lag >= STEPS:
                assert cosine["cosine"] is None
            else:
                expected = (unit[:, lag:] * unit[:, :-lag]).sum(axis=2).mean()
                assert cosine["cosine"] == pytest.approx(expected, abs=1e-6)


def test_recall_and_mass_of_pages_and_entries_are_those_of_a_selection_in_numpy(tiny):
    report = stats(tiny, "--steps", "0")
    for found, head in every_head(report, tiny):
        expected: dict[str, list[tuple[float, float]]] = {"pages": [], "entries": []}
        for p in positions_of(STEPS):
            budget = int(np.floor(0.1 * (p + 1) + 0.5))
            pages = chosen_of_pages(head.page_scores(p), p, budget)
            logits = (head.queries[:, p - PROMPT] @ head.keys[:p].T).mean(axis=0)[SINKS : p - RECENT]
            entries = SINKS + np.argsort(-logits, kind="stable")[:budget]
            expected["pages"].append(recall_and_mass(head, p, pages))
            expected["entries"].append(recall_and_mass(head, p, list(entries)))
        for units, pairs in expected.items():
            recall, mass = np.mean(pairs, axis=0)
            assert found["units"][units]["recall"] == pytest.approx(recall, abs=1e-9)
            assert found["units"][units]["mass"] == pytest.approx(mass, rel=1e-5)


CONFIG = """
include: [{root}/configs/phones/oneplus_12.yaml, {root}/configs/devices/ufs40.yaml, {root}/configs/models/qwen2.5-1.5b.yaml]
trace: {{path: {trace}}}
model: {{kv_heads: 2, query_heads: 4}}
run: {{seed: 5}}
system:
  clustering: {clustering}
  stages:
    - {{when: step, effect: select, scorer: centroid, budget: {{type: fraction, share: 0.1}}, pins: {{sinks: 4, recent: 32}}}}
  layout: token_order
  replacement: none
"""  # noqa: E501


@pytest.mark.parametrize(
    ("units", "clustering"),
    [
        ("pages", "{type: page, page_tokens: 16}"),
        ("static", "{type: kmeans, entries_per_cluster: 16}"),
    ],
)
def test_recall_and_mass_are_those_of_a_replay(tiny, tmp_path, kvreplay, units, clustering):
    config, out = tmp_path / "config.yaml", tmp_path / "out.h5"
    config.write_text(CONFIG.format(root=ROOT, trace=tiny, clustering=clustering))
    kvreplay("run", config, "-o", out, "--set", "record.per_step=true")
    report = stats(tiny, "--steps", "0", "--seed", "5")
    with h5py.File(out) as f:
        recall, mass = (f[name][...].reshape(STEPS, 4).mean(axis=0) for name in ("recall", "mass"))
    for i, found in enumerate(report["heads"]):
        assert found["units"][units]["recall"] == pytest.approx(recall[i], abs=1e-12)
        assert found["units"][units]["mass"] == pytest.approx(mass[i], abs=1e-12)


def test_drift_is_the_distance_from_clusters_that_cannot_be_mistaken(tiny, tmp_path):
    """Seven groups of keys far apart, as many as 100 prompt tokens have clusters, that widen later."""
    rng = np.random.default_rng(8)
    centres = 40.0 * np.eye(8)[:7]
    labels = np.arange(PROMPT + STEPS) % 7
    quarter = 4 * np.arange(STEPS) // STEPS
    spread = np.concatenate([np.full(PROMPT, 0.5), 0.5 * (1 + quarter)])
    keys = (centres[labels] + spread[:, None] * rng.normal(size=(PROMPT + STEPS, 8))).astype(np.float16)
    path = tmp_path / "groups.h5"
    path.write_bytes(tiny.read_bytes())
    with h5py.File(path, "r+") as f:
        write_dataset(f["layers/0/keys"], np.stack([keys, keys]))
    keys = keys.astype(float)
    centroids = np.array([keys[:PROMPT][labels[:PROMPT] == i].mean(axis=0) for i in range(7)])
    distances = ((keys - centroids[labels]) ** 2).sum(axis=1)
    own = distances[:PROMPT].mean()
    for found in stats(path, "--layer", "0")["heads"]:
        assert found["drift"]["prompt_variance"] == pytest.approx(own, rel=1e-5)
        expected = [distances[PROMPT:][quarter == q].mean() / own for q in range(4)]
        assert found["drift"]["quarters"] == pytest.approx(expected, rel=1e-5)


def test_the_json_keeps_its_keys(tiny):
    report = stats(tiny, "--layer", "1")
    heads = report.pop("heads")
    assert report == {
        "file": str(tiny),
        "model": "synthetic",
        "prompt": PROMPT,
        "decode_steps": STEPS,
        "judged_steps": STEPS,
        "group": GROUP,
        "seed": 1,
        "sinks": 4,
        "recent": 32,
        "budget_share": 0.1,
    }
    assert [head["layer"] for head in heads] == [1, 1]
    for head in heads:
        assert list(head) == [
            "layer",
            "head",
            "entries_for_mass",
            "sink_mass",
            "window_mass",
            "query_cosine",
            "units",
            "drift",
        ]
        assert [list(one) for one in head["entries_for_mass"]] == 4 * [
            ["mass", "mean", "p95", "visible_share"]
        ]
        assert [one["mass"] for one in head["entries_for_mass"]] == [0.5, 0.9, 0.95, 0.99]
        assert [one["entries"] for one in head["window_mass"]] == [32, 128, 512]
        assert [list(one) for one in head["window_mass"]] == 3 * [["entries", "mass"]]
        assert [one["steps"] for one in head["query_cosine"]] == [1, 8, 64]
        assert list(head["units"]) == ["entries", "pages", "clusters", "static"]
        assert [list(one) for one in head["units"].values()] == 4 * [["recall", "mass"]]
        assert list(head["drift"]) == ["prompt_variance", "quarters"]
        assert len(head["drift"]["quarters"]) == 4


def test_a_quarter_without_steps_is_null_and_a_dash(tmp_path):
    short = tmp_path / "short.h5"
    trace_command("synth", short, "--prompt", "20", "--prompt-window", "1", "--steps", "2", "--kv-heads", "1")
    quarters = stats(short)["heads"][0]["drift"]["quarters"]
    assert [quarter is None for quarter in quarters] == [False, True, False, True]
    last = trace_command("stats", short).stdout.splitlines()[-1].split()
    assert [word == "-" for word in last] == [False, False, False, True, False, True]


def test_the_tables_hold_the_figures_of_the_json(tiny):
    report = stats(tiny)
    done = trace_command("stats", tiny)
    assert (done.returncode, done.stderr) == (0, "")
    tables = done.stdout.split("\n\n")
    assert "30 of 30 decode steps, seed 1" in tables[0]
    for table, figures in zip(tables[1:], table_figures(report), strict=True):
        lines = [line.split() for line in table.splitlines()[2:]]
        assert [line[:2] for line in lines[:-1]] == [["0", "0"], ["0", "1"], ["1", "0"], ["1", "1"]]
        printed = np.array([[number(word) for word in line[2:]] for line in lines[:-1]])
        np.testing.assert_allclose(printed, figures, atol=0.051)
        assert lines[-1][0] == "mean"
        means = np.array([number(word) for word in lines[-1][1:]])
        np.testing.assert_allclose(means, np.mean(figures, axis=0), atol=0.051)


def number(word: str) -> float:
    return np.nan if word == "-" else float(word)


def table_figures(report: dict) -> list[list[list[float]]]:
    heads = report["heads"]
    return [
        [[s[key] for s in h["entries_for_mass"] for key in ("mean", "p95", "visible_share")] for h in heads],
        [[h["sink_mass"], *(w["mass"] for w in h["window_mass"])] for h in heads],
        [[np.nan if c["cosine"] is None else c["cosine"] for c in h["query_cosine"]] for h in heads],
        [[u[key] for u in h["units"].values() for key in ("recall", "mass")] for h in heads],
        [[h["drift"]["prompt_variance"], *h["drift"]["quarters"]] for h in heads],
    ]


def test_threads_change_nothing_and_progress_is_told_apart_from_results(tiny):
    assert stats(tiny, "--threads", "3") == stats(tiny)
    loud = subprocess.run([PROGRAM, "trace", "stats", tiny], check=True, capture_output=True, text=True)
    assert loud.stdout == trace_command("stats", tiny).stdout
    assert "trace stats: 60 of 60 steps" in loud.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--steps -1", "--steps: -1 is too few; allowed is 1 and more, or 0 for all"),
        ("--steps 31", "--steps: 31 is too many; {} has 30, 0 means all of them"),
        ("--layer 2", "--layer: 2 is not in {}; allowed is one of 0, 1"),
        ("--seed -1", "--seed: -1 is out of range; allowed is 0 and more"),
        ("--threads 0", "--threads: 0 is out of range; allowed is 1 to 256"),
        ("--threads 257", "--threads: 257 is out of range; allowed is 1 to 256"),
    ],
)
def test_a_wrong_option_is_named_with_what_is_allowed(tiny, options, message):
    done = trace_command("stats", tiny, *options.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == message.format(tiny) + "\n"


@pytest.mark.parametrize(
    "options", ["--steps x", "--steps 99999999999999999999", "--step 3", "second.h5", "--layer"]
)
def test_wrong_usage_is_exit_2(tiny, options):
    done = trace_command("stats", tiny, *options.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("kvreplay trace stats: ") and done.stderr.count("\n") == 1


def test_everything_that_is_wrong_is_told_at_once(tmp_path):
    done = trace_command("stats", tmp_path / "nowhere.h5", "--steps", "-1", "--threads", "0")
    assert done.returncode == 2
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == [
        "--steps",
        "--threads",
        str(tmp_path / "nowhere.h5"),
    ]


def test_no_trace_is_told():
    done = trace_command("stats")
    assert done.returncode == 2
    assert done.stderr == "kvreplay trace stats: no trace is given; see 'kvreplay trace stats --help'\n"


def test_a_trace_without_decode_steps_is_refused(tmp_path):
    still = tmp_path / "still.h5"
    trace_command("synth", still, "--prompt", "40", "--steps", "0")
    done = trace_command("stats", still)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{still}: there are no decode steps; statistics need one\n"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def no_hdf5(path: Path) -> None:
    path.write_text("layers: 2\n")


def not_finite(path: Path) -> None:
    with h5py.File(path, "r+") as f:
        f["layers/1/keys"][1, 7, 0] = np.nan


def changed(path: Path) -> None:
    with h5py.File(path, "r+") as f:
        f["layers/0/queries"][0, 3, 1] = 1.0


def misshapen(path: Path) -> None:
    with h5py.File(path, "r+") as f:
        f.attrs["seq_len"] = PROMPT + STEPS + 1


@pytest.mark.parametrize("spoil", [cut, no_hdf5, not_finite, changed, misshapen])
def test_what_validate_refuses_has_no_statistics(tiny, tmp_path, spoil):
    path = tmp_path / "spoilt.h5"
    path.write_bytes(tiny.read_bytes())
    spoil(path)
    done = trace_command("stats", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == trace_command("validate", path).stderr != ""


def test_a_scale_that_makes_logits_no_float_holds_is_refused(tiny, tmp_path):
    path = tmp_path / "loud.h5"
    path.write_bytes(tiny.read_bytes())
    with h5py.File(path, "r+") as f:
        f.attrs["attention_scale"] = 1e300
    done = trace_command("stats", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{path}: /@attention_scale: 1e+300; expected at most 1000000000\n"


def test_the_example_of_the_page_is_what_its_command_prints():
    """Figures may differ a little on another machine; anything else means: run the command, put it there."""
    page = (ROOT / "traces" / "STATS.md").read_text()
    command, shown = re.search(
        r"```sh\nbuild/release/kvreplay trace ([^\n]*)\n```\n\n```\n(.*?)```", page, re.S
    ).groups()
    done = trace_command(*shlex.split(command))
    assert done.returncode == 0, done.stderr
    number = r"-?\d+(?:\.\d+)?"
    words = [re.sub(r"\s+", " ", re.sub(number, "#", text)).strip() for text in (done.stdout, shown)]
    assert words[0] == words[1]
    figures = [[float(x) for x in re.findall(number, text)] for text in (done.stdout, shown)]
    np.testing.assert_allclose(figures[0], figures[1], rtol=0.02, atol=0.02)
