"""Captures from a GGUF file: the same trace as from the model's folder."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
h5py = pytest.importorskip("h5py")
gguf = pytest.importorskip("gguf")

from capture_gguf import VOCAB, save_byte_tokenizer, stored_as, write_gguf  # noqa: E402
from capture_models import TEXT, options, save_model, tiny_config  # noqa: E402
from kvreplay_capture import session  # noqa: E402
from kvreplay_capture.errors import CaptureError  # noqa: E402
from kvreplay_capture.gguf_file import GgufFile  # noqa: E402
from kvreplay_capture.gguf_tokenizer import gguf_tokenizer  # noqa: E402
from kvreplay_capture.model import GgufSource, KeptSource, open_source  # noqa: E402

KINDS = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1")
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 5000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {"rope_type": "yarn", "rope_theta": 5000.0, "factor": 4.0, "original_max_position_embeddings": 128}


def model_folder(folder: Path, family: str = "llama", **changes: Any) -> Path:
    """A tiny model whose rows fill blocks of 32 weights, with a byte-level tokenizer."""
    sizes = {"vocab_size": VOCAB, "intermediate_size": 64, "num_hidden_layers": 2}
    made = save_model(folder, tiny_config(family, **(sizes | changes)))
    save_byte_tokenizer(made)
    return made


def capture_both(folder: Path, file: Path, tmp_path: Path, **changes: Any) -> tuple[Path, Path]:
    """Traces from the folder and from the GGUF file."""
    traces = []
    for name, model in (("folder.h5", folder), ("gguf.h5", file)):
        session.capture(options(folder, tmp_path / name, model=model, **changes))
        traces.append(tmp_path / name)
    return traces[0], traces[1]


def assert_same_rows(a: Path, b: Path, allowed: float = 0.0) -> None:
    """Every dataset equal, or off by at most `allowed` of its norm."""
    with h5py.File(a) as x, h5py.File(b) as y:
        names: list[str] = []
        x.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        assert len(names) >= 7
        for name in names:
            left, right = x[name][:].astype(np.float64), y[name][:].astype(np.float64)
            assert np.linalg.norm(left - right) <= allowed * np.linalg.norm(left), name


@pytest.mark.parametrize("kind", KINDS)
def test_a_quantised_llama_gives_the_trace_of_the_weights_it_holds(kind: str, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    file = write_gguf(folder, tmp_path / "model.gguf", kind)
    stored_as(folder, kind)
    a, b = capture_both(folder, file, tmp_path)
    assert_same_rows(a, b)
    with h5py.File(b) as trace:
        assert trace.attrs["weights_sha256"].decode() == hashlib.sha256(file.read_bytes()).hexdigest()
        assert trace.attrs["model_name"].decode() == "model"


@pytest.mark.parametrize("family", ["qwen2", "qwen3"])
def test_other_architectures_give_the_same_trace(family: str, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model", family, tie_word_embeddings=True)
    assert_same_rows(*capture_both(folder, write_gguf(folder, tmp_path / "m.gguf"), tmp_path))


@pytest.mark.parametrize("layers", [(5,), (0, 4)], ids=["global", "local"])
def test_gemma_3_gives_the_same_trace_but_for_the_one_in_its_norms(
    layers: tuple[int, ...], tmp_path: Path
) -> None:
    folder = model_folder(
        tmp_path / "model",
        "gemma3_text",
        num_hidden_layers=6,
        sliding_window=128,
        query_pre_attn_scalar=8,
        rope_parameters={
            "full_attention": {"rope_type": "default", "rope_theta": 5000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        },
    )
    traces = capture_both(folder, write_gguf(folder, tmp_path / "m.gguf"), tmp_path, layers=layers)
    assert_same_rows(*traces, allowed=1e-4)


@pytest.mark.parametrize(
    ("family", "rope"), [("llama", LLAMA3), ("qwen2", YARN)], ids=["llama3-divisors", "yarn"]
)
def test_scaled_rotary_embeddings_give_the_same_trace(
    family: str, rope: dict[str, Any], tmp_path: Path
) -> None:
    folder = model_folder(tmp_path / "model", family, rope_parameters=rope)
    traces = capture_both(folder, write_gguf(folder, tmp_path / "m.gguf"), tmp_path)
    assert_same_rows(*traces, allowed=1e-4)


def test_biases_of_queries_and_keys_are_put_back_in_order(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model", attention_bias=True)
    assert_same_rows(*capture_both(folder, write_gguf(folder, tmp_path / "m.gguf"), tmp_path))


REFUSED = {
    "part": ({"split.count": 3}, "is one of 3 parts; join them first"),
    "no heads": ({"llama.attention.head_count": 0}, "head_count' is 0; it must be 1 or more"),
    "experts": ({"llama.expert_count": 8}, "what 'llama.expert_count' means for the model is not known here"),
    "cut": ({"tokenizer.ggml.pre": "unheard-of"}, "'tokenizer.ggml.pre' is 'unheard-of'"),
    "tokenizer": ({"tokenizer.ggml.model": "t5"}, "a tokenizer of kind 't5' is not known here"),
    "scaling": ({"llama.rope.scaling.type": "su"}, "rope scaling 'su' is not known here"),
    "partial": ({"llama.rope.dimension_count": 4}, "rope.dimension_count is 4 and keys have 8 channels"),
    "no epsilon": ({"llama.attention.layer_norm_rms_epsilon": None}, "layer_norm_rms_epsilon'"),
    "heads by layer": ({"llama.attention.head_count_kv": [2, 1]}, "head_count_kv' is not a single number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_is_refused(name: str, tmp_path: Path) -> None:
    changes, message = REFUSED[name]
    file = write_gguf(model_folder(tmp_path / "model"), tmp_path / "m.gguf", changes=changes)
    with pytest.raises(CaptureError) as caught:
        session.capture(options(tmp_path / "model", tmp_path / "t.h5", model=file))
    assert message in str(caught.value)


def test_a_tensor_without_a_place_is_refused(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model", attention_bias=True)
    file = write_gguf(folder, tmp_path / "m.gguf")
    file.write_bytes(file.read_bytes().replace(b"blk.1.attn_q.bias", b"blk.1.attn_q.sink"))
    with pytest.raises(CaptureError, match=r"tensor 'blk\.1\.attn_q\.sink' has no place in a 'llama' model"):
        session.capture(options(folder, tmp_path / "t.h5", model=file))


@pytest.mark.parametrize("size", [0, 3, 40, 4000])
def test_a_damaged_file_is_refused(size: int, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    file = write_gguf(folder, tmp_path / "m.gguf")
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(CaptureError, match=r"m\.gguf: not a readable GGUF file"):
        session.capture(options(folder, tmp_path / "t.h5", model=file))


def sentencepiece_metadata() -> dict[str, Any]:
    """Pieces in which `▁ab` is made before `bc` though its letters come first."""
    scored = {"<unk>": 0.0, "<s>": 0.0, "</s>": 0.0, "<0x0A>": 0.0}
    scored |= {"▁a": -1.0, "▁ab": -2.0, "bc": -3.0, "▁": -10.0, "a": -11.0, "b": -12.0, "c": -13.0}
    types = [2, 3, 3, 6] + [1] * 7
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": None,
        "tokenizer.ggml.merges": None,
        "tokenizer.ggml.tokens": list(scored),
        "tokenizer.ggml.scores": list(scored.values()),
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.add_bos_token": None,
    }


def test_a_sentencepiece_vocabulary_merges_by_score_and_begins(tmp_path: Path) -> None:
    file = write_gguf(model_folder(tmp_path / "m"), tmp_path / "m.gguf", changes=sentencepiece_metadata())
    tokenizer = gguf_tokenizer(GgufFile(file))
    names = list(sentencepiece_metadata()["tokenizer.ggml.tokens"])
    ids, _ = tokenizer.encode("abc bc\nx</s>")
    expected = ["▁ab", "c", "▁", "bc", "<0x0A>", "<unk>", "</s>"]
    assert [names[i] for i in ids] == expected
    assert tokenizer.first == (1,) and tokenizer.ends == (2,)


@pytest.mark.parametrize(
    ("pre", "text", "words"),
    [
        ("gpt-2", "We're 1234  on", ["We", "'re", "Ġ1234", "Ġ", "Ġon"]),
        ("smollm", "We're 1234  on", ["We", "'re", "Ġ", "1", "2", "3", "4", "Ġ", "Ġon"]),
        ("qwen2", "We'RE 1234\n\n on", ["We", "'RE", "Ġ", "1", "2", "3", "4", "ĊĊ", "Ġon"]),
        ("llama-bpe", "We're 1234", ["We", "'re", "Ġ", "123", "4"]),
        ("tekken", "aBc 12/\n", ["a", "Bc", "Ġ", "1", "2", "/Ċ"]),
    ],
)
def test_text_is_cut_as_the_models_own_tokenizers_cut_it(
    pre: str, text: str, words: list[str], tmp_path: Path
) -> None:
    file = write_gguf(model_folder(tmp_path / "m"), tmp_path / "m.gguf", changes={"tokenizer.ggml.pre": pre})
    tokenizer = gguf_tokenizer(GgufFile(file))
    assert [word for word, _ in tokenizer.backend.pre_tokenizer.pre_tokenize_str(text)] == words


def test_the_text_is_the_one_that_was_given(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    session.capture(options(folder, tmp_path / "t.h5", model=write_gguf(folder, tmp_path / "m.gguf")))
    with h5py.File(tmp_path / "t.h5") as trace:
        tokenizer = gguf_tokenizer(GgufFile(tmp_path / "m.gguf"))
        assert TEXT.startswith(tokenizer.backend.decode(trace["tokens"][:].tolist()))


def test_a_source_that_is_kept_gives_the_same_and_is_read_once(tmp_path: Path, monkeypatch: Any) -> None:
    folder = model_folder(tmp_path / "model")
    file = write_gguf(folder, tmp_path / "model.gguf", "F32")
    fresh = options(folder, tmp_path / "fresh.h5", model=file)
    session.capture(fresh)
    kept = KeptSource(open_source(file))
    loads: list[torch.dtype] = []
    load = GgufSource.load
    monkeypatch.setattr(
        GgufSource, "load", lambda of, config, dtype: (loads.append(dtype), load(of, config, dtype))[1]
    )
    for name in ("first.h5", "second.h5"):
        session.capture(options(folder, tmp_path / name, model=file), source=kept)
        assert_same_rows(fresh.output, tmp_path / name)
    assert loads == [torch.float32]
    session.capture(options(folder, tmp_path / "half.h5", model=file, dtype="float16"), source=kept)
    assert loads == [torch.float32, torch.float16]
