"""The codec delta: steps of the sample done again with numpy from the trace file alone.

References by a plain search, residuals on the directions of a calibration, keys turned back and forth; what
attention is then off by, what is read because chosen entries refer to it, and the bytes of all of it.
"""

import hashlib
import json
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
from stored_rows import CONFIG, DIM, GROUP, HEADS, LAYERS, PROMPT, StoredLayer, half

STEPS, STRIDE, SINKS, TAIL, RANK, CHOSEN = 12, 10, 8, 32, 48, 10
WIDTH = 2 * HEADS * DIM
RAW_BYTES, RESIDUAL_BYTES = 2 * WIDTH, 2 + 2 * RANK


def delta(calibration: Path | None, references: int, tail: int, **more: object) -> dict:
    named = {"calibration": str(calibration)} if calibration else {}
    codec = {"type": "delta", "stride": STRIDE, "sinks": SINKS, "rank": RANK, "tail": tail}
    return {"joint": codec | named | {"references": references} | more}


@pytest.fixture(scope="module")
def sample(project_root: Path) -> Path:
    return project_root / "traces" / "samples" / "smollm2.h5"


@pytest.fixture(scope="module")
def calibration(kvreplay, sample: Path, tmp_path_factory) -> Path:
    """Of the sample's later tokens too, which is all the same to the arithmetic."""
    out = tmp_path_factory.mktemp("delta") / "residuals.h5"
    kvreplay("calibrate", sample, "--of", "residuals", "--tokens", "600", "--rank", str(RANK), "-o", out)
    return out


@pytest.fixture(scope="module")
def result(kvreplay, project_root: Path, sample: Path, calibration: Path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("delta_run")
    memory = {"tiers": [{"name": "dram"}], "heads": "together"}
    latest = [
        {
            "effect": "select",
            "scorer": "position",
            "budget": {"type": "fixed", "entries": CHOSEN},
            "pins": {"sinks": 2, "recent": 5},
        }
    ]
    points = {
        "one": {"system": memory | {"codec": delta(calibration, 1, TAIL)}},
        "four": {"system": memory | {"codec": delta(calibration, 4, TAIL, latent="int4")}},
        "own": {"system": memory | {"codec": delta(None, 1, TAIL)}},
        "flash": {"system": {"heads": "together", "stages": latest, "codec": delta(calibration, 2, 0)}},
    }
    config = folder / "delta.yaml"
    config.write_text(
        CONFIG.format(configs=project_root / "configs", trace=sample, points=json.dumps(points), steps=STEPS)
    )
    kvreplay("run", config, "-o", folder / "out.h5")
    with h5py.File(folder / "out.h5") as file:
        yield file


def is_reference(entry: int) -> bool:
    return entry < SINKS or (entry - SINKS) % STRIDE == 0


class Coded(StoredLayer):
    """What comes back of a layer's rows, and which entries each refers to."""

    def __init__(self, trace: Path, number: int):
        super().__init__(trace, number, PROMPT + STEPS)
        keys = self.turned(self.keys, -1)
        self.rows = np.concatenate([*keys, *self.values], axis=1)  # [tokens, width]

    def references(self, entry: int, count: int) -> list[int]:
        earlier = [to for to in range(entry) if is_reference(to)]
        far = ((self.rows[earlier] - self.rows[entry]) ** 2).sum(axis=1)
        return [] if is_reference(entry) else [earlier[i] for i in np.argsort(far, kind="stable")[:count]]

    def base(self, entry: int, count: int) -> np.ndarray:
        return self.rows[self.references(entry, count)].mean(axis=0)

    def residuals(self, count: int, tokens: int) -> np.ndarray:
        told = [entry for entry in range(tokens) if not is_reference(entry)]
        return np.stack([self.rows[entry] - self.base(entry, count) for entry in told])

    def code(self, basis: np.ndarray, count: int, *, four_bits: bool = False) -> None:
        back = self.rows.copy()
        for entry in range(len(back)):
            if not is_reference(entry):
                base = self.base(entry, count)
                latents = (self.rows[entry] - base) @ basis
                latents = four_bit(latents) if four_bits else half(latents)
                back[entry] = half(base + basis @ latents)
        parts = back.reshape(len(back), 2 * HEADS, DIM).transpose(1, 0, 2)
        self.coded_keys = self.turned(parts[:HEADS], 1)
        self.coded_values = parts[HEADS:]


def four_bit(latents: np.ndarray) -> np.ndarray:
    """Groups of 32, a scale in fp16 each."""
    back = np.empty_like(latents)
    for first in range(0, len(latents), 32):
        group = latents[first : first + 32]
        scale = half(np.abs(group).max(keepdims=True) / 7)[0]
        back[first : first + 32] = scale * np.clip(np.round(group / scale), -7, 7)
    return back


@pytest.fixture(scope="module")
def layers(sample: Path) -> list[Coded]:
    return [Coded(sample, number) for number in LAYERS]


def basis_of(calibration: Path, layer: int) -> np.ndarray:
    with h5py.File(calibration) as file:
        return file[f"layers/{layer}/basis"][0].astype(np.float64)


def point(file: h5py.File, name: str) -> int:
    return file["variant"].asstr()[:].tolist().index(name)


def test_a_calibration_of_residuals_is_numpys_svd(sample: Path, calibration: Path) -> None:
    with h5py.File(calibration) as file:
        assert file.attrs["format"].decode() == "kvreplay residual basis"
        assert file["layers/12/basis"].shape == (1, WIDTH, RANK)
        energy = file["layers/12/energy"][0]
    layer = Coded.__new__(Coded)
    StoredLayer.__init__(layer, sample, 12, 600)
    layer.rows = np.concatenate([*layer.turned(layer.keys, -1), *layer.values], axis=1)
    _, values, right = np.linalg.svd(layer.residuals(1, 600), full_matrices=False)
    assert np.allclose(np.abs(np.sum(basis_of(calibration, 12) * right[:RANK].T, axis=0))[:8], 1.0, atol=5e-3)
    assert np.allclose(energy, (values**2 / np.sum(values**2))[:RANK], rtol=1e-3)


@pytest.mark.parametrize(("name", "count"), [("one", 1), ("four", 4), ("own", 1)])
def test_every_error_is_numpys(result, layers, calibration: Path, name: str, count: int) -> None:
    errors = result["output_error"][point(result, name)]
    for at, layer in enumerate(layers):
        basis = basis_of(calibration, LAYERS[at])
        if name == "own":
            # The prompt's rows are fitted to before any is stored.
            _, _, right = np.linalg.svd(layer.residuals(count, PROMPT), full_matrices=False)
            basis = half(right[:RANK].T)
        layer.code(basis, count, four_bits=name == "four")
        for step in range(STEPS):
            position = PROMPT + step
            expected = layer.errors(position, layer.coded_keys, layer.coded_values, position + 1 - TAIL)
            assert np.allclose(errors[step, at], expected, rtol=0.02, atol=2e-4), (name, step, at)


def test_memory_is_numpys_to_the_byte(result) -> None:
    at = point(result, "one")
    for step in range(STEPS):
        entries = PROMPT + step + 1
        stored = entries - TAIL
        whole = sum(is_reference(entry) for entry in range(stored))
        records = whole * RAW_BYTES + (stored - whole) * RESIDUAL_BYTES + TAIL * RAW_BYTES
        kept = 2 * WIDTH * RANK + 4 * (stored - whole)  # directions, and which entry each refers to
        names = ("cache_bytes", "pinned_bytes", "write_buffer_bytes")
        assert sum(result[name][at, step] for name in names) == len(LAYERS) * records
        assert result["metadata_bytes"][at, step] >= len(LAYERS) * kept


def test_what_chosen_entries_refer_to_is_read_with_them_once_to_the_byte(result, layers) -> None:
    along_bytes = result["reference_read_bytes"][point(result, "flash")]
    any_read = 0.0
    for at, layer in enumerate(layers):
        for step in range(STEPS):
            position = PROMPT + step
            chosen = range(position - 5 - CHOSEN, position - 5)
            here = {0, 1, *range(position - 5, position + 1)}
            needed = {to for entry in chosen for to in layer.references(entry, 2)}
            assert all(to < entry for entry in chosen for to in layer.references(entry, 2))
            along = needed - here - set(chosen)
            assert np.allclose(along_bytes[step, at], len(along) * RAW_BYTES / HEADS), (step, at)
            any_read += len(along)
    assert any_read > 0
    assert GROUP == HEADS  # heads of a set share its records


def attempt(program_path: Path, project_root: Path, folder: Path, trace: Path, codec: dict) -> str:
    """What a run with the codec is refused for."""
    config = folder / "c.yaml"
    points = {"p": {"system": {"heads": "together", "tiers": [{"name": "dram"}], "codec": codec}}}
    config.write_text(
        CONFIG.format(configs=project_root / "configs", trace=trace, points=json.dumps(points), steps=2)
    )
    done = subprocess.run([program_path, "run", config], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    return done.stderr


def test_what_a_codec_cannot_use_is_told_before_any_replay(
    kvreplay, program_path: Path, project_root: Path, sample: Path, calibration: Path, tmp_path: Path
) -> None:
    kvreplay("calibrate", sample, "-o", tmp_path / "keys.h5")
    kvreplay(
        "calibrate", sample, "--of", "residuals", "--heads", "each", "--rank", "8", "-o", tmp_path / "each.h5"
    )
    (tmp_path / "damaged.h5").write_bytes(calibration.read_bytes())
    with h5py.File(tmp_path / "damaged.h5", "r+") as file:
        file["layers/19/basis"][0, 0, 0] = 0.25
    (tmp_path / "other.h5").write_bytes(calibration.read_bytes())
    with h5py.File(tmp_path / "other.h5", "r+") as file:
        file.attrs["model"] = np.bytes_(b"another")
    for name, message in (
        (
            "keys.h5",
            "is a kvreplay key basis; allowed: a kvreplay residual basis, see kvreplay calibrate --of",
        ),
        ("each.h5", "with --heads as the system has them"),
        ("damaged.h5", "layer 19: its bases are not those that were written; damaged, or changed"),
        ("other.h5", "is of the model 'another'"),
    ):
        told = attempt(program_path, project_root, tmp_path, sample, delta(tmp_path / name, 1, TAIL))
        assert f"system.codec.joint.calibration: {tmp_path / name}: " in told
        assert message in told
    told = attempt(program_path, project_root, tmp_path, sample, {"joint": {"type": "delta", "rank": 385}})
    assert "system.codec.joint.rank: 385 directions of 384 elements; allowed: 0 to 384" in told


def test_keys_that_cannot_be_turned_back_are_told(
    program_path: Path, project_root: Path, sample: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "trace.h5"
    trace.write_bytes(sample.read_bytes())
    with h5py.File(trace, "r+") as file:
        file.attrs["rope_scaling"] = np.bytes_(b'{"rope_type": "yarn", "factor": 4.0}')
    told = attempt(program_path, project_root, tmp_path, trace, delta(None, 1, TAIL))
    assert "system.codec.joint: stores keys as they were before their rotary embedding" in told


def test_the_same_calibration_gives_the_same_file(kvreplay, sample: Path, tmp_path: Path) -> None:
    digests = set()
    for name in ("a.h5", "b.h5"):
        kvreplay("calibrate", sample, "--of", "residuals", "--rank", "4", "-o", tmp_path / name)
        with h5py.File(tmp_path / name) as file:
            digests.add(hashlib.sha256(file["layers/5/basis"][:].tobytes()).hexdigest())
    assert len(digests) == 1
