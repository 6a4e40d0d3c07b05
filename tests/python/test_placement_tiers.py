"""Tiers that are read in place: what came and has not gone is there, and links keep to their bandwidth."""

import kvreplay
import numpy as np
import pytest
import xarray as xr
from kvreplay.placed import placed
from kvreplay.placement import Memories, Traffic, held_by, plan_times, step_time, traffic_of

STEPS = 40
PAGE = 8
ENTRY = 2 * 2 * 64  # B: K and V in fp16
HEADS = 2
FIRST, MIDDLE, LAST = 4e6, 2e6, 1e6  # B/s
MEMORIES = Memories(hbm=FIRST, link_read=LAST, link_write=LAST, internal=LAST)
CAPACITY = 64  # entries of a head

SELECT = (
    "{scorer: centroid, budget: {type: fixed, entries: 48}, last_unit: drop, "
    "pins: {sinks: 0, recent: 0, pending: free}}"
)
CONFIG = """
trace: {{path: {trace}}}
phone: roofline
device: analytic
system:
  clustering: {{type: page, page_tokens: 8}}
  tiers: [{tiers}]
  replacement: lru
  cache: {{capacity: 1MiB}}
  schedule: serial
run: {{check: every_step, steps: 40}}
points:
{points}
"""
HBM = "{name: hbm, bandwidth: 4MB/s, access: in_place}"
EXT = "{name: ext, bandwidth: 1MB/s, access: in_place}"
EXCLUSIVE = "{name: mid, bandwidth: 2MB/s, access: in_place, capacity: 4MiB, copies: exclusive}"
EMPTY = "{name: mid, bandwidth: 2MB/s, access: in_place, capacity: 1B, replacement: none}"


def place(scorer: str, entries: int = CAPACITY, sinks: int = 0) -> str:
    return (
        f"{{when: [prefill_end, step], effect: place, tier: hbm, scorer: {scorer}, last_unit: drop, "
        f"budget: {{type: fixed, entries: {entries}}}, pins: {{sinks: {sinks}, recent: 0}}}}"
    )


POINTS = {
    "oldest": place("position", 0, CAPACITY),
    "last step": place("centroid"),
    "spread": place("spread"),
}


@pytest.fixture(scope="module")
def run(kvreplay, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiers")
    sizes = "--layers 1 --kv-heads 2 --group 2 --head-dim 64 --prompt 256 --steps 48"
    kvreplay("trace", "synth", folder / "t.h5", *sizes.split())
    points = "\n".join(
        f"  {name}: {{system: {{stages: [{stage}, {SELECT}]}}}}" for name, stage in POINTS.items()
    )
    files = {}
    for name, tiers in {
        "two": [HBM, EXT],
        "exclusive": [HBM, EXCLUSIVE, EXT],
        "empty": [HBM, EMPTY, EXT],
    }.items():
        text = CONFIG.format(trace=folder / "t.h5", tiers=", ".join(tiers), points=points)
        (folder / f"{name}.yaml").write_text(text)
        files[name] = folder / f"{name}.h5"
        kvreplay("run", folder / f"{name}.yaml", "--set", f"record.units=0..{STEPS - 1}", "-o", files[name])
    return files


def load(path) -> xr.Dataset:
    return xr.load_dataset(path, engine="h5netcdf")


def test_a_tier_between_holds_what_came_and_has_not_gone(run):
    data = load(run["exclusive"])
    held = data.tier_held_bytes.sel(tier="mid")
    came, went = data.tier_down_bytes.sel(tier="mid"), data.tier_up_bytes.sel(tier="mid")
    np.testing.assert_array_equal(held.diff("step"), (came - went)[:, 1:])
    np.testing.assert_array_equal(held[:, 0], (came - went)[:, 0])
    assert (held.sel(point="last step") > 0).any() and went.sum() > 0


def test_the_first_tier_holds_what_came_and_has_not_gone(run):
    data = load(run["exclusive"])
    grown = data.cache_bytes.diff("step")
    moved = data.tier_up_bytes.sum("tier") - data.tier_down_bytes.sel(tier="mid")
    new = (grown - moved[:, 1:]).values
    # Without a move the current entry of each head alone can come, whose page is placed.
    assert (new >= 0).all() and (new <= HEADS * ENTRY).all() and (new % ENTRY == 0).all()


def test_the_last_tier_takes_every_new_entry(run):
    for name in run:
        down = load(run[name]).tier_down_bytes.sel(tier="ext")
        np.testing.assert_array_equal(down, np.full(down.shape, HEADS * ENTRY))


@pytest.mark.parametrize("name", ["two", "exclusive"])
def test_no_link_moves_more_than_its_bandwidth(run, name):
    data = load(run[name])
    bandwidths = xr.DataArray([MIDDLE, LAST] if name == "exclusive" else [LAST], dims="tier")
    each_way = np.maximum(data.tier_up_bytes, data.tier_down_bytes) / bandwidths
    assert (each_way.max("tier") <= data.link_s * (1 + 1e-9)).all()
    assert (data.link_s <= data.latency_s * (1 + 1e-9)).all()
    second = data.tier_hit_bytes.values / bandwidths.values
    assert (second.max(-1) <= data.critical_attention_s.values * (1 + 1e-9)).all()


def test_a_tier_that_has_no_room_changes_nothing(run):
    two, three = load(run["two"]), load(run["empty"])
    assert (three.tier_held_bytes == 0).all()
    assert (three.tier_hit_bytes.sel(tier="mid") == 0).all()
    for name, values in two.data_vars.items():
        if "tier" not in values.dims and values.dtype.kind == "f":
            np.testing.assert_array_equal(values, three[name], err_msg=str(name))
    for name in ("tier_hit_bytes", "tier_up_bytes", "tier_down_bytes"):
        np.testing.assert_array_equal(two[name].sel(tier="ext"), three[name].sel(tier="ext"), err_msg=name)


@pytest.mark.parametrize("point", POINTS)
def test_attention_takes_the_closed_form_without_moves_and_no_step_less_than_it_with_them(run, point):
    data = load(run["two"]).sel(point=point).isel(step=slice(1, None))
    of_layer = placed(run["two"], point, page_entries=PAGE, entry_bytes=ENTRY)[0]
    traffic = traffic_of(of_layer.stream, of_layer.plan)
    reading = Traffic(traffic.hbm_read, traffic.ext_read)
    np.testing.assert_allclose(data.critical_attention_s, step_time(reading, MEMORIES), rtol=1e-9)
    np.testing.assert_allclose(data.tier_hit_bytes.sel(tier="ext"), traffic.ext_read, rtol=1e-12)
    np.testing.assert_array_equal(data.tier_up_bytes.sel(tier="ext")[:-1], traffic.moved_in[:-1])
    # Behind one another: reading, moves and new entries. The closed form lets them share both memories.
    behind = np.asarray(traffic.moved_in) / LAST
    np.testing.assert_allclose(data.critical_placement_s[:-1], behind[:-1], rtol=1e-9, atol=1e-15)
    apart = data.critical_attention_s + behind + traffic.ext_written / LAST
    assert (plan_times(of_layer.stream, of_layer.plan, MEMORIES) <= apart.values * (1 + 1e-9)).all()


@pytest.mark.parametrize("point", POINTS)
def test_all_placements_have_the_same_room(run, point):
    of_layer = placed(run["two"], point, page_entries=PAGE, entry_bytes=ENTRY)[0]
    held = held_by(of_layer.stream, of_layer.plan)
    assert (held <= HEADS * CAPACITY * ENTRY).all()
    assert (held >= HEADS * (CAPACITY - PAGE) * ENTRY).all()


def test_placements_are_what_they_are_called(run):
    pages = {}
    for point in POINTS:
        rows = kvreplay.units(run["two"], point=point)
        pages[point] = {
            role: rows[rows.role == role].groupby(["step", "kv_head"]).unit.apply(set)
            for role in ("placed", "chosen")
        }
    assert all(units == set(range(CAPACITY // PAGE)) for units in pages["oldest"]["placed"])
    # The step's own queries rank what is placed behind it: the best of it is what it read, which is less.
    read = pages["last step"]["chosen"]
    for key, units in pages["last step"]["placed"].items():
        assert len(read[key] - units) <= 1  # a page that the new entry moved
    golden = [np.uint32(unit * 2654435769 % 2**32) >> np.uint32(8) for unit in range(64)]
    for (step, _), units in pages["spread"]["placed"].items():
        there = -(-(256 + step + 1) // PAGE)
        order = sorted(range(there), key=lambda unit: golden[unit])
        assert units <= set(order[: CAPACITY // PAGE + 1]) and len(units) >= CAPACITY // PAGE - 1
