"""`kvreplay calibrate` against numpy, and what it refuses."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS, HEADS, DIM, PROMPT = (5, 12, 19, 26), 3, 64, 256


def attempt(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    program = os.environ.get("KVREPLAY", ROOT / "build" / "release" / "kvreplay")
    return subprocess.run(
        [program, *map(str, arguments)], check=False, cwd=cwd, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def sample(project_root: Path) -> Path:
    return project_root / "traces" / "samples" / "smollm2.h5"


def keys_of(sample: Path, layer: int, tokens: int) -> np.ndarray:
    """[tokens, heads, dim]"""
    with h5py.File(sample) as file:
        return file[f"layers/{layer}/keys"][:, :tokens].astype(np.float64).transpose(1, 0, 2)


@pytest.mark.parametrize("centred", [False, True])
def test_the_basis_of_all_heads_is_numpys_svd(kvreplay, sample: Path, tmp_path: Path, centred: bool) -> None:
    out = tmp_path / "basis.h5"
    options = ["--centred"] if centred else []
    kvreplay("calibrate", sample, "-o", out, "--tokens", "1000", "--rank", "24", *options)
    with h5py.File(out) as file:
        assert file.attrs["rows"] == 1000
        assert file.attrs["centred"] == centred
        for layer in LAYERS:
            rows = keys_of(sample, layer, 1000).reshape(1000, HEADS * DIM)
            rows = rows - rows.mean(axis=0) if centred else rows
            _, values, right = np.linalg.svd(rows, full_matrices=False)
            basis = file[f"layers/{layer}/basis"][0].astype(np.float64)
            assert basis.shape == (HEADS * DIM, 24)
            # Vectors up to their sign; fp16 has 11 bits.
            assert np.allclose(np.abs(np.sum(basis * right[:24].T, axis=0)), 1.0, atol=2e-3)
            share = (values**2 / np.sum(values**2))[:24]
            assert np.allclose(file[f"layers/{layer}/energy"][0], share, rtol=1e-4)


def test_fewer_directions_are_the_first_and_each_head_has_its_own(
    kvreplay, sample: Path, tmp_path: Path
) -> None:
    """I13: what has rank 8 is a prefix of what has rank 32."""
    for heads, sets, width in (("together", 1, HEADS * DIM), ("each", HEADS, DIM)):
        for rank in (8, 32):
            kvreplay(
                "calibrate",
                sample,
                "-o",
                tmp_path / f"{heads}{rank}.h5",
                "--heads",
                heads,
                "--rank",
                str(rank),
            )
        with h5py.File(tmp_path / f"{heads}8.h5") as few, h5py.File(tmp_path / f"{heads}32.h5") as many:
            for layer in LAYERS:
                at = f"layers/{layer}/basis"
                assert many[at].shape == (sets, width, 32)
                assert np.array_equal(few[at][:], many[at][:, :, :8])
    rows = keys_of(sample, LAYERS[0], PROMPT)
    with h5py.File(tmp_path / "each8.h5") as file:
        for head in range(HEADS):
            _, _, right = np.linalg.svd(rows[:, head], full_matrices=False)
            basis = file[f"layers/{LAYERS[0]}/basis"][head].astype(np.float64)
            assert np.allclose(np.abs(np.sum(basis * right[:8].T, axis=0)), 1.0, atol=2e-3)


def test_two_traces_are_as_one(kvreplay, sample: Path, tmp_path: Path) -> None:
    """The same twice: every sum of products is double, the directions stay."""
    kvreplay("calibrate", sample, "-o", tmp_path / "one.h5", "--rank", "4")
    kvreplay("calibrate", sample, sample, "-o", tmp_path / "two.h5", "--rank", "4")
    with h5py.File(tmp_path / "one.h5") as one, h5py.File(tmp_path / "two.h5") as two:
        assert two.attrs["rows"] == 2 * one.attrs["rows"]
        for layer in LAYERS:
            at = f"layers/{layer}/basis"
            assert np.allclose(one[at][:].astype(float), two[at][:].astype(float), atol=1e-3)


def test_a_file_is_found_beside_the_configuration_that_names_it(
    kvreplay, sample: Path, tmp_path: Path
) -> None:
    kvreplay("calibrate", sample, "-o", tmp_path / "basis.h5")
    config = tmp_path / "c.yaml"
    config.write_text(
        f"include: [{ROOT}/configs/phones/oneplus_12.yaml, {ROOT}/configs/devices/ufs40.yaml]\n"
        f"trace: {{path: {sample}}}\n"
        "system:\n  heads: together\n  clustering: token\n  layout: token_order\n  replacement: none\n"
        "  stages:\n    - effect: select\n      scorer: {type: low_rank, rank: 8, calibration: basis.h5}\n"
        "      budget: fraction\n"
        "run: {steps: 2}\n"
    )
    assert attempt("run", config, "-o", tmp_path / "out.h5", cwd=Path("/")).returncode == 0
    with h5py.File(tmp_path / "out.h5") as file:
        attributes = file["provenance"].attrs
        assert attributes["data_path"].decode() == str(tmp_path / "basis.h5")
        digest = hashlib.sha256((tmp_path / "basis.h5").read_bytes()).hexdigest()
        assert attributes["data_sha256"].decode() == digest
    wrong = attempt("run", config, "-o", tmp_path / "basis.h5")
    assert wrong.returncode == 2
    assert "is an input" in wrong.stderr
    kvreplay("calibrate", sample, "-o", tmp_path / "basis.h5", "--heads", "each", "--rank", "4")
    wrong = attempt("run", config)
    assert wrong.returncode == 2
    assert "system.stages.0.scorer.calibration: " in wrong.stderr
    assert "with --heads as the system has them" in wrong.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rank", "0"], "--rank: 0 is too few; allowed: 1 and more"),
        (["--rank", "193"], "--rank: 193 is too many; allowed: 1 to 192, the channels of a row"),
        (["--heads", "some"], "--heads: is not a choice (some); allowed: together, each"),
        (["--tokens", "999999"], "--tokens: 999999 is too many"),
    ],
)
def test_what_cannot_be_is_told(sample: Path, tmp_path: Path, options: list, message: str) -> None:
    done = attempt("calibrate", sample, "-o", tmp_path / "x.h5", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "x.h5").exists()


def test_an_input_is_never_overwritten(sample: Path, tmp_path: Path) -> None:
    copy = tmp_path / "trace.h5"
    copy.write_bytes(sample.read_bytes())
    done = attempt("calibrate", copy, "-o", copy)
    assert done.returncode == 2
    assert copy.read_bytes() == sample.read_bytes()


def retrieving(folder: Path, sample: Path, *calibrations: str) -> Path:
    """A configuration with a stage for each of the calibrations."""
    stages = [
        {
            "effect": "select",
            "layers": str(LAYERS[at]),
            "scorer": {"type": "low_rank", "rank": 8, "calibration": name},
            "budget": "fraction",
        }
        for at, name in enumerate(calibrations)
    ]
    parts = [str(ROOT / "configs" / part) for part in ("phones/oneplus_12.yaml", "devices/ufs40.yaml")]
    system = {"heads": "together", "clustering": "token", "layout": "token_order", "replacement": "none"}
    config = folder / "c.yaml"
    config.write_text(
        json.dumps({
            "include": parts,
            "trace": {"path": str(sample)},
            "system": {**system, "stages": stages},
            "run": {"steps": 1},
        })
    )  # fmt: skip
    return config


def test_a_damaged_calibration_is_told_whatever_was_damaged(kvreplay, sample: Path, tmp_path: Path) -> None:
    sound = tmp_path / "sound.h5"
    kvreplay("calibrate", sample, "-o", sound, "--rank", "8")

    def change(name: str, at: str, value: float, *, renew: bool) -> None:
        (tmp_path / name).write_bytes(sound.read_bytes())
        with h5py.File(tmp_path / name, "r+") as file:
            file[at][0, 0, 0] = value
            digest = hashlib.sha256(file[at][:].tobytes()).hexdigest()
            if renew:
                file[at].attrs["sha256"] = digest

    at = f"layers/{LAYERS[0]}/basis"
    for name, value, renew, message in (
        ("nan.h5", np.nan, True, "column 0 is no direction, its squares sum to nan; allowed: 1"),
        ("large.h5", 3.0, True, "column 0 is no direction"),
        ("other.h5", 0.01, False, "its bases are not those that were written; damaged, or changed"),
    ):
        change(name, at, value, renew=renew)
        done = attempt("run", retrieving(tmp_path, sample, name))
        assert done.returncode == 2, name
        assert f"system.stages.0.scorer.calibration: {tmp_path / name}: " in done.stderr
        assert message in done.stderr


def test_what_is_wrong_with_several_calibrations_is_told_together(sample: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.h5").write_bytes(b"")
    done = attempt("run", retrieving(tmp_path, sample, "none.h5", "empty.h5"))
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    for at, line in enumerate(lines):
        assert f"system.stages.{at}.scorer.calibration: " in line


@pytest.mark.parametrize("heads", ["together", "each"])
def test_a_calibration_of_another_model_or_of_other_heads_is_refused_before_any_replay(
    kvreplay, sample: Path, tmp_path: Path, heads: str
) -> None:
    kvreplay("calibrate", sample, "-o", tmp_path / "sound.h5", "--heads", heads, "--rank", "8")
    with h5py.File(tmp_path / "sound.h5") as file:
        assert file.attrs["model"].decode() == "SmolLM2-135M-Instruct-Q4_1"
        assert list(file.attrs["kv_heads"]) == [0, 1, 2]

    def changed(name: str, **attributes: object) -> str:
        (tmp_path / name).write_bytes((tmp_path / "sound.h5").read_bytes())
        with h5py.File(tmp_path / name, "r+") as file:
            for key, value in attributes.items():
                file.attrs[key] = value
        return name

    other = changed("other.h5", model=np.bytes_(b"another model"))
    heads_of = changed("heads.h5", kv_heads=np.array([0, 1, 3]))
    old = changed("old.h5", version=1)
    config = retrieving(tmp_path, sample, other, heads_of, old)
    config.write_text(config.read_text().replace("together", heads))
    wrong = ["--set", "run.steps=1000000"]
    done = attempt("run", config, *wrong, "-o", tmp_path / "out.h5")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 4
    assert any("run.steps: " in line for line in lines)
    for stage, message in enumerate(
        (
            f"{tmp_path / other}: is of the model 'another model', and the trace of "
            "'SmolLM2-135M-Instruct-Q4_1'; allowed: a calibration of the trace's model",
            f"{tmp_path / heads_of}: is of the KV heads 0, 1, 3 of each layer, and the trace has 0, 1, 2; "
            "allowed: a calibration of the same KV heads",
            f"{tmp_path / old}: is of version 1; allowed: 2",
        )
    ):
        key = f"system.stages.{stage}.scorer.calibration: {message}"
        assert [line for line in lines if line.startswith(f"{config}:1:") and line.endswith(key)], key
    assert not (tmp_path / "out.h5").exists()


def test_traces_of_two_models_are_refused_and_all_is_told_at_once(sample: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    other.write_bytes(sample.read_bytes())
    with h5py.File(other, "r+") as file:
        file.attrs["model_name"] = np.bytes_(b"another model")
    (tmp_path / "text.h5").write_text("no trace")
    given = (tmp_path / "text.h5", sample, other, tmp_path / "none.h5")
    done = attempt("calibrate", *given, "-o", sample, "--rank", "0", "--tokens", "-1")
    assert done.returncode == 2
    for message in (
        "--rank: 0 is too few",
        "--tokens: -1 is too few",
        "is an input",
        f"{tmp_path / 'text.h5'}: ",
        f"{other}: is of another model, or has other layers or heads of it, than {sample}; allowed: ",
        f"{tmp_path / 'none.h5'}: ",
    ):
        assert message in done.stderr, message


def test_a_codec_that_leaves_nothing_on_flash_is_refused_there(sample: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    for codec in ("{k: low_rank, v: low_rank}", "{joint: low_rank}"):
        config.write_text(
            f"include: [{ROOT}/configs/phones/oneplus_12.yaml, {ROOT}/configs/devices/ufs40.yaml]\n"
            f"trace: {{path: {sample}}}\nrun: {{steps: 1}}\n"
            "system:\n  clustering: token\n  stages: []\n  layout: token_order\n  replacement: none\n"
            f"  codec: {codec}\n"
        )
        done = attempt("run", config)
        assert done.returncode == 2
        assert "system.codec: leaves nothing of an entry to be on flash; allowed: " in done.stderr


def test_no_calibration_is_an_empty_text_and_what_a_run_writes_down_runs_again(
    kvreplay, sample: Path, tmp_path: Path
) -> None:
    config = retrieving(tmp_path, sample, "none.h5")
    kvreplay("run", config, "--set", 'system.stages.0.scorer.calibration=""', "-o", tmp_path / "first.h5")
    with h5py.File(tmp_path / "first.h5") as first:
        (tmp_path / "again.yaml").write_text(first["provenance/resolved_config"].asstr()[0])
        kvreplay("run", tmp_path / "again.yaml", "-o", tmp_path / "again.h5")
        with h5py.File(tmp_path / "again.h5") as again:
            assert np.array_equal(first["recall"][:], again["recall"][:])
