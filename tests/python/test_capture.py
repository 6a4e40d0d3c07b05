"""kvreplay-capture on tiny random models of four families, against the models' own attention.

Every expectation is computed from a plain full forward pass with the `eager` attention, never from the
capture's own code path.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
h5py = pytest.importorskip("h5py")

from capture_models import (  # noqa: E402
    FAMILIES,
    TEXT,
    VOCAB,
    Reference,
    assert_close_to_half,
    by_hand,
    eager_reference,
    options,
)
from kvreplay_capture import session  # noqa: E402
from kvreplay_capture.check import compare_attention  # noqa: E402
from kvreplay_capture.kvtrace import broken_checksums, text  # noqa: E402
from kvreplay_capture.options import CaptureOptions  # noqa: E402


@dataclass(frozen=True)
class Captured:
    """An open trace with everything optional in it, and what it should hold."""

    folder: Path
    options: CaptureOptions
    report: Any
    file: Any
    reference: Reference


@pytest.fixture(
    scope="session",
    params=[(f, m) for f in FAMILIES for m in ("teacher-forced", "greedy", "sampled")],
    ids=lambda p: f"{p[0]}-{p[1]}",
)
def captured(request: Any, model_folders: dict[str, Path], tmp_path_factory: Any) -> Iterator[Captured]:
    family, mode = request.param
    chosen = options(
        model_folders[family], tmp_path_factory.mktemp("out") / "t.h5", mode=mode, wo_v_norm=True, seed=7
    )
    report = session.capture(chosen)
    with h5py.File(chosen.output) as file:
        yield Captured(
            model_folders[family],
            chosen,
            report,
            file,
            eager_reference(model_folders[family], file["tokens"][:]),
        )


def test_keys_values_and_queries_are_those_of_the_model(captured: Captured) -> None:
    first = captured.options.prompt_tokens - captured.options.window
    for layer in range(3):
        group = captured.file[f"layers/{layer}"]
        assert_close_to_half(group["keys"][:], captured.reference.keys[layer])
        assert_close_to_half(group["values"][:], captured.reference.values[layer])
        assert_close_to_half(group["queries"][:], captured.reference.queries[layer][:, first:])


def test_attention_from_the_file_is_the_attention_of_the_eager_model(captured: Captured) -> None:
    outputs = {}
    for layer, weights in enumerate(captured.reference.weights):
        values = np.repeat(captured.reference.values[layer], 2, axis=0)
        for position in range(captured.options.prompt_tokens, captured.options.total):
            outputs[layer, position] = np.einsum("hn,hnd->hd", weights[:, position], values)
    assert compare_attention(captured.options.output, outputs).error < 5e-3
    assert 0 < captured.report.check.capture.error < 1e-5
    assert 0 < captured.report.check.rounding.error < 5e-3


def test_prompt_sums_are_the_column_sums_of_output_attentions(captured: Captured) -> None:
    prompt = captured.options.prompt_tokens
    for layer, weights in enumerate(captured.reference.weights):
        sums = captured.file[f"layers/{layer}/prompt_attention_sums"][:]
        np.testing.assert_allclose(sums, weights[:, :prompt, :prompt].sum(axis=1), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(sums.sum(axis=1), prompt, rtol=1e-5)


def test_speculated_queries_are_this_projection_of_the_previous_input(captured: Captured) -> None:
    first = captured.options.prompt_tokens - captured.options.window
    assert "speculated_queries" not in captured.file["layers/0"]
    for layer in (1, 2):
        previous = torch.tensor(captured.reference.inputs[layer - 1])[None]
        with torch.no_grad():
            expected = by_hand(captured.reference.model, layer, previous)[0][0, :, first:].numpy()
        assert_close_to_half(captured.file[f"layers/{layer}/speculated_queries"][:], expected)


def test_value_norms_are_those_of_the_output_projection(captured: Captured) -> None:
    for layer in range(3):
        weight = captured.reference.model.model.layers[layer].self_attn.o_proj.weight.detach().numpy()
        values = np.repeat(captured.reference.values[layer], 2, axis=0)
        slices = weight.reshape(32, 4, 8).transpose(1, 0, 2)
        expected = np.linalg.norm(np.einsum("hcd,htd->htc", slices, values), axis=-1)
        np.testing.assert_allclose(captured.file[f"layers/{layer}/wo_v_norm"][:], expected, rtol=1e-3)


def test_tokens_come_from_where_the_mode_says(captured: Captured) -> None:
    tokens = captured.file["tokens"][:]
    prompt = captured.options.prompt_tokens
    forced = [0, *(ord(c) - 30 for c in TEXT[: captured.options.total - 1])]
    assert tokens[:prompt].tolist() == forced[:prompt]
    logits = captured.reference.logits[prompt - 1 : -1]
    if captured.options.mode == "teacher-forced":
        assert tokens.tolist() == forced
    elif captured.options.mode == "greedy":
        chosen = np.take_along_axis(logits, tokens[prompt:, None].astype(np.int64), axis=1)[:, 0]
        np.testing.assert_allclose(chosen, logits.max(axis=1), rtol=1e-4, atol=1e-4)
    else:
        assert tokens[prompt:].tolist() != logits.argmax(axis=1).tolist()


def test_attributes_and_positions_follow_the_format(captured: Captured) -> None:
    root = captured.file.attrs
    weights = (captured.folder / "model.safetensors").read_bytes()
    expected = {
        "format": "kvtrace",
        "version": 1,
        "layers": 3,
        "query_heads": 4,
        "kv_heads": 2,
        "head_dim": 8,
        "hidden_size": 32,
        "ffn_size": 48,
        "vocab_size": VOCAB,
        "rope_theta": 5000.0,
        "rope_scaling": "none",
        "rope_layout": "half",
        "prefill_len": 24,
        "seq_len": 64,
        "capture_tool": "kvreplay-capture",
        "capture_mode": captured.options.mode,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "text_source": "text.txt",
        "licence": "unspecified",
        "model_name": captured.folder.name,
        "seed": 7 if captured.options.mode == "sampled" else 0,
    }
    assert {name: text(root[name]) for name in expected} == expected
    assert root["attention_scale"] == pytest.approx(8**-0.5)
    assert root["captured_layers"].tolist() == [0, 1, 2] and root["captured_kv_heads"].tolist() == [0, 1]
    assert captured.file["query_positions"][:].tolist() == list(range(14, 64))


def test_every_dataset_says_what_it_is_and_hashes_to_its_checksum(captured: Captured) -> None:
    def visit(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        data = item[:]
        in_time_order = data if data.ndim == 1 else np.ascontiguousarray(np.moveaxis(data, 1, 0))
        digest = hashlib.sha256(in_time_order.tobytes()).hexdigest()
        assert text(item.attrs["checksum"]) == "sha256:" + digest, name
        assert item.attrs["units"] and item.attrs["long_name"]
        assert item.dtype.byteorder in "=<|"  # a byte has no order
        assert item.shuffle and item.compression == "gzip"
        assert item.chunks[0] == 1 or item.ndim == 1

    captured.file.visititems(visit)
    assert broken_checksums(captured.options.output) == []
