"""Placements in HBM and memory beyond it, in short: what is recorded, and the table made of it."""

import os
import subprocess
import sys

import kvreplay
import numpy as np
import pytest
from kvreplay.placed import placed

ENTRY = 256.0
PLACEMENTS = ["PreferHBM", "PreferHBM, paged", "LookAheadOne", "Split"]
FIRST, LAST = 16, 31  # the recorded steps


@pytest.fixture(scope="module")
def results(kvreplay, project_root, tmp_path_factory):
    out = tmp_path_factory.mktemp("seeds") / "placement.h5"
    config = project_root / "configs" / "paper" / "seeds" / "hbm_placement.yaml"
    short = ["--set", f"run.steps={LAST + 1}", "--set", f"record.units={FIRST}..{LAST}"]
    kvreplay("run", config, *short, "-o", out)
    return out


@pytest.mark.parametrize("point", PLACEMENTS)
def test_what_a_plan_reads_in_the_first_memory_is_what_the_replay_hit(results, point):
    data = kvreplay.open(results).sel(point=point).isel(step=slice(FIRST + 1, None))
    hits = (data.hit_bytes.sum("kv_head") / data.demanded_bytes.sum("kv_head")).transpose("layer", "step")
    for layer, of_layer in placed(results, point, page_entries=16, entry_bytes=ENTRY).items():
        stream = of_layer.stream
        share = (stream.reads * of_layer.plan).sum(axis=1) / stream.reads.sum(axis=1)
        np.testing.assert_allclose(hits.sel(layer=layer), share, rtol=1e-12)


def test_no_plan_of_the_table_is_faster_than_the_annealed_or_than_both_bandwidths(results, project_root):
    program = project_root / "configs" / "paper" / "seeds" / "hbm_placement.py"
    done = subprocess.run(
        [sys.executable, program, results, "--seeds", "1", "--moves", "300"],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ,
    )
    rows = {}
    for line in done.stdout.splitlines()[2:]:
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[name] = np.array([float(cell.split()[0]) for cell in cells[:4]])
    assert list(rows)[:4] == PLACEMENTS and len(rows) == 8
    for name, times in rows.items():
        if name == "all bytes over both bandwidths":
            assert (times <= rows["annealed"]).all()
        else:
            assert (times >= rows["annealed"]).all(), name
