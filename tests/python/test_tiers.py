"""Tiers of memory between the first and flash: what results, summary and timeline say of them."""

import json

import numpy as np
import pytest
import xarray as xr

STEPS = 24


@pytest.fixture(scope="module")
def run(kvreplay, project_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiers")
    done = kvreplay(
        "run",
        project_root / "configs" / "experiments" / "tiers.yaml",
        *["-o", folder / "out.h5", "--timeline", folder / "out.json"],
        *[
            "--timeline-steps",
            f"0-{STEPS - 1}",
            "--set",
            f"run.steps={STEPS}",
            "--set",
            "system.schedule=serial",
        ],
    )
    events = json.loads((folder / "out.json").read_text())["traceEvents"]
    return xr.load_dataset(folder / "out.h5", engine="h5netcdf"), events, done.stdout


def test_metrics_of_tiers_have_a_dimension_of_their_own(run):
    data = run[0]
    assert dict(data.tier_hit_bytes.sizes) == {"point": 4, "step": STEPS, "tier": 1}
    assert list(data.tier.values) == ["dram"]
    assert data.tier_hit_bytes.sel(point="flash alone below").isnull().all()
    held = data.tier_hit_bytes.sel(point="dram holds all", tier="dram")
    np.testing.assert_array_equal(held, data.tier_asked_bytes.sel(point="dram holds all", tier="dram"))


def test_what_is_missed_comes_from_a_tier_or_from_flash(run):
    data = run[0].sel(point=["inclusive", "exclusive"])
    missed = (data.demanded_bytes - data.hit_bytes).sum(["layer", "kv_head"])
    np.testing.assert_allclose(data.tier_asked_bytes.sel(tier="dram"), missed)
    read = data.useful_read_bytes.sum(["layer", "kv_head"])
    np.testing.assert_allclose(data.tier_hit_bytes.sel(tier="dram") + read, missed)


def test_the_critical_path_covers_the_step(run):
    data = run[0]
    parts = data.critical_compute_s + data.critical_flash_s + data.critical_link_s.fillna(0)
    np.testing.assert_allclose(parts, data.latency_s, rtol=1e-9)
    np.testing.assert_allclose(
        (data.critical_tier_read_s + data.critical_demotion_s)[1:3], data.critical_link_s[1:3], rtol=1e-9
    )


def test_the_timeline_has_a_track_for_each_link(run):
    data, events, _ = run
    links = {e["pid"]: e["tid"] for e in events if e["args"].get("name") == "link of dram"}
    assert sorted(links) == [2, 3, 4]
    on_link = [e for e in events if e["ph"] == "X" and links.get(e["pid"]) == e["tid"]]
    assert {e["name"] for e in on_link} == {"tier read", "demotion", "write"}
    first_us = sum(e["dur"] for e in on_link if e["pid"] == 2 and e["ts"] < 1e6 * float(data.latency_s[1, 0]))
    assert first_us == pytest.approx(1e6 * float(data.link_s[1, 0]), rel=1e-3)


def test_the_summary_tells_what_each_tier_did_and_what_is_left_out(run):
    lines = run[2].splitlines()
    heading = next(i for i, line in enumerate(lines) if line.startswith("memory below the first tier"))
    assert lines[heading].split()[-6:] == ["tier", "hit", "rate", "up/step", "down/step", "held"]
    rows = lines[heading + 1 : heading + 4]
    assert [row.split("  ")[0] for row in rows] == ["inclusive", "exclusive", "dram holds all"]
    assert "100.00 %" in rows[2]
    assert "left out: energy of the links of tiers" in run[2]
