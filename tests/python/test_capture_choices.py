"""What the options of kvreplay-capture change: heads, layers, windows, offsets, chunks, other rotations."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
h5py = pytest.importorskip("h5py")

from capture_models import TEXT, assert_close_to_half, eager_reference, options, save_model, tiny_config  # noqa: E402
from kvreplay_capture import session  # noqa: E402
from kvreplay_capture.check import sample_positions  # noqa: E402
from kvreplay_capture.errors import CaptureError  # noqa: E402
from kvreplay_capture.options import parse_indices  # noqa: E402
from kvreplay_capture.recorder import column_sums  # noqa: E402


def test_chosen_heads_and_layers_are_the_same_numbers_as_in_the_whole_trace(
    model_folders: dict[str, Path], tmp_path: Path
) -> None:
    whole = session.capture(options(model_folders["qwen3"], tmp_path / "whole.h5"))
    part = session.capture(
        options(model_folders["qwen3"], tmp_path / "part.h5", layers=(0, 2), kv_heads=(1,))
    )
    with h5py.File(whole.path) as a, h5py.File(part.path) as b:
        assert sorted(b["layers"]) == ["0", "2"]
        for name in ("queries", "speculated_queries", "prompt_attention_sums"):
            assert np.array_equal(a[f"layers/2/{name}"][2:4], b[f"layers/2/{name}"][:])
        for name in ("keys", "values"):
            assert np.array_equal(a[f"layers/2/{name}"][1:2], b[f"layers/2/{name}"][:])


def test_the_same_capture_twice_gives_the_same_bytes(model_folders: dict[str, Path], tmp_path: Path) -> None:
    digests = set()
    for name in ("a.h5", "b.h5"):
        session.capture(options(model_folders["llama"], tmp_path / name, mode="sampled", seed=3))
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("window", [0, 24])
def test_the_window_may_be_empty_or_the_whole_prompt(
    model_folders: dict[str, Path], tmp_path: Path, window: int
) -> None:
    session.capture(
        options(model_folders["qwen2"], tmp_path / "t.h5", window=window, speculated=False, prompt_sums=False)
    )
    with h5py.File(tmp_path / "t.h5") as file:
        assert file["query_positions"][:].tolist() == list(range(24 - window, 64))
        assert sorted(file["layers/1"]) == ["keys", "queries", "values"]


def test_no_bos_and_an_offset_start_inside_the_text(model_folders: dict[str, Path], tmp_path: Path) -> None:
    session.capture(options(model_folders["llama"], tmp_path / "t.h5", bos=False, offset=5))
    with h5py.File(tmp_path / "t.h5") as file:
        assert file["tokens"][:].tolist() == [ord(c) - 30 for c in TEXT[5:69]]


def test_several_chunks_are_written_while_the_model_runs(
    model_folders: dict[str, Path], tmp_path: Path, monkeypatch: Any
) -> None:
    """With chunks of 7 rows no buffer ever holds more than 7 rows of a dataset."""
    from kvreplay_capture import writer

    monkeypatch.setattr(writer, "CHUNK_BYTES", 7 * 16)
    streams = []
    created = writer.DatasetStream.__init__
    monkeypatch.setattr(
        writer.DatasetStream,
        "__init__",
        lambda self, *a, **k: (created(self, *a, **k), streams.append(self))[0],
    )
    session.capture(options(model_folders["llama"], tmp_path / "small.h5"))
    keys = [s for s in streams if s.name.endswith("/keys")]
    assert len(keys) == 3 and all(len(s._buffer) == 7 for s in keys)
    monkeypatch.undo()
    session.capture(options(model_folders["llama"], tmp_path / "large.h5"))
    with h5py.File(tmp_path / "small.h5") as a, h5py.File(tmp_path / "large.h5") as b:
        assert a["layers/1/keys"].chunks == (1, 7, 8)
        for name in ("keys", "values", "queries", "speculated_queries", "prompt_attention_sums"):
            assert np.array_equal(a[f"layers/1/{name}"], b[f"layers/1/{name}"])


def test_column_sums_do_not_depend_on_the_size_of_the_pieces(monkeypatch: Any) -> None:
    from kvreplay_capture import recorder

    queries, keys = torch.randn(4, 9, 8), torch.randn(2, 31, 8)
    whole = column_sums(queries, keys, 0.3)
    monkeypatch.setattr(recorder, "SCORE_BUDGET", 1)
    torch.testing.assert_close(column_sums(queries, keys, 0.3), whole)
    assert whole[:, 23:].sum() < whole.sum() and whole.sum(dim=1) == pytest.approx([9.0] * 4)


def test_a_scaled_rotary_embedding_is_captured_and_described(tmp_path: Path) -> None:
    yarn = {"rope_type": "yarn", "rope_theta": 5000.0, "factor": 4.0, "original_max_position_embeddings": 128}
    folder = save_model(tmp_path / "yarn", tiny_config("llama", rope_parameters=yarn))
    session.capture(options(folder, tmp_path / "t.h5"))
    with h5py.File(tmp_path / "t.h5") as file:
        assert json.loads(file.attrs["rope_scaling"])["factor"] == 4.0
        reference = eager_reference(folder, file["tokens"][:])
        assert_close_to_half(file["layers/2/keys"][:], reference.keys[2])


def test_interleaved_rotation_is_recognised(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "cohere", tiny_config("cohere", head_dim=8))
    report = session.capture(options(folder, tmp_path / "t.h5"))
    assert report.plan.layout == "interleaved"


def test_sample_positions_span_the_decode_steps() -> None:
    assert sample_positions(10, 20, 3) in ([10, 14, 19], [10, 15, 19])
    assert sample_positions(10, 12, 16) == [10, 11]


def test_a_sliding_window_longer_than_the_trace_is_no_obstacle(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "wide-window", tiny_config("mistral", sliding_window=64))
    session.capture(options(folder, tmp_path / "t.h5"))
    with h5py.File(tmp_path / "t.h5") as file:
        reference = eager_reference(folder, file["tokens"][:])
        assert_close_to_half(file["layers/2/keys"][:], reference.keys[2])


def test_full_layers_beside_sliding_ones_can_be_chosen(tmp_path: Path) -> None:
    kinds = ["sliding_attention", "full_attention", "full_attention"]
    folder = save_model(
        tmp_path / "mixed",
        tiny_config("qwen3", sliding_window=16, use_sliding_window=True, layer_types=kinds),
    )
    report = session.capture(options(folder, tmp_path / "t.h5", layers=(1, 2)))
    assert report.check.rounding.error < 5e-3
    with pytest.raises(CaptureError, match=r"layer 0: attends to the last 16 positions only .*--layers 1-2"):
        session.capture(options(folder, tmp_path / "u.h5"))


def test_index_lists() -> None:
    assert parse_indices("0,2-4") == (0, 2, 3, 4)
    for wrong in ("", "a", "3-1", "1,1", "1-", "-1"):
        with pytest.raises(ValueError):
            parse_indices(wrong)


def test_a_trace_beyond_the_models_context_is_made_with_a_warning(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "short", tiny_config("llama", max_position_embeddings=32))
    report = session.capture(options(folder, tmp_path / "t.h5"))
    assert report.warnings == ("the trace has 64 tokens; the model was made for 32",)
