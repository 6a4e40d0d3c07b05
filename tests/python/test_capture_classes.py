"""Classes of tokens: what a tokenizer says, what a capture writes, and how an older trace gets them."""

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
h5py = pytest.importorskip("h5py")

from capture_gguf import SPECIAL, VOCAB, save_byte_tokenizer, write_gguf  # noqa: E402
from capture_models import options, save_model, tiny_config  # noqa: E402
from kvreplay_capture import session, token_classes  # noqa: E402
from kvreplay_capture.errors import CaptureError  # noqa: E402
from kvreplay_capture.kvtrace import broken_checksums  # noqa: E402
from kvreplay_capture.tokenizer import folder_tokenizer  # noqa: E402

TEXT = 'he said, "it is <|im_end|> the best of $2 (or the rest)." ' * 4


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "classy"
    save_model(folder, tiny_config("llama", vocab_size=VOCAB, intermediate_size=64, num_hidden_layers=2))
    save_byte_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def captured(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traces")
    (folder / "text.txt").write_text(TEXT)
    trace = folder / "t.h5"
    session.capture(options(model, trace, text=folder / "text.txt", prompt_tokens=30, steps=40))
    return trace


@pytest.mark.parametrize(
    ("text", "expected"),
    [(".", True), (" ,", True), ('."', True), ("…", True), ("\n", False), ("", False), ("a.", False),
     ("$", False), ("\ufffd", False)],
)  # fmt: skip
def test_punctuation_is_what_unicode_says(text: str, expected: bool) -> None:
    assert token_classes.is_punctuation(text) is expected


def test_a_capture_has_the_class_of_every_token(model: Path, captured: Path, kvreplay) -> None:
    backend = folder_tokenizer(model).backend
    with h5py.File(captured) as file:
        texts = [backend.decode([int(token)], skip_special_tokens=False) for token in file["tokens"][:]]
        classes = file["token_class"][:].tolist()
    marks = {",", '"', "(", ")", "."}
    assert classes == [1 if text in SPECIAL else 2 if text.strip() in marks else 0 for text in texts]
    assert set(classes) == {0, 1, 2}
    assert broken_checksums(captured) == []
    info = kvreplay("trace", "info", captured).stdout
    assert f"{'token classes':<18}{classes.count(1)} special, {classes.count(2)} punctuation\n" in info
    kvreplay("trace", "validate", captured)


@pytest.mark.parametrize("kind", ["folder", "gguf"])
def test_an_older_trace_gets_the_same_classes(
    kind: str, model: Path, captured: Path, tmp_path: Path, kvreplay
) -> None:
    old, new = tmp_path / "old.h5", tmp_path / "new.h5"
    old.write_bytes(captured.read_bytes())
    with h5py.File(old, "r+") as file:
        del file["token_class"]
    source = model if kind == "folder" else write_gguf(model, tmp_path / "model.gguf")
    before = old.read_bytes()
    token_classes.command([str(source), str(old), "-o", str(new)])
    assert old.read_bytes() == before
    with h5py.File(new) as file, h5py.File(captured) as whole:
        assert (file["token_class"][:] == whole["token_class"][:]).all()
        assert dict(file["token_class"].attrs) == dict(whole["token_class"].attrs)
    kvreplay("trace", "validate", new)


def test_what_cannot_be_classed_is_refused(model: Path, captured: Path, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="has classes of its tokens already"):
        token_classes.add_classes(model, captured, tmp_path / "out.h5")
    old = tmp_path / "old.h5"
    old.write_bytes(captured.read_bytes())
    with h5py.File(old, "r+") as file:
        del file["token_class"]
        file.attrs["vocab_size"] = VOCAB - 100
    with pytest.raises(CaptureError, match=f"has {VOCAB} tokens, and the trace is of a model with"):
        token_classes.add_classes(model, old, tmp_path / "out.h5")
    with pytest.raises(CaptureError, match="is an input of this capture"):
        token_classes.add_classes(model, old, old)
    with pytest.raises(CaptureError, match="not a readable trace"):
        token_classes.add_classes(model, model / "tokenizer.json", tmp_path / "out.h5")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.h5"]
