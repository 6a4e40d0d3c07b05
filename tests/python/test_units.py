"""`record.units`: what is recorded is what numpy chooses from the trace alone, and adds up to the metrics."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import kvreplay as package
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from conftest import ROOT

SAMPLE = ROOT / "traces" / "samples" / "smollm2.h5"
STEPS, FIRST, LAST = 12, 5, 8
MODEL_LAYERS = 10  # for which the four that were captured stand in turn
PAGE, BUDGET, SINKS, RECENT = 16, 40, 4, 16

POINTS = {
    "pages": {"clustering": {"type": "page", "page_tokens": PAGE}, "scorer": "centroid"},
    "entries": {"clustering": "token", "scorer": "exact"},
    "each query head": {
        "clustering": {"type": "page", "page_tokens": PAGE}, "scorer": "centroid", "fold": "none",
    },
    "entries of pages": {
        "clustering": {"type": "page", "page_tokens": PAGE}, "scorer": "exact", "units": "token",
    },
}  # fmt: skip

Run = Callable[..., subprocess.CompletedProcess[str]]


def point(clustering: object, **stage: object) -> dict:
    chosen = {
        "budget": {"type": "fixed", "entries": BUDGET},
        "pins": {"sinks": SINKS, "recent": RECENT},
        **stage,
    }
    system = {
        "clustering": clustering, "stages": [chosen], "layout": "token_order", "replacement": "lru",
        "cache": {"capacity": "128KiB"},
    }  # fmt: skip
    return {"system": system}


def config(folder: Path, points: dict[str, dict], window: dict | None, **run: object) -> Path:
    path = folder / "units.yaml"
    path.write_text(
        json.dumps(
            {
                "name": "units",
                "include": [f"{ROOT}/configs/phones/oneplus_12.yaml", f"{ROOT}/configs/devices/ufs40.yaml"],
                "trace": {"path": str(SAMPLE)},
                "model": {"type": "decoder", "layers": MODEL_LAYERS},
                "points": points,
                "run": {"steps": STEPS, **run},
                "record": {"host_timing": False} | ({"units": window} if window else {}),
            }
        )
    )
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("units")


@pytest.fixture(scope="module")
def results(kvreplay: Run, folder: Path) -> Path:
    points = {name: point(**settings) for name, settings in POINTS.items()}
    path = config(folder, points, {"steps": f"{FIRST}..{LAST}"})
    kvreplay(
        "run", path, "-o", folder / "out.h5", "--timeline", folder / "out.json", "--timeline-steps", "4-6"
    )
    return folder / "out.h5"


def chosen_pages(trace: package.Trace, layer: int, head: int, step: int, query: int | None = None) -> list:
    """Pages by the logit of their mean key with the queries' mean, or one query's: (page, score, entries)."""
    position = trace.prefill_len + step
    row = int(np.flatnonzero(trace.query_positions == position)[0])
    queries = trace.queries(layer, head)[:, row].astype(np.float64)
    keys = trace.keys(layer, head)[:position].astype(np.float64)
    asked = queries.mean(axis=0) if query is None else queries[query]
    scores = {}
    for page in range(-(-position // PAGE)):
        mean = keys[page * PAGE : (page + 1) * PAGE].mean(axis=0)
        scores[page] = trace.model.attention_scale * float(mean @ asked)
    left, found = BUDGET, []
    for page in sorted(scores, key=lambda one: -scores[one]):
        open_entries = [
            entry
            for entry in range(page * PAGE, min((page + 1) * PAGE, position))
            if SINKS <= entry < position - RECENT
        ][:left]
        if open_entries and left:
            found.append((page, scores[page], open_entries))
            left -= len(open_entries)
    return found


def at(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    for name, value in values.items():
        table = table[table[name] == value]
    return table


def test_pages_are_those_that_numpy_chooses(results: Path) -> None:
    table = package.units(results, point="pages")
    assert sorted(table.step.unique()) == list(range(FIRST, LAST + 1))
    with package.open_trace(SAMPLE) as trace:
        for step in range(FIRST, LAST + 1):
            for layer in trace.layers:
                for head in trace.kv_heads:
                    rows = at(table, step=step, layer=layer, kv_head=head, role="chosen")
                    expected = chosen_pages(trace, layer, head, step)
                    assert rows.unit.tolist() == [page for page, _, _ in expected]
                    assert rows["rank"].tolist() == list(range(1, len(expected) + 1))
                    assert [one.tolist() for one in rows.positions] == [entries for *_, entries in expected]
                    np.testing.assert_allclose(rows.score, [score for _, score, _ in expected], rtol=1e-4)


def test_each_query_head_has_a_choice_of_its_own(results: Path) -> None:
    table = package.units(results, point="each query head")
    with package.open_trace(SAMPLE) as trace:
        for query in range(trace.model.group):
            rows = at(table, step=FIRST, layer=trace.layers[1], kv_head=2, role="chosen", query_head=query)
            expected = chosen_pages(trace, trace.layers[1], 2, FIRST, query)
            assert rows.unit.tolist() == [page for page, _, _ in expected]
            assert [one.tolist() for one in rows.positions] == [entries for *_, entries in expected]


def test_entries_are_ranked_by_their_logits_and_missed_ones_are_those_recall_counts(results: Path) -> None:
    data = package.open(results, stack=True)
    for name in POINTS:
        table = package.units(results, point=name)
        recall = data.recall.sel(point=name)
        with package.open_trace(SAMPLE) as trace:
            for step in range(FIRST, LAST + 1):
                for layer in trace.layers:
                    for head in trace.kv_heads:
                        missed = at(table, step=step, layer=layer, kv_head=head, role="missed")
                        share = 1.0 - missed.entry_count.sum() / (BUDGET * trace.model.group)
                        assert share == pytest.approx(
                            float(recall.sel(step=step, layer=layer, kv_head=head)), abs=1e-12
                        )


def test_true_weights_are_the_softmax(results: Path) -> None:
    entries = package.units(results, "entries", point="entries")
    with package.open_trace(SAMPLE) as trace:
        layer, head, step = trace.layers[2], 1, LAST
        position = trace.prefill_len + step
        row = int(np.flatnonzero(trace.query_positions == position)[0])
        queries = trace.queries(layer, head)[:, row].astype(np.float64)
        keys = trace.keys(layer, head)[: position + 1].astype(np.float64)
        logits = trace.model.attention_scale * queries @ keys.T
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        rows = at(entries, step=step, layer=layer, kv_head=head)
        for role, expected in (("chosen", weights.mean(axis=0)), ("pinned", weights.mean(axis=0))):
            own = rows[rows.role == role]
            np.testing.assert_allclose(own.weight, expected[own.position.to_numpy()], rtol=1e-3, atol=1e-6)
        pinned = rows[rows.role == "pinned"].position.tolist()
        assert pinned == [*range(SINKS), *range(position - RECENT, position + 1)]
        best = np.sort(logits.mean(axis=0)[SINKS : position - RECENT])[::-1][:BUDGET]
        chosen = rows[rows.role == "chosen"].position.to_numpy()
        np.testing.assert_allclose(np.sort(logits.mean(axis=0)[chosen])[::-1], best, rtol=1e-3)


@pytest.mark.parametrize("name", POINTS)
def test_reads_add_up_to_the_metrics(results: Path, name: str) -> None:
    data = package.open(results, stack=True).sel(point=name)
    requests = package.units(results, "requests", point=name)
    choices = package.units(results, point=name)
    asked = choices[choices.in_first_tier >= 0]
    assert set(asked.role) == ({"chosen"} if name in ("pages", "entries") else {"demanded"})
    copies = copies_of(data)
    for step in range(FIRST, LAST + 1):
        for layer in data.layer.to_numpy():
            own = at(requests, step=step, layer=layer)
            metric = float(data.read_bytes.sel(step=step, layer=layer))
            assert own.length_bytes.sum() * copies[int(layer)] == pytest.approx(metric, rel=1e-12)
            for head in data.kv_head.to_numpy():
                place = {"step": step, "layer": layer, "kv_head": head}
                rows = at(asked, **place)
                assert len(rows) == float(data.demanded_units.sel(place))
                assert rows.hit.sum() == float(data.hit_units.sel(place))
                useful = float(data.useful_read_bytes.sel(place))
                assert rows.read_bytes.sum() * copies[int(layer)] == pytest.approx(useful, rel=1e-12)


def copies_of(data: xr.Dataset) -> dict[int, int]:
    """Layers of the model that each captured one stands for, in turn."""
    layers = data.layer.to_numpy().tolist()
    times, more = divmod(MODEL_LAYERS, len(layers))
    return {layer: times + (place < more) for place, layer in enumerate(layers)}


@pytest.mark.parametrize("name", POINTS)
def test_extents_are_what_the_requests_read(results: Path, name: str) -> None:
    """Widened to blocks they are the requests, no more and no less."""
    requests = at(package.units(results, "requests", point=name), use="demand")
    extents = package.units(results, "extents", point=name)
    for (step, layer), own in extents.groupby(["step", "layer"]):
        blocks = set()
        for offset, length in zip(own.offset_bytes, own.length_bytes, strict=True):
            blocks.update(range(offset // 4096, (offset + length - 1) // 4096 + 1))
        asked = at(requests, step=step, layer=layer)
        read = set()
        for offset, length in zip(asked.offset_bytes, asked.length_bytes, strict=True):
            read.update(range(offset // 4096, (offset + length) // 4096))
        assert blocks == read


def test_entries_of_a_hit_unit_are_in_dram(results: Path) -> None:
    entries = package.units(results, "entries", point="pages")
    choices = package.units(results, point="pages")
    found = entries[entries.role == "chosen"]
    counts = found.groupby(["step", "layer", "kv_head", "unit"]).tier.agg(
        lambda tiers: (tiers == "dram").sum()
    )
    rows = choices[choices.role == "chosen"].set_index(["step", "layer", "kv_head", "unit"])
    assert (counts == rows.in_first_tier.loc[counts.index]).all()
    assert set(found.tier) <= {"dram", "flash"}


def test_the_timeline_names_units(results: Path, folder: Path) -> None:
    events = json.loads((folder / "out.json").read_text())["traceEvents"]
    choices = package.units(results, point="pages")
    reads = [event for event in events if event.get("name") == "read" and event["pid"] == 1]
    steps = {event["args"].get("units") is not None for event in reads}
    assert steps == {True, False}  # step 4 is not in the window
    named = [event for event in reads if "units" in event["args"]]
    step = at(choices, step=FIRST, role="chosen")
    first = named[0]
    layers = sorted(step.layer.unique())
    own = at(step, layer=layers[first["args"]["layer"] % len(layers)])
    own = own[own.read_bytes > 0]
    expected = [
        f"KV head {head}: units {', '.join(map(str, rows.unit))}" for head, rows in own.groupby("kv_head")
    ]
    assert first["args"]["units"] == expected


def test_every_reader_opens_the_tables(results: Path) -> None:
    for table, dimension in (
        ("choices", "choice"), ("entries", "entry"), ("extents", "extent"), ("requests", "request"),
    ):  # fmt: skip
        data = xr.open_dataset(results, engine="h5netcdf", group=f"unit_record/{table}")
        assert list(data.sizes) == [dimension]
        assert len(data.to_dataframe()) == data.sizes[dimension]
    choices = xr.open_dataset(results, engine="h5netcdf", group="unit_record/choices").to_dataframe()
    entries = xr.open_dataset(results, engine="h5netcdf", group="unit_record/entries").to_dataframe()
    starts = choices.first_entry.to_numpy()
    assert (np.diff(starts) == choices.entry_count.to_numpy()[:-1]).all()
    assert (entries.choice.to_numpy() == np.repeat(choices.index, choices.entry_count)).all()
    assert package.open(results, stack=True, group="unit_record").entry_count.sum() == len(entries)
    with h5py.File(results) as file:
        assert file["unit_record/choices/role"].attrs["flag_meanings"].startswith(b"chosen")


def run_as(kvreplay: Run, folder: Path, name: str, window: dict | None, *options: str, **run: object) -> Path:
    own = folder / name
    own.mkdir()
    points = {one: point(**settings) for one, settings in POINTS.items()}
    kvreplay("run", config(own, points, window, **run), "-o", own / "out.h5", *options)
    return own / "out.h5"


def tables(path: Path) -> dict[str, bytes]:
    """Every dataset of a group and its attributes, as bytes."""
    found = {}
    with h5py.File(path) as file:

        def take(name: str, item: h5py.HLObject) -> None:
            if isinstance(item, h5py.Dataset) and not name.startswith(("host", "provenance")):
                found[name] = item[()].tobytes()

        file.visititems(take)
    return found


def test_the_record_is_the_same_however_it_is_run(kvreplay: Run, folder: Path, results: Path) -> None:
    window = {"steps": f"{FIRST}..{LAST}"}
    expected = tables(results)
    assert any(name.startswith("unit_record/") for name in expected)
    for name, options, run in (
        ("threads", [], {"threads": 2}),
        ("jobs", ["-j", "2", "--together", "1"], {}),
        ("alone", ["--together", "1"], {}),
    ):
        assert tables(run_as(kvreplay, folder, name, window, *options, **run)) == expected
    parts = [
        run_as(
            kvreplay, folder, f"part{part}", window, "--shard", f"{part}/2", "--store", str(folder / "store")
        )
        for part in (1, 2)
    ]
    kvreplay("result", "merge", *parts, "-o", folder / "merged.h5")
    assert tables(folder / "merged.h5") == expected
    resumed = run_as(kvreplay, folder, "resumed", window, "--store", str(folder / "store"))
    assert tables(resumed) == expected


def test_without_a_window_nothing_changes(kvreplay: Run, folder: Path, results: Path) -> None:
    plain = run_as(kvreplay, folder, "plain", None)
    expected = {
        name: bytes_ for name, bytes_ in tables(results).items() if not name.startswith("unit_record/")
    }
    assert tables(plain) == expected
    with h5py.File(plain) as file:
        assert "unit_record" not in file
        assert "units" not in yaml.safe_load(file["provenance/resolved_config"].asstr()[0])["record"]
    with pytest.raises(package.Error, match=r"no units are recorded; .*record\.units=0\.\.3"):
        package.units(plain)


def test_heads_that_decide_together_and_stages_that_guess_and_narrow(kvreplay: Run, folder: Path) -> None:
    own = folder / "together"
    own.mkdir()
    stages = [
        {
            "name": "guess", "effect": "prefetch", "layers": "6..", "queries": "previous_layer",
            "scorer": "centroid", "budget": {"type": "fixed", "entries": 64},
        },
        {"effect": "select", "layers": "6..", "take": "guess", "pins": {"sinks": 0, "recent": 8}},
    ]  # fmt: skip
    ahead = {
        "heads": "together", "clustering": {"type": "page", "page_tokens": 4}, "stages": stages,
        "layout": "token_order", "replacement": "fifo", "cache": {"capacity": "256KiB", "scope": "layer"},
        "schedule": "look_ahead",
    }  # fmt: skip
    narrow = point({"type": "page", "page_tokens": 4}, scorer="centroid")
    narrow["system"]["stages"].insert(
        0, {"name": "coarse", "scorer": "centroid", "budget": {"type": "fixed", "entries": 200}}
    )
    path = config(own, {"ahead": {"system": ahead}, "narrow": narrow}, {"steps": 3, "heads": [1]})
    kvreplay("run", path, "-o", own / "out.h5")
    table = package.units(own / "out.h5", point="ahead")
    assert set(table.kv_head) == {-1}
    guessed = table[table.role == "prefetched"]
    assert set(guessed.layer) == {12, 19, 26}
    assert set(guessed.stage) == {"guess"}
    data = package.open(own / "out.h5", stack=True).sel(point="ahead")
    requests = package.units(own / "out.h5", "requests", point="ahead")
    for layer in data.layer.to_numpy():
        copies = copies_of(data)[int(layer)]
        for use, metric in (("prefetch", data.prefetch_read_bytes), ("update", data.update_read_bytes)):
            read = at(requests, layer=layer, use=use).length_bytes.sum() * copies
            assert read == pytest.approx(float(metric.sel(step=3, layer=layer)), rel=1e-12)
    assert guessed.read_bytes.sum() > 0
    assert (table[table.role == "chosen"].came_ahead >= 0).all()

    table = package.units(own / "out.h5", point="narrow")
    coarse, fine = (
        table[(table.role == "chosen") & (table.stage == stage)] for stage in ("coarse", "select")
    )
    assert set(table.kv_head) == {1}
    for layer, rows in fine.groupby("layer"):
        allowed = set(np.concatenate(coarse[coarse.layer == layer].positions.tolist()).tolist())
        assert set(np.concatenate(rows.positions.tolist()).tolist()) <= allowed
    assert coarse.hit.isna().all()
    assert fine.hit.notna().all()


def test_what_evictions_keep_and_remove(kvreplay: Run, folder: Path) -> None:
    own = folder / "evicting"
    own.mkdir()
    system = {"include": f"{ROOT}/configs/systems/h2o.yaml"}
    kvreplay("run", config(own, {"h2o": system}, {"steps": "0..2"}), "-o", own / "out.h5")
    table = package.units(own / "out.h5")
    data = package.open(own / "out.h5", stack=True)
    for layer in data.layer.to_numpy():
        rows = at(table, layer=layer, kv_head=0)
        demanded = [
            set(np.concatenate(at(rows, step=step, role="demanded").positions.tolist())) for step in (0, 1)
        ]
        removed = set(np.concatenate(at(rows, step=0, role="removed").positions.tolist()))
        assert removed
        assert not removed & demanded[1]
        assert demanded[0] - removed <= demanded[1]
    assert "kept" in set(table.role)


def test_sequences_of_a_batch_are_told_apart(kvreplay: Run, folder: Path) -> None:
    own = folder / "batch"
    own.mkdir()
    path = config(own, {"batch": point(**POINTS["pages"])}, {"steps": 2, "layers": 5, "sequences": 1})
    kvreplay("run", path, "-o", own / "out.h5", "--set", "workload.sequences=[{offset: 0}, {offset: 3}]")
    table = package.units(own / "out.h5")
    assert set(table.sequence) == {1}
    with package.open_trace(SAMPLE) as trace:
        rows = at(table, layer=5, kv_head=1, role="chosen")
        expected = chosen_pages(trace, 5, 1, 2 + 3)
        assert rows.unit.tolist() == [page for page, _, _ in expected]
    text = kvreplay("inspect", own / "out.h5", "--head", "1").stdout
    assert text.splitlines()[0].endswith("sequence 1, layer 5, KV head 1")


def test_what_a_turn_reads_in_is_no_part_of_the_step_before_it(kvreplay: Run, folder: Path) -> None:
    own = folder / "turns"
    own.mkdir()
    path = config(own, {"turns": point(**POINTS["pages"])}, {"steps": 1, "layers": 5}, steps=0)
    turns = "workload.turns=[{decode: 2}, {prefill: 8}, {decode: 1}]"
    kvreplay("run", path, "-o", own / "out.h5", "--set", turns)
    steps = "workload.turns=[{decode: 2}]"
    kvreplay("run", path, "-o", own / "steps.h5", "--set", steps)
    pd.testing.assert_frame_equal(package.units(own / "out.h5"), package.units(own / "steps.h5"))


def inspect(kvreplay: Run, *options: object) -> str:
    return kvreplay("inspect", *map(str, options)).stdout


def test_inspect_prints_the_table(kvreplay: Run, results: Path) -> None:
    words = (results, "--point", "pages", "--step", FIRST, "--layer", 12, "--head", 1)
    text = inspect(kvreplay, *words)
    rows = at(package.units(results, point="pages"), step=FIRST, layer=12, kv_head=1)
    lines = text.splitlines()
    assert lines[0] == f"{results}: pages, step {FIRST} at position {256 + FIRST}, layer 12, KV head 1"
    assert lines[1].startswith("recall ")
    section = lines.index("stage 0, select: chosen")
    assert lines[section + 1].split()[:4] == ["rank", "unit", "score", "attention"]
    chosen = rows[rows.role == "chosen"]
    printed = [line.split()[:2] for line in lines[section + 2 : section + 2 + len(chosen)]]
    assert printed == [[str(rank), str(unit)] for rank, unit in zip(chosen["rank"], chosen.unit, strict=True)]
    assert "pinned" in lines
    stage = inspect(kvreplay, *words, "--stage", "select")
    assert "pinned" not in stage
    assert stage == inspect(kvreplay, *words, "--stage", 0)


def test_inspect_prints_json(kvreplay: Run, results: Path) -> None:
    found = json.loads(
        inspect(kvreplay, results, "--point=pages", f"--step={LAST}", "--layer=26", "--head=0", "--json")
    )
    rows = at(package.units(results, point="pages"), step=LAST, layer=26, kv_head=0)
    assert [one["role"] for one in found["units"]] == rows.role.tolist()
    assert [one["positions"] for one in found["units"]] == [list(one) for one in rows.positions]
    assert sum(e["length_bytes"] for one in found["units"] for e in one["extents"]) == rows.read_bytes.sum()


@pytest.fixture
def refused(program_path: Path) -> Callable[..., list[str]]:
    def attempt(*words: object) -> list[str]:
        done = subprocess.run(
            [program_path, *map(str, words)], check=False, cwd=ROOT, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        return done.stderr.splitlines()

    return attempt


def test_inspect_says_what_is_recorded(
    refused: Callable[..., list[str]], results: Path, folder: Path
) -> None:
    words = ("inspect", results, "--point", "pages")
    assert refused(*words, "--step", 4, "--layer", 6) == [
        f"--step: 4 is not recorded; recorded: {FIRST}..{LAST}",
        "--layer: 6 is not recorded; recorded: 5, 12, 19, 26",
        "--head: is missing; recorded: 0..2",
    ]
    assert refused("inspect", results)[0].startswith("--point: is missing; ")
    assert "did you mean 'pages'?" in refused("inspect", results, "--point", "page")[0]
    where = ("--step", FIRST, "--layer", 5, "--head", 0)
    assert (
        "--stage: no such stage (selct); did you mean 'select'?"
        in refused(*words, *where, "--stage", "selct")[0]
    )


def test_inspect_of_results_without_a_record_says_what_to_set(
    refused: Callable[..., list[str]], demo_results: Path
) -> None:
    with h5py.File(demo_results) as file:
        name = file["point"].asstr()[0]
    (line,) = refused("inspect", demo_results, "--point", name)
    assert "no units are recorded; run it with record.units, as in --set record.units=0..3" in line


def test_a_window_that_is_not_there_is_refused(refused: Callable[..., list[str]], folder: Path) -> None:
    own = folder / "refused"
    own.mkdir()
    window = {"steps": "3..40", "layers": [5, 7], "heads": 9, "sequences": 1}
    lines = refused("run", config(own, {"pages": point(**POINTS["pages"])}, window))
    told = [line.split("record.units.", 1)[1] for line in lines if "record.units." in line]
    assert told == [
        f"steps: there is no step 40; allowed: 0..{STEPS - 1}",
        "sequences: there is no sequence 1; allowed: 0..0",
        "layers: layer 7 was not captured; allowed: 5, 12, 19, 26",
        "heads: KV head 9 was not captured; allowed: 0, 1, 2",
    ]
    assert all(line.startswith(f"{own}/units.yaml:1:") for line in lines)
    lines = refused("run", config(own, {"pages": point(**POINTS["pages"])}, {"layers": "all"}))
    assert any("record.units.steps: is missing; required: " in line for line in lines)


def test_too_little_dram_is_told_as_without_a_record(refused: Callable[..., list[str]], folder: Path) -> None:
    own = folder / "little"
    own.mkdir()
    path = config(own, {"little": point(**POINTS["pages"])}, {"steps": "all"})
    little = ["run", path, "--quiet", "--set", "system.dram=250kB", "--set", "system.cache={}"]
    told = refused(*little)
    assert "are less than what must be in DRAM" in told[0]
    config(own, {"little": point(**POINTS["pages"])}, None)
    assert told == refused(*little)


def test_a_record_that_contradicts_itself_is_refused(
    refused: Callable[..., list[str]], results: Path, folder: Path
) -> None:
    damaged = folder / "damaged.h5"
    damaged.write_bytes(results.read_bytes())
    with h5py.File(damaged, "r+") as file:
        file["unit_record/choices/entry_count"][3] += 1
    (line,) = refused("inspect", damaged, "--point", "pages", "--step", FIRST, "--layer", 5, "--head", 0)
    assert line == f"{damaged}: /unit_record: the tables of point 0 contradict one another"
