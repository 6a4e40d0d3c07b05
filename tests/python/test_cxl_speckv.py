"""CXL-SpecKV's codec against numpy, to the byte, over real rows; its experiment, shortened."""

import subprocess
import sys
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import h5py
import kvreplay as results_of
import numpy as np
import pytest
from conftest import ROOT
from drivers import run_driver

sys.path.insert(0, str(ROOT / "notebooks"))

from guess_table import by_name, table

LAYERS, HEADS, DIM = (5, 12, 19, 26), 3, 64
STEPS, PROMPT = 6, 256
EVERY = 23  # of the rows, so that those of all heads take a second
RUNS = ["pairs", "packed"]


@pytest.fixture(scope="module")
def sample(project_root: Path) -> Path:
    return project_root / "traces" / "samples" / "smollm2.h5"


def differences(row: np.ndarray) -> tuple[np.float32, np.ndarray]:
    """Scale and int8 codes [DIM] of a float32 row, each code less the one before it, modulo 256, as uint8."""
    scale = np.abs(row).max() / np.float32(127)
    codes = np.rint(row / scale).clip(-127, 127).astype(int) if scale > 0 else np.zeros(len(row), int)
    return scale, np.diff(codes, prepend=0) % 256


def pairs(values: np.ndarray) -> bytes:
    stored = b""
    for value, run in groupby(values.tolist()):
        count = len(list(run))
        while count > 0:
            stored += bytes([value, min(count, 255)])
            count -= 255
    return stored


def packed(values: np.ndarray) -> bytes:
    """PackBits of runs of three and more, from left to right."""
    left, stored, others = values.tolist(), b"", []

    def put_others() -> bytes:
        nonlocal others
        part, others = others, []
        return b"".join(
            bytes([len(part[i : i + 128]) - 1, *part[i : i + 128]]) for i in range(0, len(part), 128)
        )

    while left:
        run = next((i for i, value in enumerate(left) if value != left[0]), len(left))
        run = min(run, 128)
        if run >= 3:
            stored += put_others() + bytes([257 - run, left[0]])
            left = left[run:]
        else:
            others.append(left.pop(0))
    return stored + put_others()


def blob(row: np.ndarray, runs: str) -> bytes:
    scale, values = differences(row)
    return np.float32(scale).tobytes() + (pairs(values) if runs == "pairs" else packed(values))


def decoded(stored: bytes, runs: str) -> np.ndarray:
    """The row, float32 [DIM], as the format says and nothing else."""
    scale, rest, values = np.frombuffer(stored[:4], np.float32)[0], list(stored[4:]), []
    while rest:
        if runs == "pairs":
            values += [rest[0]] * rest[1]
            rest = rest[2:]
        elif rest[0] > 128:
            values += [rest[1]] * (257 - rest[0])
            rest = rest[2:]
        else:
            values += rest[1 : rest[0] + 2]
            rest = rest[rest[0] + 2 :]
    return scale * np.cumsum(values).astype(np.uint8).astype(np.int8).astype(np.float32)


def stored_by(rows: np.ndarray, runs: str) -> list[tuple[bytes, np.ndarray]]:
    """Blob and decoded row of each of `rows` [rows, DIM]."""
    out = run_driver("codec_blobs", "int8_delta_rle", rows.shape[1], f"runs={runs}", stdin=rows.tobytes())
    found = []
    while out:
        length = int(np.frombuffer(out[:4], np.int32)[0])
        end = 4 + length + 4 * rows.shape[1]
        found.append((out[4 : 4 + length], np.frombuffer(out[4 + length : end], np.float32)))
        out = out[end:]
    return found


def real_rows(sample: Path) -> np.ndarray:
    with h5py.File(sample) as file:
        planes = [
            file[f"layers/{layer}/{plane}"][:, ::EVERY] for layer in LAYERS for plane in ("keys", "values")
        ]
    return np.concatenate(planes).reshape(-1, DIM).astype(np.float32)


def steps_of(seed: int, width: int) -> np.ndarray:
    """Rows with runs of many lengths, among them of zeros and longer than a length can say."""
    draws = np.random.default_rng(seed)
    rows = [np.repeat(draws.integers(-9, 9, width), draws.integers(1, most, width))[:width]
            for most in (2, 3, 5, 40, 400)]  # fmt: skip
    return np.array([*rows, np.zeros(width)], np.float32)


@pytest.mark.parametrize("runs", RUNS)
def test_real_rows_are_stored_to_the_byte_and_come_back_as_int8(sample: Path, runs: str) -> None:
    rows = real_rows(sample)
    for row, (stored, back) in zip(rows, stored_by(rows, runs), strict=True):
        assert stored == blob(row, runs)
        np.testing.assert_array_equal(back, decoded(stored, runs))
        assert np.abs(back - row).max() <= np.abs(row).max() / 254 * 1.0001


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("width", [1, 7, 128, 129, 600])
def test_runs_of_any_length_are_stored_to_the_byte(runs: str, width: int) -> None:
    for seed in range(20):
        rows = steps_of(seed, width)
        for row, (stored, back) in zip(rows, stored_by(rows, runs), strict=True):
            assert stored == blob(row, runs), f"seed {seed}"
            np.testing.assert_array_equal(back, decoded(stored, runs))


Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module", params=RUNS)
def swept(request, kvreplay: Program, project_root: Path, sample: Path, tmp_path_factory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("sizes")
    config, configs = folder / "sizes.yaml", project_root / "configs"
    includes = ["phones/oneplus_12", "devices/ufs40", "models/trace", "systems/cxl_speckv"]
    codec = f"{{type: int8_delta_rle, runs: {request.param}}}"
    config.write_text(
        f"name: sizes\ninclude: [{', '.join(f'{configs}/{name}.yaml' for name in includes)}]\n"
        f"trace: {{path: {sample}}}\nrun: {{steps: {STEPS}, check: every_step}}\n"
        f"system: {{codec: {{k: {codec}, v: {codec}}}}}\n"
    )
    kvreplay("run", config, "-o", folder / "out.h5")
    return request.param, folder / "out.h5"


def test_what_a_step_writes_to_the_host_is_its_new_rows_to_the_byte(
    swept: tuple[str, Path], sample: Path
) -> None:
    runs, path = swept
    with results_of.open(path) as data, h5py.File(sample) as file:
        written = data.tier_down_bytes.sel(tier="host").values.ravel()
        for step in range(STEPS):
            rows = [file[f"layers/{layer}/{plane}"][head, PROMPT + step].astype(np.float32)
                    for layer in LAYERS for plane in ("keys", "values") for head in range(HEADS)]  # fmt: skip
            assert written[step] == sum(len(blob(row, runs)) for row in rows)


@pytest.fixture(scope="module")
def experiment(kvreplay: Program, project_root: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("speckv") / "out.h5"
    config = project_root / "configs" / "paper" / "seeds" / "cxl_speckv.yaml"
    sets = ["run.steps=8", "run.seeds=2", "run.check=every_step"]
    kvreplay("run", config, "-o", out, *(word for one in sets for word in ("--set", one)))
    return out


def test_the_experiment_orders_its_guesses(experiment: Path) -> None:
    with results_of.open(experiment, stack=True) as data:
        found = by_name(data)
        right = [
            float(found[f"oracle,accuracy={p}"].guess_coverage.mean())
            for p in ("0", "0.25", "0.5", "0.75", "0.85", "0.95", "1")
        ]
        assert right == sorted(right)
        assert (right[0], right[-1]) == (0.0, 1.0)
        assert 0.0 < float(found["last step"].guess_precision.mean()) < 1.0
        for name in ("last step", "oracle", "never right", "all"):
            assert (found[f"dense, {name}"].guess_precision == 1.0).all()
        for name in ("literal", "dense, literal"):
            assert float(found[name].guessed_bytes.sum()) == 0.0
        latency = {name: float(one.latency_s.mean()) for name, one in found.items()}
        assert latency["oracle,accuracy=1"] < latency["nothing"] < latency["oracle,accuracy=0"]


def test_the_table_has_a_row_a_point_and_what_a_row_takes(experiment: Path, sample: Path) -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table(experiment).splitlines()[2:]]
    assert len(rows) == 22
    compared = {name: float(size) for name, *_, size, _, _ in rows}
    assert compared["oracle, accuracy=0.5"] == 1.0
    assert compared["codec int8"] == 0.531  # 68 of 128 bytes
    assert compared["codec packed"] < 0.55 < 1.0 < compared["codec pairs"]
