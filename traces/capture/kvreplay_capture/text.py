"""From what was given to the tokens of a capture."""

import json
from dataclasses import dataclass
from pathlib import Path

from .errors import CaptureError
from .options import CaptureOptions
from .tokenizer import ModelTokenizer


@dataclass(frozen=True)
class Script:
    """What is known before the run: the first tokens, and where turns of a conversation begin among them."""

    tokens: list[int]
    turns: tuple[int, ...] = ()


def read_text(path: Path) -> str:
    """A UTF-8 text; a byte order mark is no part of it. A file of messages is no text either."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CaptureError(f"{path}: not UTF-8 text (byte {error.start})") from error
    if _holds_json(content):
        raise CaptureError(
            f"{path}: is JSON, not plain text; give a conversation with --chat, or write its text into a file"
        )
    return content


def _holds_json(content: str) -> bool:
    """The whole is a JSON object or array, or the first line is an object (JSON Lines)."""
    start = content.lstrip()
    if not start.startswith(("{", "[")):
        return False
    if _parses(content, (dict, list)):
        return True
    return _parses(start.splitlines()[0], (dict,))


def _parses(text: str, kinds: tuple[type, ...]) -> bool:
    try:
        return isinstance(json.loads(text), kinds)
    except (ValueError, RecursionError):
        return False


def text_script(options: CaptureOptions, tokenizer: ModelTokenizer) -> Script:
    """The prompt out of the text, and with teacher forcing every token."""
    assert options.text is not None
    head = list(tokenizer.first) if options.bos else []
    length = options.total if options.mode == "teacher-forced" else options.prompt_tokens
    wanted = max(0, length - len(head))
    available, _ = tokenizer.encode(read_text(options.text))
    if len(available) < options.offset + wanted:
        raise CaptureError(
            f"{options.text}: too short: has {len(available)} tokens, "
            f"{options.offset + wanted} needed (offset {options.offset} + {wanted} of text)"
        )
    return Script((head + available[options.offset : options.offset + wanted])[:length])


def require_vocabulary(tokenizer: ModelTokenizer, tokens: list[int], vocab_size: int) -> None:
    """Refuses a tokenizer that knows more tokens than the model."""
    if max(tokens) >= vocab_size:
        raise CaptureError(
            f"{tokenizer.origin}: the tokenizer gives token {max(tokens)}, the model has {vocab_size}"
        )
