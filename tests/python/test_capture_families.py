"""Which model families are captured right, and which are refused, over tiny random models of each."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
h5py = pytest.importorskip("h5py")

from capture_families import HELD, REFUSED, Family, WholePass, make_family, tables  # noqa: E402
from capture_models import options  # noqa: E402
from kvreplay_capture import session  # noqa: E402
from kvreplay_capture.errors import CaptureError  # noqa: E402


@pytest.mark.parametrize("family", HELD, ids=lambda family: family.kind)
def test_a_trace_holds_the_rows_of_one_whole_pass(family: Family, tmp_path: Path) -> None:
    folder = make_family(tmp_path / family.kind, family)
    given = options(folder, tmp_path / "t.h5", layers=family.layers, speculated=family.speculated)
    session.capture(given)
    with h5py.File(given.output) as file:
        whole = WholePass(folder, file["tokens"][:].tolist())
        first = int(file["query_positions"][0])
        for layer in map(int, file["layers"]):
            group, seen = file[f"layers/{layer}"], whole.layers[layer]
            assert_same(group["keys"], seen.keys)
            assert_same(group["values"], seen.values)
            assert_same(group["queries"], seen.queries[:, first:])
            if "speculated_queries" in group:
                assert_same(group["speculated_queries"], seen.speculated[:, first:])


def assert_same(stored: Any, whole: Any) -> None:
    """Rounding of float16 costs 2e-4."""
    exact = whole.numpy()
    assert stored.shape == exact.shape
    assert np.linalg.norm(stored[:] - exact) < 5e-4 * np.linalg.norm(exact), stored.name


@pytest.mark.parametrize(
    ("message", "family"),
    [(message, family) for message, _, families in REFUSED for family in families],
    ids=lambda value: value.kind if isinstance(value, Family) else "",
)
def test_a_family_that_does_not_fit_is_refused_with_its_reason(
    message: str, family: Family, tmp_path: Path
) -> None:
    folder = make_family(tmp_path / family.kind, family)
    with pytest.raises(CaptureError) as caught:
        session.capture(options(folder, tmp_path / "t.h5"))
    assert message in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == [family.kind]


def test_the_documented_tables_are_these(project_root: Path) -> None:
    readme = (project_root / "traces" / "capture" / "README.md").read_text(encoding="utf-8")
    assert tables() in readme, "write the output of tests/python/capture_families.py into the README"
