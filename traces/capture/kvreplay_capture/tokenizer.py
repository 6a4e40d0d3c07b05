"""A model's own tokenizer: text to token ids, the tokens it puts in front, and its chat template."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import CaptureError, first_line


@dataclass(frozen=True)
class ModelTokenizer:
    """`backend` is a tokenizers.Tokenizer. `first` goes in front of a text, one of `ends` ends an answer."""

    origin: str
    backend: Any
    first: tuple[int, ...]
    ends: tuple[int, ...] = ()
    chat_template: str | None = None
    special_names: tuple[tuple[str, str], ...] = ()

    def encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids of a text and the characters each of them covers, without the tokens in front."""
        encoding = self.backend.encode(text, add_special_tokens=False)
        return encoding.ids, encoding.offsets

    def render(self, messages: list[dict[str, str]], answer_next: bool) -> str:
        """The conversation as the chat template writes it; with `answer_next` up to the model's answer."""
        from transformers.utils.chat_template_utils import render_jinja_template

        if self.chat_template is None:
            raise CaptureError(f"{self.origin}: has no chat template; give plain text with --text")
        try:
            rendered, _ = render_jinja_template(
                [messages],
                chat_template=self.chat_template,
                add_generation_prompt=answer_next,
                **dict(self.special_names),
            )
        except Exception as error:  # templates raise what they like
            raise CaptureError(
                f"{self.origin}: its chat template refuses the conversation: {first_line(error)}"
            ) from error
        return rendered[0]


def folder_tokenizer(folder: Path) -> ModelTokenizer:
    """The tokenizer of a Hugging Face model folder."""
    settings = _json_object(folder / "tokenizer_config.json")
    backend = _backend(folder)
    backend.no_truncation()
    backend.no_padding()
    names = {
        key: text
        for key in ("bos_token", "eos_token", "unk_token", "pad_token")
        if (text := _token_text(settings.get(key))) is not None
    }
    return ModelTokenizer(
        str(folder),
        backend,
        _tokens_in_front(folder, backend, settings, names),
        _end_tokens(folder, backend, names),
        _chat_template(folder, settings),
        tuple(names.items()),
    )


def _backend(folder: Path) -> Any:
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        return _rebuilt_backend(folder)
    # tokenizer.json is the complete definition. AutoTokenizer rebuilds some families from the
    # vocabulary alone and would lose, for instance, a byte-level pre-tokeniser under a Llama config.
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise CaptureError(f"{path}: not a readable tokenizer ({first_line(error)})") from error


def _rebuilt_backend(folder: Path) -> Any:
    """From vocabulary files, as transformers does it."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # every family fails in its own way
        raise CaptureError(f"{folder}: no usable tokenizer ({first_line(error)})") from error
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise CaptureError(f"{folder}: no usable tokenizer (it has no tokenizer.json, and none can be made)")
    return backend


def _tokens_in_front(
    folder: Path, backend: Any, settings: dict[str, Any], names: dict[str, str]
) -> tuple[int, ...]:
    """Settings that say whether to add a token replace what tokenizer.json adds, as in transformers."""
    if "add_bos_token" not in settings and "add_eos_token" not in settings:
        encoding = backend.encode("a", add_special_tokens=True)
        added = encoding.special_tokens_mask
        return tuple(encoding.ids[: added.index(0) if 0 in added else 0])
    if not settings.get("add_bos_token") or "bos_token" not in names:
        return ()
    token = backend.token_to_id(names["bos_token"])
    if token is None:
        raise CaptureError(f"{folder}: bos_token '{names['bos_token']}' is not in the tokenizer's vocabulary")
    return (token,)


def _end_tokens(folder: Path, backend: Any, names: dict[str, str]) -> tuple[int, ...]:
    """What config, generation config and tokenizer name as the end of a sequence."""
    found = [backend.token_to_id(names["eos_token"])] if "eos_token" in names else []
    for name in ("config.json", "generation_config.json"):
        ends = _json_object(folder / name).get("eos_token_id")
        found += ends if isinstance(ends, list) else [ends]
    return tuple(sorted({end for end in found if isinstance(end, int)}))


def _chat_template(folder: Path, settings: dict[str, Any]) -> str | None:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    template = _json_object(folder / "chat_template.json").get("chat_template") or settings.get(
        "chat_template"
    )
    if isinstance(template, list):  # several, by name
        template = {entry["name"]: entry["template"] for entry in template}.get("default")
    return template if isinstance(template, str) else None


def _token_text(token: Any) -> str | None:
    """Settings hold a token as text or as an object with its text."""
    return token.get("content") if isinstance(token, dict) else token


def _json_object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CaptureError(f"{path}: not JSON ({first_line(error)})") from error
    if not isinstance(content, dict):
        raise CaptureError(f"{path}: not a JSON object")
    return content
