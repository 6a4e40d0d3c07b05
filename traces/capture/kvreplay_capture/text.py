"""From a text file to the tokens of a capture."""

from pathlib import Path
from typing import Any

from .errors import CaptureError
from .options import CaptureOptions


def text_tokens(model_dir: Path, text: Path) -> list[int]:
    """All tokens of the text, without special ones."""
    try:
        content = text.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CaptureError(f"{text}: not UTF-8 text (byte {error.start})") from error
    if (model_dir / "tokenizer.json").is_file():
        return _encode_with_tokenizers(model_dir / "tokenizer.json", content)
    return _encode_with_transformers(model_dir, content)


def _encode_with_tokenizers(path: Path, content: str) -> list[int]:
    # tokenizer.json is the complete definition. AutoTokenizer rebuilds some families from the
    # vocabulary alone and would lose, for instance, a byte-level pre-tokeniser under a Llama config.
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise CaptureError(f"{path}: not a readable tokenizer ({first_line(error)})") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer.encode(content, add_special_tokens=False).ids


def _encode_with_transformers(model_dir: Path, content: str) -> list[int]:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model_dir, local_files_only=True)
    except Exception as error:  # every family fails in its own way
        raise CaptureError(f"{model_dir}: no usable tokenizer ({first_line(error)})") from error
    return tokenizer(content, add_special_tokens=False)["input_ids"]


def bos_token(config: Any) -> int | None:
    """The model's begin-of-sequence token, None where it has none."""
    bos = getattr(config, "bos_token_id", None)
    return bos if isinstance(bos, int) else None


def known_tokens(options: CaptureOptions, config: Any) -> list[int]:
    """The tokens that are known before the run: the prompt, and with teacher forcing every token."""
    bos = bos_token(config) if options.bos else None
    head = [] if bos is None else [bos]
    length = options.total if options.mode == "teacher-forced" else options.prompt_tokens
    wanted = length - len(head)
    available = text_tokens(options.model_dir, options.text)
    if len(available) < options.offset + wanted:
        raise CaptureError(
            f"{options.text}: too short: has {len(available)} tokens, "
            f"{options.offset + wanted} needed (offset {options.offset} + {wanted} of text)"
        )
    tokens = head + available[options.offset : options.offset + wanted]
    if max(tokens) >= config.vocab_size:
        raise CaptureError(
            f"{options.model_dir}: the tokenizer gives token {max(tokens)}, the model has {config.vocab_size}"
        )
    return tokens


def first_line(error: BaseException) -> str:
    """An exception as one line, for messages of ours."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
