"""Captures that must fail: one line that says why, exit code 2, and no file left behind."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
h5py = pytest.importorskip("h5py")

from capture_models import TEXT, VOCAB, options, save_model, save_tokenizer, tiny_config  # noqa: E402
from kvreplay_capture import cli, session  # noqa: E402
from kvreplay_capture.errors import CaptureError, CheckFailed  # noqa: E402


def test_a_file_that_does_not_reproduce_the_model_is_refused(
    model_folders: dict[str, Path], tmp_path: Path, monkeypatch: Any
) -> None:
    from kvreplay_capture.writer import TraceWriter

    append = TraceWriter.append

    def spoil(self: TraceWriter, name: str, block: np.ndarray) -> None:
        append(self, name, block * 1.02 if name == "layers/1/values" else block)

    monkeypatch.setattr(TraceWriter, "append", spoil)
    with pytest.raises(
        CheckFailed, match=r"self-check failed: .* 2\.0.e-02 at layer 1, position \d+; allowed 1e-06"
    ):
        session.capture(options(model_folders["llama"], tmp_path / "t.h5"))
    assert [p.name for p in tmp_path.iterdir()] == ["t.unaccepted.h5"]


def test_keys_beyond_float16_are_refused(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "big", tiny_config("qwen2"))
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    model.model.layers[1].self_attn.v_proj.bias.data[:] = 1e5
    model.save_pretrained(folder)
    with pytest.raises(CaptureError, match="layers/1/values: a value is not finite in float16"):
        session.capture(options(folder, tmp_path / "t.h5"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["big"]


def run_cli(capsys: Any, *arguments: str) -> tuple[int, str, str]:
    code = cli.main([str(a) for a in arguments])
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def arguments(folder: Path, output: Path, *more: str) -> list[str]:
    base = [folder, "-o", output, "--text", folder / "text.txt", "--prompt-tokens", "24", "--steps", "40"]
    return [*map(str, base), "--window", "8", "--tolerance", "5e-3", *more]


def test_the_command_writes_a_trace_and_reports_the_check(
    model_folders: dict[str, Path], tmp_path: Path, capsys: Any
) -> None:
    code, out, err = run_cli(
        capsys, *arguments(model_folders["mistral"], tmp_path / "t.h5", "--layers", "0,1-2")
    )
    assert code == 0 and "self-check: largest relative error" in out
    assert "64/64 tokens" in err
    assert [p.name for p in tmp_path.iterdir()] == ["t.h5"]
    code, _, err = run_cli(capsys, *arguments(model_folders["mistral"], tmp_path / "t.h5", "--quiet"))
    assert (code, err) == (0, "")


USER_ERRORS = {
    "layer out of range": (
        ["--layers", "0,7"],
        "--layers: 7 is out of range; the model has 3 layers, 0 to 2",
    ),
    "head out of range": (
        ["--kv-heads", "2"],
        "--kv-heads: 2 is out of range; the model has 2 KV heads, 0 to 1",
    ),
    "bad list": (["--layers", "2-x"], "'2-x' is neither a number nor a range"),
    "text too short": (["--steps", "9000"], "too short: has 704 tokens, 9023 needed"),
    "offset beyond": (["--offset", "690"], "too short: has 704 tokens, 753 needed (offset 690 + 63 of text)"),
    "window": (["--window", "25"], "--window is 25, longer than the prompt of 24 tokens"),
    "no steps": (["--steps", "0"], "--steps is 0; it must be at least 1"),
    "too long": (["--steps", "100000000"], "are 100000024 tokens; a trace has at most 100000000"),
    "no name": (["--licence", "caf\udce9"], "--licence: 'caf\\udce9' is not UTF-8; give a name that is"),
    "no temperature": (["--temperature", "0"], "--temperature is 0.0; it must be a number above 0"),
    "not a number": (["--steps", "many"], "invalid int value: 'many'"),
    "no text": (["--text", "/nowhere.txt"], "/nowhere.txt: no such text file"),
    "unknown mode": (["--mode", "beam"], "invalid choice: 'beam'"),
    "no device": (["--device", "nonsense"], "device 'nonsense' cannot be used"),
}


@pytest.mark.parametrize("name", USER_ERRORS)
def test_user_errors_are_one_line_and_exit_2(
    model_folders: dict[str, Path], tmp_path: Path, capsys: Any, name: str
) -> None:
    more, message = USER_ERRORS[name]
    code, out, err = run_cli(capsys, *arguments(model_folders["llama"], tmp_path / "t.h5", "-q", *more))
    assert code == 2 and out == ""
    assert message in err and err.count("\n") == 1 and err.startswith("kvreplay-capture: ")
    assert list(tmp_path.iterdir()) == []


def broken_folders(root: Path) -> dict[str, tuple[Path, str]]:
    """Model folders that cannot be captured, and what is said about them."""
    from safetensors.torch import load_file, save_file

    def plain(name: str, family: str, **changes: Any) -> Path:
        return save_model(root / name, tiny_config(family, **changes))

    empty, untokenised, weightless = (
        root / "empty",
        plain("untokenised", "llama"),
        plain("weightless", "llama"),
    )
    empty.mkdir()
    (empty / "text.txt").write_text(TEXT)
    (untokenised / "tokenizer.json").unlink()
    (weightless / "model.safetensors").unlink()
    cut, garbage, wide = plain("cut", "llama"), plain("garbage", "llama"), plain("wide", "llama")
    tensors = load_file(cut / "model.safetensors")
    tensors.pop("model.layers.1.self_attn.k_proj.weight")
    save_file(tensors, cut / "model.safetensors", metadata={"format": "pt"})
    (garbage / "model.safetensors").write_bytes(b"not weights")
    save_tokenizer(wide, vocab=VOCAB + 40)
    (wide / "text.txt").write_text(chr(32 + VOCAB + 10) * 800, encoding="utf-8")
    bert = save_model(
        root / "bert",
        transformers.BertConfig(
            vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4
        ),
    )
    t5 = plain("t5", "llama")
    transformers.T5Config().save_pretrained(t5)
    mpt = save_model(
        root / "mpt",
        transformers.MptConfig(
            vocab_size=VOCAB, d_model=32, n_heads=4, n_layers=2, max_seq_len=512, expansion_ratio=2
        ),
    )
    gpt2 = save_model(
        root / "gpt2",
        transformers.GPT2Config(vocab_size=VOCAB, n_embd=32, n_layer=2, n_head=4, bos_token_id=0),
    )
    return {
        "missing": (root / "nowhere", "no such folder"),
        "empty": (empty, "holds no config.json"),
        "untokenised": (untokenised, "no usable tokenizer"),
        "weightless": (weightless, "holds no *.safetensors weights"),
        "cut": (cut, "weights do not fit the config (missing_keys: model.layers.1.self_attn.k_proj.weight)"),
        "garbage": (garbage, "cannot be loaded"),
        "wide": (wide, f"the tokenizer gives token 108, the model has {VOCAB}"),
        "bert": (bert, "not a causal decoder"),
        "t5": (t5, "a 't5' model is not a causal decoder"),
        "mpt": (mpt, "does not call the attention-function registry"),
        "gpt2": (gpt2, "has no single rotary embedding"),
        "sliding": (
            plain("sliding", "mistral", sliding_window=48),
            "layers 0-2: attends to the last 48 positions only",
        ),
        "softcap": (plain("softcap", "gemma2"), "its attention uses 'softcap'"),
        "partial": (plain("partial", "stablelm"), "rotates 2 of 8 channels"),
    }


BROKEN = (
    "missing",
    "empty",
    "untokenised",
    "weightless",
    "cut",
    "garbage",
    "wide",
    "bert",
    "t5",
    "mpt",
    "gpt2",
    "sliding",
    "softcap",
    "partial",
)


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    return broken_folders(tmp_path_factory.mktemp("broken"))


@pytest.mark.parametrize("name", BROKEN)
def test_folders_that_cannot_be_captured_say_why(broken: Any, tmp_path: Path, capsys: Any, name: str) -> None:
    folder, message = broken[name]
    code, out, err = run_cli(capsys, *arguments(folder, tmp_path / "t.h5", "-q"))
    assert message in err and err.count("\n") == 1
    assert code == 2 and out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_exit_3(model_folders: dict[str, Path], tmp_path: Path) -> None:
    """In a process of its own, since HDF5 does not survive it; a limit on file sizes stands for the disk."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000)); "
        "from kvreplay_capture import cli; cli.command()"
    )
    command = [sys.executable, "-c", code, *arguments(model_folders["llama"], tmp_path / "t.h5", "-q")]
    environment = os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[1])}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 3
    assert result.stderr == f"kvreplay-capture: {tmp_path / 't.h5'}: File too large\n"
    assert list(tmp_path.iterdir()) == []
