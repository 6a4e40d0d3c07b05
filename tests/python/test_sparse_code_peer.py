"""The codec sparse_code: steps of the sample done again with numpy, and what must hold of its calibration.

Codes by a plain matching pursuit that meets the row anew for each atom, and by numpy's least squares.
"""

import json
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
from stored_rows import CONFIG, DIM, HEADS, LAYERS, PROMPT, StoredLayer, half

STEPS, ATOMS, NONZEROS = 6, 128, 6
ROW_BYTES = (NONZEROS * (7 + 8) + 7) // 8


def codec(calibration: Path, **more: object) -> dict:
    one = {
        "type": "sparse_code",
        "atoms": ATOMS,
        "nonzeros": NONZEROS,
        "calibration": str(calibration),
    } | more
    return {"k": one, "v": one}


@pytest.fixture(scope="module")
def sample(project_root: Path) -> Path:
    return project_root / "traces" / "samples" / "smollm2.h5"


@pytest.fixture(scope="module")
def calibration(kvreplay, sample: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("codes") / "dictionaries.h5"
    options = ("--atoms", ATOMS, "--nonzeros", NONZEROS, "--rounds", 3, "--tokens", 256)
    kvreplay("calibrate", sample, "--of", "dictionaries", *map(str, options), "-o", out)
    return out


@pytest.fixture(scope="module")
def result(kvreplay, project_root: Path, sample: Path, calibration: Path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("codes_run")
    memory = {"tiers": [{"name": "dram"}]}
    points = {
        "matching": {"system": memory | {"codec": codec(calibration)}},
        "orthogonal": {
            "system": memory | {"codec": codec(calibration, pursuit="orthogonal", weights="fp16")}
        },
    }
    config = folder / "codes.yaml"
    config.write_text(
        CONFIG.format(configs=project_root / "configs", trace=sample, points=json.dumps(points), steps=STEPS)
    )
    kvreplay("run", config, "-o", folder / "out.h5")
    with h5py.File(folder / "out.h5") as file:
        yield file


def fp8(value: float) -> float:
    """The nearest number of 4 bits of exponent and 3 of mantissa."""
    size = min(abs(value), 448.0)
    step = 2.0 ** (max(np.floor(np.log2(size)), -6.0) - 3) if size > 0 else 1.0
    return float(np.sign(value) * min(np.round(size / step) * step, 448.0))


def matching(atoms: np.ndarray, row: np.ndarray) -> np.ndarray:
    left, back = row.copy(), np.zeros_like(row)
    for _ in range(NONZEROS):
        products = atoms @ left
        best = int(np.argmax(np.abs(products)))
        back += fp8(products[best]) * atoms[best]
        left -= fp8(products[best]) * atoms[best]
    return back


def orthogonal(atoms: np.ndarray, row: np.ndarray) -> np.ndarray:
    taken: list[int] = []
    left = row
    for _ in range(NONZEROS):
        taken.append(int(np.argmax(np.abs(atoms @ left))))
        weights, *_ = np.linalg.lstsq(atoms[taken].T, row, rcond=None)
        left = row - weights @ atoms[taken]
    return half(weights) @ atoms[taken]


def point(file: h5py.File, name: str) -> int:
    return file["variant"].asstr()[:].tolist().index(name)


@pytest.mark.parametrize("pursuit", [matching, orthogonal])
def test_every_error_is_numpys(result, sample: Path, calibration: Path, pursuit) -> None:
    errors = result["output_error"][point(result, pursuit.__name__)]
    for at, number in enumerate(LAYERS):
        layer = StoredLayer(sample, number, PROMPT + STEPS)
        with h5py.File(calibration) as file:
            keys_of, values_of = file[f"layers/{number}/basis"][:].astype(np.float64).transpose(0, 2, 1)
        before = layer.turned(layer.keys, -1)
        keys = layer.turned(half(np.stack([[pursuit(keys_of, row) for row in head] for head in before])), 1)
        values = half(np.stack([[pursuit(values_of, row) for row in head] for head in layer.values]))
        for step in range(STEPS):
            expected = layer.errors(PROMPT + step, keys, values)
            # Here and there two atoms are nearly as good, and float32 takes the other.
            assert np.allclose(errors[step, at], expected, rtol=0.03), (number, step)


def test_bytes_are_those_of_the_formula(result) -> None:
    at = point(result, "matching")
    for step in range(STEPS):
        entries = PROMPT + step + 1
        names = ("cache_bytes", "pinned_bytes", "write_buffer_bytes")
        taken = sum(result[name][at, step] for name in names)
        assert taken == len(LAYERS) * HEADS * entries * 2 * ROW_BYTES
        # A dictionary of keys and one of values for each layer, in thirds.
        dictionaries = len(LAYERS) * 2 * HEADS * -(-2 * ATOMS * DIM // HEADS)
        assert result["metadata_bytes"][at, step] >= dictionaries


def test_dictionaries_are_unit_atoms_that_tell_rows_better_than_rows_do(
    kvreplay, sample: Path, calibration: Path, tmp_path: Path
) -> None:
    options = ("--atoms", ATOMS, "--nonzeros", NONZEROS, "--rounds", 3, "--tokens", 256)
    kvreplay("calibrate", sample, "--of", "dictionaries", *map(str, options), "-o", tmp_path / "again.h5")
    layer = StoredLayer(sample, 12, 400)
    with h5py.File(calibration) as file, h5py.File(tmp_path / "again.h5") as again:
        found = file["layers/12/basis"][1].astype(np.float64).T
        assert file.attrs["format"].decode() == "kvreplay dictionaries"
        assert file["layers/12/basis"].shape == (2, DIM, ATOMS)
        assert np.array_equal(file["layers/12/basis"][:], again["layers/12/basis"][:])
    assert np.allclose(np.linalg.norm(found, axis=1), 1.0, atol=2e-3)
    rows = layer.values[:, :256].reshape(-1, DIM)
    drawn = rows[np.random.default_rng(1).permutation(HEADS * 256)[:ATOMS]]
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    unseen = layer.values[0, 256:]

    def left(atoms: np.ndarray) -> float:
        return float(np.mean([np.linalg.norm(row - orthogonal(atoms, row)) for row in unseen]))

    assert left(found) < left(drawn)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--of", "some"], "--of: is not a choice (some); allowed: keys, residuals, dictionaries"),
        (["--atoms", "8"], "--atoms: has no effect beside --of keys"),
        (["--of", "dictionaries", "--stride", "3"], "--stride: has no effect beside --of dictionaries"),
        (["--of", "dictionaries", "--atoms", "1"], "--atoms: 1 is out of range; allowed: 2 to 65536"),
        (["--of", "dictionaries", "--rank", "3"], "--rank: has no effect beside --of dictionaries"),
        (["--of", "dictionaries", "--heads", "each"], "--heads: has no effect beside --of dictionaries"),
        (["--of", "residuals", "--centred"], "--centred: has no effect beside --of residuals"),
        (["--of", "residuals", "--rank", "385"], "--rank: 385 is too many; allowed: 1 to 384"),
    ],
)
def test_what_cannot_be_calibrated_is_told(
    program_path: Path, sample: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    command = [program_path, "calibrate", sample, "-o", tmp_path / "x.h5", *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "x.h5").exists()


def test_a_dictionary_of_another_size_or_for_joint_rows_is_told(
    program_path: Path, project_root: Path, sample: Path, calibration: Path, tmp_path: Path
) -> None:
    named = {"type": "sparse_code", "calibration": str(calibration)}
    for stored, message in (
        ({"k": named | {"atoms": 64}, "v": "fp16"}, "layer 5 has 128 atoms, and 64 are asked for"),
        ({"joint": named | {"atoms": ATOMS}}, "has dictionaries of keys and of values apart"),
    ):
        config = tmp_path / "c.yaml"
        points = {"p": {"system": {"tiers": [{"name": "dram"}], "codec": stored}}}
        config.write_text(
            CONFIG.format(configs=project_root / "configs", trace=sample, points=json.dumps(points), steps=1)
        )
        done = subprocess.run([program_path, "run", config], check=False, capture_output=True, text=True)
        assert done.returncode == 2
        assert message in done.stderr
