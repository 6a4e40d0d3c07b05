"""configs/paper/seeds/deltakv.yaml and csr.yaml in short: that all points run, and what their tables say."""

import subprocess
import sys
from pathlib import Path

import pytest


def table(kvreplay, project_root: Path, folder: Path, name: str) -> dict[str, list[float]]:
    """Of each point the columns in per cent, nothing where there is a dash: memory, memory with the codec's
    own, read along, error, and the errors of the layers."""
    config = project_root / "configs" / "paper" / "seeds" / f"{name}.yaml"
    kvreplay("run", config, "--set", "run.steps=3", "--together", "8", "-o", folder / f"{name}.h5")
    script = project_root / "notebooks" / "codec_table.py"
    done = subprocess.run(
        [sys.executable, script, folder / f"{name}.h5"], check=True, capture_output=True, text=True
    )
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()[2:]]
    return {row[0]: [float(cell.split(" ")[0].replace("-", "nan")) for cell in row[1:]] for row in rows}


@pytest.fixture(scope="module")
def deltakv(kvreplay, project_root: Path, tmp_path_factory) -> dict[str, list[float]]:
    return table(kvreplay, project_root, tmp_path_factory.mktemp("deltakv"), "deltakv")


@pytest.fixture(scope="module")
def csr(kvreplay, project_root: Path, tmp_path_factory) -> dict[str, list[float]]:
    return table(kvreplay, project_root, tmp_path_factory.mktemp("csr"), "csr")


def test_residuals_lose_less_than_int4_above_the_lowest_layer_at_29_per_cent(deltakv) -> None:
    best, int4 = deltakv["rank 176 of 4 bits, 29 %"], deltakv["int4"]
    assert 29.0 <= best[0] < 30.0  # 29 % over all 256 steps; the tail is more of a shorter cache
    assert best[0] < best[1]
    assert all(ours < theirs / 2 for ours, theirs in zip(best[5:], int4[5:], strict=True))
    assert best[3] < deltakv["rank 49, 29 %"][3] < deltakv["references alone"][3]


def test_what_is_read_from_flash_brings_along_what_it_refers_to(deltakv) -> None:
    on_flash, in_memory = deltakv["DeltaKV, on flash"], deltakv["DeltaKV, layer 5 whole"]
    assert 0 < on_flash[2] < 100
    assert on_flash[3:] == in_memory[3:]
    assert on_flash[0] < in_memory[0]


def test_sparse_codes_take_the_bytes_of_int4_and_int8(csr) -> None:
    assert csr["18 atoms, int4's bytes"][0] == csr["int4"][0]
    assert csr["34 atoms, int8's bytes"][0] == csr["int8"][0]
    assert csr["4 atoms, 1 bit"][0] == pytest.approx(100 / 16, abs=0.06)


def test_more_atoms_lose_less_and_least_squares_less_than_plain_pursuit(csr) -> None:
    plain = ["4 atoms, 1 bit", "8 atoms, 2 bits", "18 atoms, int4's bytes", "34 atoms, int8's bytes"]
    errors = [csr[name][3] for name in plain]
    assert errors == sorted(errors, reverse=True)
    for atoms, name in (("4", plain[0]), ("8", plain[1]), ("18", plain[2])):
        assert csr[f"{atoms} atoms, least squares"][3] < csr[name][3]
    assert csr["int8"][3] < csr[plain[3]][3]
