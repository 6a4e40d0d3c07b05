"""The timeline of `kvreplay run` is a Chrome trace, and its spans add up to the results."""

import json
from itertools import pairwise

import h5py
import pytest
import yaml


@pytest.fixture(scope="module")
def run(kvreplay, project_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("timeline")
    kvreplay(
        "run",
        project_root / "configs" / "experiments" / "demo.yaml",
        *["-o", folder / "out.h5", "--timeline", folder / "out.json"],
        *["--timeline-steps", "1-2", "--set", "run.steps=4"],
    )
    return json.loads((folder / "out.json").read_text()), folder / "out.h5"


def spans(events, process):
    return [e for e in events if e["ph"] == "X" and e["pid"] == process]


def test_names_every_point_and_resource(run):
    events = run[0]["traceEvents"]
    with h5py.File(run[1]) as f:
        points = [name.decode() for name in f["point"][:]]
    assert [e["args"]["name"] for e in events if e["name"] == "process_name"] == points
    assert {e["args"]["name"] for e in events if e["name"] == "thread_name"} == {"compute", "flash", "step"}


def test_spans_add_up_to_the_metrics(run):
    events = run[0]["traceEvents"]
    with h5py.File(run[1]) as f:
        for point in range(len(f["point"])):
            of_point = spans(events, point + 1)
            for track, metric in ((0, "compute_s"), (1, "io_s"), (2, "latency_s")):
                total_us = sum(e["dur"] for e in of_point if e["tid"] == track)
                assert total_us == pytest.approx(1e6 * f[metric][point, 1:3].sum(), rel=1e-4)


def test_critical_spans_cover_the_step_and_are_what_the_metrics_say(run):
    with h5py.File(run[1]) as f:
        for point in range(len(f["point"])):
            critical = [
                e for e in spans(run[0]["traceEvents"], point + 1) if e["args"].get("critical") is True
            ]
            total_us = sum(e["dur"] for e in critical)
            assert total_us == pytest.approx(1e6 * f["latency_s"][point, 1:3].sum(), rel=1e-4)
            reads_us = sum(e["dur"] for e in critical if e["name"] == "read")
            assert reads_us == pytest.approx(1e6 * f["critical_read_s"][point, 1:3].sum(), rel=1e-4, abs=0.1)


def test_operations_of_a_serial_schedule_do_not_overlap(run):
    with h5py.File(run[1]) as f:
        configs = [yaml.safe_load(text) for text in f["provenance/resolved_config"].asstr()[:]]
    serial = [i + 1 for i, one in enumerate(configs) if one["system"]["schedule"]["type"] == "serial"]
    assert len(serial) == 2
    for process in serial:
        work = [e for e in spans(run[0]["traceEvents"], process) if e["tid"] < 2]
        times = sorted((e["ts"], e["ts"] + e["dur"]) for e in work)
        assert all(a[1] <= b[0] + 2e-3 for a, b in pairwise(times))
