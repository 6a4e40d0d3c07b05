"""What a capture gets right or refuses: first tokens, rotations that know lengths, odd queries, weights."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
h5py = pytest.importorskip("h5py")

from capture_families import Family, WholePass, make_family  # noqa: E402
from capture_models import TEXT, options, save_model, save_tokenizer, tiny_config  # noqa: E402
from kvreplay_capture import session  # noqa: E402
from kvreplay_capture.errors import CaptureError  # noqa: E402
from tokenizers import Tokenizer, processors  # noqa: E402

FIRST_LETTERS = [ord(letter) - 30 for letter in TEXT[:3]]


def assert_whole_pass(folder: Path, trace: Path) -> None:
    """Keys, queries and speculated queries of the file are those of one pass over all tokens."""
    with h5py.File(trace) as file:
        whole = WholePass(folder, file["tokens"][:].tolist())
        first = int(file["query_positions"][0])
        for layer in map(int, file["layers"]):
            group, seen = file[f"layers/{layer}"], whole.layers[layer]
            wanted = {"keys": seen.keys, "queries": seen.queries[:, first:]}
            if "speculated_queries" in group:
                wanted["speculated_queries"] = seen.speculated[:, first:]
            for name, exact in wanted.items():
                difference = np.linalg.norm(group[name][:] - exact.numpy())
                assert difference < 5e-4 * np.linalg.norm(exact.numpy()), (layer, name)


LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0, 1.02, 1.03, 1.03],
    "long_factor": [1.05, 4.0, 30.0, 64.0],
}


@pytest.mark.parametrize("original", [32, 64], ids=["beyond", "within"])
@pytest.mark.parametrize("block", [5, 128])
def test_longrope_has_the_keys_of_a_whole_pass(original: int, block: int, tmp_path: Path) -> None:
    config = {"original_max_position_embeddings": original, "rope_parameters": dict(LONGROPE)}
    folder = make_family(tmp_path / "model", Family("phi3", config))
    session.capture(options(folder, tmp_path / "t.h5", block=block))
    assert_whole_pass(folder, tmp_path / "t.h5")
    with h5py.File(tmp_path / "t.h5") as file:
        assert json.loads(file.attrs["rope_scaling"])["short_factor"] == LONGROPE["short_factor"]


@pytest.mark.parametrize("limit", [32, 64], ids=["beyond", "within"])
@pytest.mark.parametrize("changes", [{"block": 128}, {"block": 1}, {"mode": "greedy"}], ids=str)
def test_a_base_that_grows_with_the_length_is_that_of_a_whole_pass(
    limit: int, changes: dict[str, Any], tmp_path: Path
) -> None:
    rope = {"rope_type": "dynamic", "rope_theta": 5000.0, "factor": 4.0}
    config = tiny_config("llama", max_position_embeddings=limit, rope_parameters=rope)
    folder = save_model(tmp_path / "model", config)
    session.capture(options(folder, tmp_path / "t.h5", **changes))
    assert_whole_pass(folder, tmp_path / "t.h5")
    with h5py.File(tmp_path / "t.h5") as file:
        assert file.attrs["rope_theta"] == 5000.0
        assert json.loads(file.attrs["rope_scaling"])["rope_type"] == "dynamic"


def test_speculated_queries_are_scaled_by_position(tmp_path: Path) -> None:
    rope = {
        "rope_type": "yarn",
        "rope_theta": 1e6,
        "factor": 4.0,
        "original_max_position_embeddings": 16,
        "llama_4_scaling_beta": 0.5,
    }
    folder = make_family(tmp_path / "model", Family("ministral3", {"rope_parameters": rope}))
    session.capture(options(folder, tmp_path / "t.h5"))
    assert_whole_pass(folder, tmp_path / "t.h5")


def test_speculated_queries_are_clipped(tmp_path: Path) -> None:
    folder = make_family(tmp_path / "model", Family("olmo", {"clip_qkv": 0.5}))
    session.capture(options(folder, tmp_path / "t.h5"))
    assert_whole_pass(folder, tmp_path / "t.h5")
    with h5py.File(tmp_path / "t.h5") as file:
        assert np.abs(file["layers/1/speculated_queries"][:]).max() < 0.5 * 2**0.5 + 1e-3


def capture_tokens(folder: Path, tmp_path: Path, **changes: Any) -> list[int]:
    session.capture(options(folder, tmp_path / "t.h5", **changes))
    with h5py.File(tmp_path / "t.h5") as file:
        return file["tokens"][:3].tolist()


def test_no_token_goes_in_front_that_the_tokenizer_does_not_put_there(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", tiny_config("qwen2", bos_token_id=0))
    save_tokenizer(folder, begins=False)
    assert capture_tokens(folder, tmp_path) == FIRST_LETTERS


@pytest.mark.parametrize("begins", [False, True])
def test_the_tokenizers_settings_decide_before_its_file(begins: bool, tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", tiny_config("llama", bos_token_id=None))
    save_tokenizer(folder, begins=not begins)
    settings = {"add_bos_token": begins, "bos_token": {"content": "<s>", "special": True}}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    expected = [0, *FIRST_LETTERS[:2]] if begins else FIRST_LETTERS
    assert capture_tokens(folder, tmp_path) == expected


def test_tokens_that_a_tokenizer_puts_at_the_end_are_left_out(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", tiny_config("llama"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    assert capture_tokens(folder, tmp_path, prompt_tokens=12) == [0, *FIRST_LETTERS[:2]]


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", tiny_config("llama"))
    (folder / "text.txt").write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert capture_tokens(folder, tmp_path) == [0, *FIRST_LETTERS[:2]]


@pytest.mark.parametrize(
    "content",
    ['[{"role": "user", "content": "hello"}]', '{"text": "hello"}\n{"text": "again"}\n', '\n {"a": 1}'],
    ids=["conversation", "lines", "object"],
)
def test_json_is_no_plain_text(content: str, tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", tiny_config("llama"))
    (folder / "text.txt").write_text(content + " " * 500)
    with pytest.raises(CaptureError, match=r"text\.txt: is JSON, not plain text; give .* with --chat"):
        session.capture(options(folder, tmp_path / "t.h5"))


def test_text_in_braces_is_text(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", tiny_config("llama"))
    (folder / "text.txt").write_text("{ it was the best [of times] }\n" * 8)
    assert capture_tokens(folder, tmp_path)[0] == 0


def test_weights_that_the_config_has_no_place_for_are_refused(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", tiny_config("llama", attention_bias=True))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"attention_bias": False}))
    with pytest.raises(
        CaptureError, match=r"unexpected_keys: model\.layers\.0\.self_attn\.k_proj\.bias and 11 more"
    ):
        session.capture(options(folder, tmp_path / "t.h5"))


@pytest.mark.parametrize("size", [600, 900, 5000])
def test_large_key_biases_are_told_from_an_error(size: float, tmp_path: Path) -> None:
    """Scores of thousands, where rounding to float16 moves attention far more than the tolerance."""
    sizes = {"hidden_size": 256, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 128}
    rope = {"rope_type": "default", "rope_theta": 1e6}
    folder = make_family(tmp_path / "model", Family("qwen2", sizes | {"rope_parameters": rope}))
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    for layer in model.model.layers:
        layer.self_attn.k_proj.weight.data.normal_(0, 1 / 16)
        layer.self_attn.k_proj.bias.data[60:64] = size / 8**0.5
        layer.self_attn.k_proj.bias.data[124:128] = size / 8**0.5
    model.save_pretrained(folder)
    report = session.capture(options(folder, tmp_path / "t.h5", steps=200, tolerance=None))
    assert report.check.rounding.error > 2e-3
    assert report.check.capture.error < 2e-3
    assert_whole_pass(folder, tmp_path / "t.h5")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_model_in_half_precision_passes_its_own_tolerance(
    model_folders: dict[str, Path], dtype: str, tmp_path: Path
) -> None:
    session.capture(options(model_folders["qwen3"], tmp_path / "t.h5", dtype=dtype, tolerance=None))


def test_code_of_a_model_folder_is_neither_run_nor_asked_about(
    tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked something"))
    folder = save_model(tmp_path / "model", tiny_config("llama"))
    ran = tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w')\nfrom transformers import LlamaConfig\nclass X(LlamaConfig): pass\n"
    for name in ("configuration_x.py", "modeling_x.py", "tokenization_x.py"):
        (folder / name).write_text(code)
    own = {
        "auto_map": {
            "AutoConfig": "configuration_x.X",
            "AutoModelForCausalLM": "modeling_x.X",
            "AutoTokenizer": ["tokenization_x.X", None],
        }
    }
    config = json.loads((folder / "config.json").read_text()) | own
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps(own))
    session.capture(options(folder, tmp_path / "t.h5"))
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "xnew"}))
    with pytest.raises(CaptureError, match=r"model type 'xnew' is not one of .*auto_map.*never run"):
        session.capture(options(folder, tmp_path / "u.h5"))
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CaptureError, match="no usable tokenizer"):
        session.capture(options(folder, tmp_path / "u.h5"))
    assert not ran.exists() and capsys.readouterr().out == ""


def test_layers_that_fit_are_named_where_others_do_not(tmp_path: Path) -> None:
    kinds = ["conv", "full_attention"] * 2
    hybrid = Family("lfm2", {"num_hidden_layers": 4, "layer_types": kinds, "conv_L_cache": 3})
    folder = make_family(tmp_path / "hybrid", hybrid)
    with pytest.raises(CaptureError, match=r"layers 0,2: makes no attention .*: --layers 1,3$"):
        session.capture(options(folder, tmp_path / "t.h5"))
    with pytest.raises(CaptureError, match=r"layer 0 is no attention layer.*--no-speculated"):
        session.capture(options(folder, tmp_path / "t.h5", layers=(1, 3)))
    gemma = Family("gemma3_text", {"num_hidden_layers": 6, "sliding_window": 16})
    folder = make_family(tmp_path / "gemma", gemma)
    with pytest.raises(CaptureError, match=r"layers 0-4: attends to the last 16 .*: --layers 5$"):
        session.capture(options(folder, tmp_path / "t.h5"))
    short = {"prompt_tokens": 8, "steps": 8, "window": 4}
    with pytest.raises(CaptureError, match=r"differ in rotary .*: --layers 0-4 or --layers 5$"):
        session.capture(options(folder, tmp_path / "t.h5", **short))
    session.capture(options(folder, tmp_path / "t.h5", layers=(5,)))
    with h5py.File(tmp_path / "t.h5") as file:
        assert file.attrs["rope_theta"] == 1e6
