"""Tiers that attention reads in place, and a stage that places: what results say, against plain sums."""

import numpy as np
import pytest
import xarray as xr

STEPS = 40
EVERY = 8
FIRST, SECOND = 4e6, 1e6  # B/s
ENTRY = 2 * 2 * 64  # B: K and V in fp16

CONFIG = """
trace: {{path: {trace}}}
phone: roofline
device: analytic
system:
  clustering: {{type: page, page_tokens: 8}}
  stages:
    - {{when: {when}, every: {every}, effect: place, tier: hbm, scorer: centroid,
       budget: {{type: fixed, entries: 64}}, pins: {{sinks: 0, recent: 0}}}}
    - {{scorer: centroid, budget: {{type: fixed, entries: 48}}, pins: {{sinks: 4, recent: 8}}}}
  tiers:
    - {{name: hbm, bandwidth: 4MB/s, access: in_place}}
    - {{name: ext, bandwidth: 1MB/s, access: in_place}}
  replacement: lru
  cache: {{capacity: 1MiB}}
  schedule: serial
run: {{check: every_step, steps: {steps}}}
"""


@pytest.fixture(scope="module")
def data(kvreplay, tmp_path_factory):
    folder = tmp_path_factory.mktemp("placement")
    sizes = "--layers 1 --kv-heads 2 --group 2 --head-dim 64 --prompt 256 --steps 48"
    kvreplay("trace", "synth", folder / "t.h5", *sizes.split())
    results = {}
    for name, when, every in (("once", "prefill_end", 1), ("again", "[prefill_end, step]", EVERY)):
        text = CONFIG.format(trace=folder / "t.h5", when=when, every=every, steps=STEPS)
        (folder / f"{name}.yaml").write_text(text)
        kvreplay("run", folder / f"{name}.yaml", "-o", folder / f"{name}.h5")
        results[name] = xr.load_dataset(folder / f"{name}.h5", engine="h5netcdf").isel(point=0)
    return results


@pytest.mark.parametrize("name", ["once", "again"])
def test_attention_takes_what_the_slower_part_takes(data, name):
    result = data[name]
    second = result.tier_hit_bytes.sel(tier="ext").values
    first = result.attended_entries.sum(["layer", "kv_head"]).values * ENTRY - second
    np.testing.assert_allclose(
        result.critical_attention_s, np.maximum(first / FIRST, second / SECOND), rtol=1e-9
    )
    assert (second > 0).any() and (first > 4 * second).any()


def test_nothing_is_copied_up_but_what_is_placed(data):
    assert (data["once"].tier_up_bytes == 0).all()
    assert (data["once"].critical_placement_s == 0).all()
    up = data["again"].tier_up_bytes.sel(tier="ext").values
    fires = (np.arange(STEPS) + 1) % EVERY == 0
    assert (up[~fires] == 0).all() and up[fires].sum() > 0
    np.testing.assert_allclose(data["again"].critical_placement_s, up / SECOND, rtol=1e-9)
    assert (up % ENTRY == 0).all() and up.max() <= 2 * (64 + EVERY) * ENTRY


def test_what_is_missed_is_read_where_it_is_and_where_entries_lie_changes_no_attention(data):
    for result in data.values():
        missed = (result.demanded_bytes - result.hit_bytes).sum(["layer", "kv_head"])
        np.testing.assert_allclose(result.tier_hit_bytes.sel(tier="ext"), missed)
        np.testing.assert_allclose(result.tier_down_bytes.sel(tier="ext"), 2 * ENTRY)
        assert (result.cache_bytes <= 2 * (64 + 8) * ENTRY).all()
    np.testing.assert_array_equal(data["once"].output_error, data["again"].output_error)
